/** The tables for a terminal: targets as columns, rows as lines, then what was observed where something is not as it should be. */
import { styleText } from "node:util";
import type { Cell, Confidence, Verdict } from "../model.ts";
import { type Column, cellsOf, deckScore, type Sheet } from "./sheet.ts";
import { textWidth, VERDICTS, verdictText, visible, WIDTH_MIN, wrapText } from "./words.ts";

export interface TableOptions {
  /** Columns of the terminal. */
  readonly width: number;
  readonly isColoured: boolean;
}

/** Widest column of titles, and of one target. */
const TITLE_WIDTH_MAX = 32;
const TARGET_WIDTH_MAX = 24;
const GAP = "  ";

/** All sheets, the legend, and the remarks. */
export function tableText(sheets: readonly Sheet[], options: TableOptions): string {
  const width = Math.max(options.width, WIDTH_MIN);
  const parts = sheets.flatMap((sheet) => [
    `${sheet.title}\n`,
    ...blocksOf(sheet, width).map((columns) => blockText(sheet, columns, width, options.isColoured)),
    remarksText(sheet, width, options.isColoured),
  ]);
  return [...parts, legendText(sheets, width)].filter((part) => part !== "").join("\n");
}

/** As many targets beside each other as fit. */
function blocksOf(sheet: Sheet, width: number): Column[][] {
  const room = width - titleWidth(sheet, width);
  const blocks: Column[][] = [];
  let used = Number.POSITIVE_INFINITY;
  for (const column of sheet.columns) {
    const needed = targetWidth(sheet, column, room) + GAP.length;
    if (used + needed > room) {
      blocks.push([]);
      used = 0;
    }
    blocks.at(-1)?.push(column);
    used += needed;
  }
  return blocks;
}

function titleWidth(sheet: Sheet, width: number): number {
  const titles = sheet.groups.flatMap(({ title, rows }) => [title, ...rows.map((row) => `  ${row.title}`)]);
  const longest = Math.max(...titles.map((title) => textWidth(visible(title))));
  return Math.min(longest, TITLE_WIDTH_MAX, Math.floor(width / 2));
}

function targetWidth(sheet: Sheet, column: Column, room: number): number {
  const words = [...cellsOf(sheet)].filter((one) => one.column === column).map(({ cell }) => cellText(cell));
  const title = Math.min(textWidth(visible(column.title)), TARGET_WIDTH_MAX);
  return Math.min(Math.max(...words.map(textWidth), title), room - GAP.length);
}

function blockText(sheet: Sheet, columns: readonly Column[], width: number, isColoured: boolean): string {
  const title = titleWidth(sheet, width);
  const widths = columns.map((column) => targetWidth(sheet, column, width - title));
  const line = (first: string, others: readonly string[], styles: readonly Style[] = []): string[] => {
    const cells = [wrapText(first, title), ...others.map((text, i) => wrapText(text, widths[i] ?? 1))];
    const height = Math.max(...cells.map((lines) => lines.length));
    return Array.from({ length: height }, (_, at) =>
      cells
        .map((lines, i) => {
          const text = (lines[at] ?? "").padEnd(i === 0 ? title : (widths[i - 1] ?? 0));
          const style = styles[i - 1];
          return isColoured && style !== undefined ? styleText(style, text, { validateStream: false }) : text;
        })
        .join(GAP)
        .trimEnd(),
    );
  };
  const lines = line(
    "",
    columns.map((column) => visible(column.title)),
  );
  lines.push("-".repeat(textWidth([" ".repeat(title), ...widths.map((one) => " ".repeat(one))].join(GAP))));
  for (const group of sheet.groups) {
    if (group.title !== "") lines.push(group.title);
    for (const row of group.rows) {
      const cells = columns.map((column) => column.cells.get(row.key));
      const texts = cells.map(cellText);
      const styles = cells.map((cell) => cell && STYLES[cell.verdict]);
      lines.push(...indented(line, `${visible(row.title)}`, texts, styles, title));
    }
  }
  if (sheet.kind !== "path")
    lines.push(
      ...line(
        "Released of 2016's rows",
        columns.map((column) => deckScore(sheet, column)),
      ),
    );
  return `${lines.join("\n")}\n`;
}

/** Titles of rows stand two columns in, on all their lines. */
function indented(
  line: (first: string, others: readonly string[], styles?: readonly Style[]) => string[],
  text: string,
  cells: readonly string[],
  styles: readonly Style[],
  width: number,
): string[] {
  const [first = "", ...more] = wrapText(text, width - 2);
  // A space that cannot be broken at keeps the words of one line together.
  const hard = (part: string): string => `  ${part}`.replaceAll(" ", "\u00a0");
  return [
    ...line(hard(first), cells, styles),
    ...more.flatMap((part) =>
      line(
        hard(part),
        cells.map(() => ""),
      ),
    ),
  ].map((one) => one.replaceAll("\u00a0", " "));
}

function cellText(cell: Cell | undefined): string {
  return cell === undefined ? "" : verdictText(cell.verdict, cell.confidence);
}

type Style = Parameters<typeof styleText>[0] | undefined;

const STYLES: Readonly<Record<Verdict, Style>> = {
  released: "green",
  partial: "yellow",
  off: "yellow",
  none: "dim",
  broken: "red",
  "not testable": "dim",
  "not applicable": "dim",
};

/** One paragraph for each cell that is not released, with what was observed; cells of a target that say the same share one. */
function remarksText(sheet: Sheet, width: number, isColoured: boolean): string {
  const remarks = new Map<string, { readonly cell: Cell; readonly titles: string[] }>();
  for (const { row, column, cell } of cellsOf(sheet)) {
    if (cell === undefined || cell.verdict === "released" || cell.verdict === "not applicable") continue;
    const place = sheet.columns.indexOf(column);
    const key = JSON.stringify([place, cell.verdict, cell.confidence, cell.observed]);
    const whose = sheet.columns.length > 1 ? [visible(column.title)] : [];
    const remark = remarks.get(key) ?? { cell, titles: whose };
    remark.titles.push(visible(row.title));
    remarks.set(key, remark);
  }
  return [...remarks.values()].map((remark) => remarkText(remark, width, isColoured)).join("");
}

function remarkText(
  { cell, titles }: { readonly cell: Cell; readonly titles: readonly string[] },
  width: number,
  isColoured: boolean,
): string {
  const style = isColoured ? STYLES[cell.verdict] : undefined;
  const head = wrapText(`${titles.join(", ")}: ${verdictText(cell.verdict)}`, width).map((line) =>
    style === undefined ? line : styleText(style, line, { validateStream: false }),
  );
  const text = wrapText(`${visible(cell.observed)}${doubt(cell.confidence)}`, width - 4);
  return [...head, ...text.map((part) => `    ${part}`), ""].join("\n");
}

function doubt(confidence: Confidence): string {
  return confidence === "certain" ? "" : ` (${confidence})`;
}

/** The words that occur, explained. */
function legendText(sheets: readonly Sheet[], width: number): string {
  const cells = sheets.flatMap((sheet) => sheet.columns.flatMap(({ report }) => report.cells));
  const words = (Object.keys(VERDICTS) as Verdict[])
    .filter((verdict) => cells.some((cell) => cell.verdict === verdict))
    .map((verdict) => `${verdictText(verdict)}: ${VERDICTS[verdict].meaning}`);
  if (cells.some(({ confidence }) => confidence === "guess")) words.push("~: a guess");
  return words
    .flatMap((word) => wrapText(word, width))
    .map((line) => `${line}\n`)
    .join("");
}
