/**
 * One page that needs nothing else: the two tables as the deck of 2016 showed them, its columns beside today's, and behind each
 * cell its evidence. It has no script and loads nothing, which its content security policy also forbids it.
 */
import type { Cell, Row, Verdict } from "../../model.ts";
import {
  DECK_SOURCE,
  type DeckTable,
  deckCell,
  deckTable,
  deckTotals,
  MATURITIES,
  type Maturity,
} from "../deck-2016.ts";
import { type Column, deckScore, type Sheet } from "../sheet.ts";
import { VERDICTS, visible } from "../words.ts";
import { type Child, element, type Html, markup } from "./element.ts";
import { anchorOf, evidenceOf } from "./evidence.ts";
import { STYLE } from "./style.ts";

const TITLE = "DNS over TCP and TLS, probed";

/** The text of the page. */
export function pageText(sheets: readonly Sheet[]): string {
  const head = element(
    "head",
    {},
    element("meta", { charset: "utf-8" }),
    element("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
    element("meta", {
      "http-equiv": "Content-Security-Policy",
      content: "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    }),
    element("meta", { name: "referrer", content: "no-referrer" }),
    element("title", {}, TITLE),
    STYLE,
  );
  const body = element(
    "body",
    {},
    header(sheets),
    element("main", {}, sheets.map(tablePart), evidence(sheets)),
  );
  return `<!DOCTYPE html>\n${markup(element("html", { lang: "en" }, head, "", body))}\n`;
}

function header(sheets: readonly Sheet[]): Html {
  const reports = sheets.flatMap(({ columns }) => columns.map(({ report }) => report));
  const days = [...new Set(reports.map(({ startedAt }) => startedAt.slice(0, 10)))].sort();
  const [first, last] = [days[0], days.at(-1)];
  const when = first === last ? first : `${first} to ${last}`;
  return element(
    "header",
    {},
    element("h1", {}, TITLE),
    element(
      "p",
      { class: "quiet" },
      visible(
        `${reports.length} target${reports.length === 1 ? "" : "s"}, ${when ?? "never"}. Each verdict of today is a link to what was seen on the wire.`,
      ),
    ),
    legend(sheets),
  );
}

function legend(sheets: readonly Sheet[]): Html {
  const verdicts = new Set<Verdict>(
    sheets.flatMap(({ columns }) =>
      columns.flatMap(({ report }) => report.cells.map(({ verdict }) => verdict)),
    ),
  );
  const today = (Object.keys(VERDICTS) as Verdict[]).filter((verdict) => verdicts.has(verdict));
  const hasDeck = sheets.some(({ kind }) => deckTable(kind) !== undefined);
  return element(
    "dl",
    { class: "legend" },
    today.map((verdict) =>
      element(
        "div",
        { class: `v-${verdict.replace(" ", "-")}` },
        element(
          "dt",
          {},
          element("span", { class: "pill" }, `${VERDICTS[verdict].symbol} ${VERDICTS[verdict].word}`),
        ),
        element("dd", {}, VERDICTS[verdict].meaning),
      ),
    ),
    element(
      "div",
      {},
      element("dt", {}, "~"),
      element("dd", {}, "a guess: one round, or by what did not happen"),
    ),
    hasDeck
      ? (Object.keys(MATURITIES) as Maturity[]).map((one) =>
          element(
            "div",
            {},
            element("dt", {}, `2016 ${maturityText(one)}`),
            element("dd", {}, MATURITIES[one].meaning),
          ),
        )
      : undefined,
  );
}

function maturityText(maturity: Maturity): string {
  return `${MATURITIES[maturity].symbol} ${MATURITIES[maturity].word}`;
}

function tablePart(sheet: Sheet): Html {
  const table = deckTable(sheet.kind);
  const heading = `table-${sheet.kind}`;
  return element(
    "section",
    {},
    element("h2", { id: heading }, sheet.title),
    element(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": heading },
      element(
        "table",
        {},
        tableHead(sheet, table),
        sheet.groups.map(({ title, rows }) =>
          element(
            "tbody",
            {},
            title === "" ? undefined : groupHead(sheet, table, title),
            rows.map((row) => rowPart(sheet, table, row)),
          ),
        ),
        table === undefined ? undefined : tableFoot(sheet, table),
      ),
    ),
    table === undefined
      ? undefined
      : element("p", { class: "quiet" }, `July 2016: ${DECK_SOURCE}; ${deckTotals(table)}.`),
  );
}

function tableHead(sheet: Sheet, table: DeckTable | undefined): Html {
  const products = table?.products ?? [];
  return element(
    "thead",
    {},
    element(
      "tr",
      {},
      element("td", {}),
      element("th", { scope: "colgroup", colspan: sheet.columns.length }, "Today"),
      table === undefined
        ? undefined
        : element(
            "th",
            { scope: "colgroup", colspan: products.length, class: "past past-begins" },
            "July 2016",
          ),
    ),
    element(
      "tr",
      {},
      element("th", { scope: "col" }, "Feature"),
      sheet.columns.map(({ title }) => element("th", { scope: "col", class: "column" }, visible(title))),
      products.map(({ name }, i) => element("th", { scope: "col", class: pastClass(i) }, name)),
    ),
  );
}

function groupHead(sheet: Sheet, table: DeckTable | undefined, title: string): Html {
  const others = (table?.products.length ?? 0) + sheet.columns.length;
  return element(
    "tr",
    { class: "group" },
    element("th", { scope: "rowgroup" }, title),
    element("td", { colspan: others }),
  );
}

function rowPart(sheet: Sheet, table: DeckTable | undefined, row: Row): Html {
  return element(
    "tr",
    {},
    element(
      "th",
      { scope: "row" },
      visible(row.title),
      row.question === "" ? undefined : element("span", { class: "quiet" }, visible(row.question)),
    ),
    sheet.columns.map((column) =>
      todayCell(column.cells.get(row.key), anchorOf(sheet, column, row), was(table, column, row)),
    ),
    table?.products.map((product, i) => {
      const maturity = deckCell(table, row.key, product);
      return element(
        "td",
        { class: pastClass(i) },
        maturity === undefined ? undefined : maturityText(maturity),
      );
    }),
  );
}

/** A line before the first column of 2016. */
function pastClass(i: number): string {
  return i === 0 ? "past past-begins" : "past";
}

/** What the same software had in 2016. */
function was(table: DeckTable | undefined, column: Column, row: Row): Child {
  const product = table?.products.find(({ today }) => today.test(column.title));
  const maturity = table && product && deckCell(table, row.key, product);
  return maturity === undefined
    ? undefined
    : element("span", { class: "was" }, `2016: ${maturityText(maturity)}`);
}

function todayCell(cell: Cell | undefined, anchor: string, past: Child): Html {
  if (cell === undefined) return element("td", { class: "past" }, "not probed");
  const { symbol, word } = VERDICTS[cell.verdict];
  return element(
    "td",
    { class: `v-${cell.verdict.replace(" ", "-")}` },
    element(
      "a",
      { class: "pill", id: `at-${anchor}`, href: `#${anchor}` },
      element("span", { "aria-hidden": "true" }, `${symbol} `),
      word,
    ),
    cell.confidence === "guess" ? " ~" : undefined,
    past,
  );
}

function tableFoot(sheet: Sheet, table: DeckTable): Html {
  return element(
    "tfoot",
    {},
    element(
      "tr",
      {},
      element("th", { scope: "row" }, "Released of 2016's rows"),
      sheet.columns.map((column) => element("td", {}, deckScore(sheet, column))),
      table.products.map((product, i) => {
        const cells = table.features.map(({ key }) => deckCell(table, key, product));
        const released = cells.filter((cell) => cell === "released").length;
        return element("td", { class: pastClass(i) }, `${released} of ${cells.length}`);
      }),
    ),
  );
}

function evidence(sheets: readonly Sheet[]): Html {
  return element(
    "section",
    { class: "evidence" },
    element("h2", {}, "Evidence"),
    element("p", { class: "quiet" }, "A line opens to its exchange. What is open is also printed."),
    sheets.flatMap((sheet) => [
      sheets.length > 1 ? element("p", { class: "quiet" }, sheet.title) : undefined,
      evidenceOf(sheet),
    ]),
  );
}
