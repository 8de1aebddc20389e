/** CPU per lookup as bars, for the page: one block for each concurrency and way. */
import { type BarBlock, barChart } from "../report/bars.ts";
import type { Figures } from "./rounds.ts";

/** Room for the longest title. */
const TITLE_WIDTH = 400;
/** Bars that are longer are cut, which a mark behind their figure says. */
const SCALE_US = 250;

/** An SVG. */
export function plot(figures: readonly Figures[]): string {
  const blocks: BarBlock[] = [];
  for (const group of ["UDP", "DoT"])
    for (const concurrency of new Set(figures.map((one) => one.concurrency))) {
      const bars = figures
        .filter((one) => one.client.group === group && one.concurrency === concurrency)
        .map(({ client, cpuUs }) => ({
          title: client.title,
          value: cpuUs,
          text: cpuUs.toFixed(1),
          isOurs: client.isOurs,
        }));
      const title = `${group}, ${concurrency} at once: CPU per lookup, µs`;
      blocks.push({ title, scale: SCALE_US, bars });
    }
  return barChart(blocks, TITLE_WIDTH);
}
