/** What stands behind the cells: a part of the page for each target, and in it one that opens for each cell. */
import type { Cell, EvidenceStep, Row } from "../../model.ts";
import { describeOctets } from "../describe-octets.ts";
import { requirementReference, requirementWords } from "../requirement.ts";
import type { Column, Sheet } from "../sheet.ts";
import { CONFIDENCES, VERDICTS, visible } from "../words.ts";
import { type Child, element, type Html } from "./element.ts";
import { timeline, timeText } from "./timeline.ts";

/** Steps listed of one cell. */
const STEPS_MAX = 200;

/** The anchor of a cell: within what opens, so that browsers open it when it is gone to. */
export function anchorOf(sheet: Sheet, column: Column, row: Row): string {
  const key = row.key.replaceAll(/[^A-Za-z0-9-]/g, (character) => `_${character.charCodeAt(0)}`);
  return `${sheet.kind}-${sheet.columns.indexOf(column)}-${key}`;
}

/** The parts of all targets of a sheet. */
export function evidenceOf(sheet: Sheet): Html[] {
  return sheet.columns.map((column) => {
    const cells = sheet.groups.flatMap(({ rows }) =>
      rows.flatMap((row) => {
        const cell = column.cells.get(row.key);
        return cell === undefined ? [] : [cellPart(sheet, column, row, cell)];
      }),
    );
    const { report, title } = column;
    return element(
      "section",
      { class: "target" },
      element("h3", {}, visible(title)),
      element(
        "p",
        { class: "quiet" },
        title === report.target ? undefined : [element("code", {}, visible(report.target)), ", "],
        `probed ${visible(report.startedAt)}, took ${timeText(report.tookMs)}`,
      ),
      cells,
    );
  });
}

function cellPart(sheet: Sheet, column: Column, row: Row, cell: Cell): Html {
  const { symbol, word } = VERDICTS[cell.verdict];
  const anchor = anchorOf(sheet, column, row);
  return element(
    "details",
    { class: `cell v-${cell.verdict.replace(" ", "-")}` },
    element(
      "summary",
      {},
      element("span", { class: "pill" }, element("span", { "aria-hidden": "true" }, `${symbol} `), word),
      " ",
      element("span", { class: "title" }, visible(row.title)),
      ": ",
      element("span", { class: "observed" }, visible(cell.observed)),
    ),
    element(
      "div",
      { class: "inside", id: anchor },
      row.question === "" ? undefined : element("p", { class: "quiet" }, visible(row.question)),
      element("p", { class: "quiet" }, `${cell.confidence}: ${CONFIDENCES[cell.confidence]}`),
      requirements(cell.requirements),
      exchange(cell.evidence),
      element("p", { class: "back" }, element("a", { href: `#at-${anchor}` }, "back to the table")),
    ),
  );
}

function requirements(ids: readonly string[]): Child {
  if (ids.length === 0) return undefined;
  return [
    element("h4", {}, "Rests on"),
    element(
      "ul",
      {},
      ids.map((id) =>
        element(
          "li",
          {},
          element("strong", {}, requirementReference(id)),
          `: ${visible(requirementWords(id) ?? "not in the tables of this version")} `,
          element("span", { class: "quiet" }, `[${visible(id)}]`),
        ),
      ),
    ),
  ];
}

function exchange(steps: readonly EvidenceStep[]): Child {
  if (steps.length === 0) return element("p", { class: "quiet" }, "No exchange was recorded.");
  return [
    element("h4", {}, "Exchange"),
    timeline(steps),
    element("ol", { class: "steps" }, steps.slice(0, STEPS_MAX).map(stepPart)),
    steps.length > STEPS_MAX ? element("p", {}, `and ${steps.length - STEPS_MAX} more steps`) : undefined,
  ];
}

function stepPart({ atMs, who, what, octets }: EvidenceStep): Html {
  return element(
    "li",
    {},
    element("span", { class: "time" }, timeText(atMs)),
    " ",
    element("span", { class: `who ${who}` }, WHO[who]),
    ` ${visible(what)}`,
    octets === undefined ? undefined : octetsPart(octets),
  );
}

const WHO: Readonly<Record<EvidenceStep["who"], string>> = {
  prober: "prober →",
  target: "target ←",
  note: "·",
};

function octetsPart(octets: string): Html {
  const { title, lines, dump } = describeOctets(octets);
  return element(
    "details",
    { class: "octets" },
    element("summary", {}, title),
    element(
      "ul",
      {},
      lines.map((line) => element("li", {}, line)),
    ),
    // Line ends are markup here, not a text of others, in which they would be shown as escapes.
    element(
      "div",
      { class: "dump", role: "group", "aria-label": "octets" },
      dump.map((line) => element("code", {}, line)),
    ),
  );
}
