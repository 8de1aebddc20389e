/** The tables as Markdown, 2016's columns beside today's. */
import { DECK_SOURCE, deckCell, deckTable, deckTotals, MATURITIES } from "./deck-2016.ts";
import { cellsOf, deckScore, type Sheet } from "./sheet.ts";
import { verdictText, visible } from "./words.ts";

/** One section for each sheet, with what was observed below its table. */
export function markdownText(sheets: readonly Sheet[]): string {
  return `${sheets.map(sheetText).join("\n")}`;
}

function sheetText(sheet: Sheet): string {
  const table = deckTable(sheet.kind);
  const products = table?.products ?? [];
  const heads = [
    "Feature",
    ...products.map(({ name }) => `${name} 2016`),
    ...sheet.columns.map(({ title }) => title),
  ];
  const rows: MarkdownCell[][] = sheet.groups.flatMap(({ title, rows: inGroup }) => [
    ...(title === "" ? [] : [[{ bold: title }, ...heads.slice(1).map(() => "")]]),
    ...inGroup.map((row) => [
      row.title,
      ...products.map((product) => {
        const maturity = table && deckCell(table, row.key, product);
        return maturity === undefined ? "" : `${MATURITIES[maturity].symbol} ${MATURITIES[maturity].word}`;
      }),
      ...sheet.columns.map(({ cells }) => {
        const cell = cells.get(row.key);
        return cell === undefined ? "" : verdictText(cell.verdict, cell.confidence);
      }),
    ]),
  ]);
  if (table !== undefined)
    rows.push([
      "Released of 2016's rows",
      ...products.map((product) => {
        const all = table.features.map(({ key }) => deckCell(table, key, product));
        return `${all.filter((one) => one === "released").length} of ${all.length}`;
      }),
      ...sheet.columns.map((column) => deckScore(sheet, column)),
    ]);
  const observed = [...cellsOf(sheet)].flatMap(({ row, column, cell }) =>
    cell === undefined
      ? []
      : [[row.title, column.title, verdictText(cell.verdict), cell.confidence, cell.observed]],
  );
  return [
    `## ${sheet.title}`,
    "",
    ...tableLines(heads, rows),
    "",
    ...(table === undefined ? [] : [`2016: ${escapeMarkdown(DECK_SOURCE)}; ${deckTotals(table)}.`, ""]),
    "### Observed",
    "",
    ...tableLines(["Feature", "Target", "Verdict", "Confidence", "Observed"], observed),
    "",
  ].join("\n");
}

/** A text of somebody; bold is ours alone. */
type MarkdownCell = string | { readonly bold: string };

function tableLines(heads: readonly string[], rows: readonly (readonly MarkdownCell[])[]): string[] {
  const line = (cells: readonly MarkdownCell[]): string => `| ${cells.map(cellMarkdown).join(" | ")} |`;
  return [line(heads), `|${heads.map(() => "---").join("|")}|`, ...rows.map(line)];
}

function cellMarkdown(cell: MarkdownCell): string {
  return typeof cell === "string" ? escapeMarkdown(cell) : `**${escapeMarkdown(cell.bold)}**`;
}

/**
 * Nothing in it is markup, a link, a mention or the end of a cell, neither by CommonMark nor by what GitHub's readers make of names
 * and addresses that merely stand there.
 */
function escapeMarkdown(text: string): string {
  return visible(text).replaceAll(ACTIVE, escapeOf);
}

/** Characters of markup, and where links begin by themselves: `https://`, `www.`, `a@b`. */
const ACTIVE = /[&<\\`*_~$[\]|@]|(?<=https?|ftp):\/\/|www\./gi;

function escapeOf(match: string): string {
  switch (match) {
    case "&":
      return "&amp;";
    case "<":
      return "&lt;";
    case "@":
      // Readers look for it in the text that escapes have become; only another node keeps it from what follows.
      return "@<!-- -->";
    case "://":
      return "&#58;//";
    default:
      return match.length === 1 ? `\\${match}` : `${match.slice(0, -1)}&#46;`;
  }
}
