/** CPU per lookup as bars, for the page: one block for each concurrency and way. */
import type { Figures } from "./rounds.ts";

const ROW = 18;
/** Room for the longest title. */
const LEFT = 400;
const WIDTH = 900;
/** Bars that are longer are cut, which a mark behind their figure says. */
const SCALE_US = 250;

/** An SVG. */
export function plot(figures: readonly Figures[]): string {
  const rows: string[] = [];
  let y = 24;
  for (const group of ["UDP", "DoT"])
    for (const concurrency of new Set(figures.map((one) => one.concurrency))) {
      rows.push(
        `<text x="8" y="${y}" font-weight="bold">${group}, ${concurrency} at once: CPU per lookup, µs</text>`,
      );
      y += ROW;
      for (const one of figures)
        if (one.client.group === group && one.concurrency === concurrency) {
          rows.push(bar(one, y));
          y += ROW;
        }
      y += ROW / 2;
    }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="sans-serif" font-size="12">
<rect width="${WIDTH}" height="${y}" fill="#fff"/>
${rows.join("\n")}
</svg>
`;
}

function bar({ client, cpuUs }: Figures, y: number): string {
  const width = (Math.min(cpuUs, SCALE_US) / SCALE_US) * (WIDTH - LEFT - 90);
  const color = client.isOurs ? "#2f6f4f" : "#9aa5b1";
  const title = client.title.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="8" y="${y}">${title}</text><rect x="${LEFT}" y="${y - 11}" width="${width.toFixed(1)}" height="13" fill="${color}"/><text x="${(LEFT + width + 5).toFixed(1)}" y="${y}">${cpuUs.toFixed(1)}${cpuUs > SCALE_US ? " » cut" : ""}</text>`;
}
