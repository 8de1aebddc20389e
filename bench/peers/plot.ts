/** The figures as bars: a block for each test, with the goal of ours behind its bar. */
import { type BarBlock, barChart } from "../report/bars.ts";
import { median } from "../report/statistics.ts";
import type { TestResult } from "./judge.ts";

/** An SVG. */
export function plot(results: readonly TestResult[]): string {
  const blocks = results.flatMap(({ test, servers, ours }): BarBlock[] => {
    if (test.figure === "scaling") return [];
    const unit = { cpuUs: "CPU per answer, µs", p50Ms: "p50, ms", p99Ms: "p99, ms", memoryKib: "KiB each" }[
      test.figure
    ];
    const digits = test.figure.endsWith("Ms") ? 2 : 1;
    const bars = servers.map(({ server, isOurs, figure }) => {
      const ratio = ours.find((one) => one.server === server)?.ratio;
      const text = `${figure.median.toFixed(digits)}${ratio === undefined ? "" : ` (${ratio.toFixed(2)}×)`}`;
      return { title: server, value: figure.median, text, isOurs };
    });
    // One that stalls would make all others dots.
    const middle = median(bars.map(({ value }) => value));
    const scale = Math.min(Math.max(...bars.map(({ value }) => value)), middle * SCALE_BY_MEDIAN);
    return [{ title: `${test.title}: ${unit}`, scale, bars }];
  });
  return barChart(blocks, TITLE_WIDTH);
}

const TITLE_WIDTH = 130;
const SCALE_BY_MEDIAN = 4;
