/** Horizontal bars in blocks, as an SVG that can be read on light and on dark pages. */

export interface Bar {
  readonly title: string;
  readonly value: number;
  /** Stands behind the bar. */
  readonly text: string;
  readonly isOurs: boolean;
}

export interface BarBlock {
  readonly title: string;
  /** What a bar of full length is; longer ones are cut, and say so. Absent: the longest one. */
  readonly scale?: number;
  readonly bars: readonly Bar[];
}

/** An SVG; `titleWidth` is the room for the titles of bars. */
export function barChart(blocks: readonly BarBlock[], titleWidth: number): string {
  const rows: string[] = [];
  let y = 24;
  for (const { title, scale, bars } of blocks) {
    rows.push(`<text x="8" y="${y}" font-weight="bold">${escaped(title)}</text>`);
    y += ROW;
    const full = scale ?? Math.max(...bars.map(({ value }) => value));
    for (const bar of bars) {
      rows.push(drawn(bar, { y, full, left: titleWidth }));
      y += ROW;
    }
    y += ROW / 2;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="sans-serif" font-size="12">
<style>${STYLE}</style>
<rect class="page" width="${WIDTH}" height="${y}"/>
${rows.join("\n")}
</svg>
`;
}

function drawn(
  bar: Bar,
  place: { readonly y: number; readonly full: number; readonly left: number },
): string {
  const { title, value, text, isOurs } = bar;
  const { y, full, left } = place;
  const width = (Math.min(value, full) / full) * (WIDTH - left - TEXT_WIDTH);
  return `<text x="8" y="${y}">${escaped(title)}</text><rect class="${isOurs ? "ours" : "theirs"}" x="${left}" y="${y - 11}" width="${width.toFixed(1)}" height="13"/><text x="${(left + width + 5).toFixed(1)}" y="${y}">${escaped(text)}${value > full ? " » cut" : ""}</text>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

const ROW = 18;
const WIDTH = 900;
/** Behind the longest bar. */
const TEXT_WIDTH = 130;
const STYLE = `.page { fill: #fff } text { fill: #1f2328 } .ours { fill: #2f6f4f } .theirs { fill: #9aa5b1 }
@media (prefers-color-scheme: dark) { .page { fill: #0d1117 } text { fill: #e6edf3 } .ours { fill: #4cae7c } .theirs { fill: #59636e } }`;
