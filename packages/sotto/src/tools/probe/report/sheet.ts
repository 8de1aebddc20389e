/** Reports of one kind side by side, which is what every form of output shows. */
import type { Cell, ProbeReport, Row, Verdict } from "../model.ts";
import { deckTable } from "./deck-2016.ts";

/** A report with what its column is called. */
export interface TitledReport {
  readonly title: string;
  readonly report: ProbeReport;
}

/** One target of a sheet. */
export interface Column extends TitledReport {
  readonly cells: ReadonlyMap<string, Cell>;
}

/** Rows that belong together. */
export interface RowGroup {
  /** `TCP/TLS` and `TLS` are the groups of 2016. */
  readonly title: string;
  readonly rows: readonly Row[];
}

/** A table: its rows in groups, its columns. */
export interface Sheet {
  readonly kind: ProbeReport["kind"];
  readonly title: string;
  readonly groups: readonly RowGroup[];
  readonly columns: readonly Column[];
}

/** The rows that a kind of probe has. */
export type RowsOf = (kind: ProbeReport["kind"]) => readonly Row[];

/** A sheet for each kind of which there is a report; columns keep the order of the reports. */
export function sheetsOf(reports: readonly TitledReport[], rowsOf: RowsOf): Sheet[] {
  return KINDS.flatMap(([kind, title]) => {
    const columns = reports
      .filter(({ report }) => report.kind === kind)
      .map((one) => ({ ...one, cells: new Map(one.report.cells.map((cell) => [cell.row, cell])) }));
    return columns.length === 0
      ? []
      : [{ kind, title, groups: groupsOf(kind, columns, rowsOf(kind)), columns }];
  });
}

const KINDS = [
  ["server", "Servers"],
  ["client", "Clients"],
  ["path", "Paths"],
] as const;

/** Rows of 2016 always stand; others where a column has something to say. A row that is not known here is called by its key. */
function groupsOf(kind: Sheet["kind"], columns: readonly Column[], rows: readonly Row[]): RowGroup[] {
  const features = deckTable(kind)?.features ?? [];
  const known = new Map(rows.map((row) => [row.key, row]));
  const used = new Set(columns.flatMap(({ report }) => report.cells.map((cell) => cell.row)));
  const ofDeck = (group: string): Row[] =>
    features
      .filter((feature) => feature.group === group)
      .map(({ key, title }) => known.get(key) ?? { key, title, question: "" });
  const deckKeys = new Set(features.map(({ key }) => key));
  const later = rows.filter(({ key }) => used.has(key) && !deckKeys.has(key));
  const unknown = [...used].filter((key) => !known.has(key) && !deckKeys.has(key));
  const groups = [
    { title: "TCP/TLS", rows: ofDeck("TCP/TLS") },
    { title: "TLS", rows: ofDeck("TLS") },
    { title: features.length === 0 ? "" : "Since 2016", rows: later },
    { title: unknownTitle(unknown.length), rows: unknown.slice(0, UNKNOWN_ROWS_MAX).map(rowByKey) },
  ];
  return groups.filter((group) => group.rows.length > 0);
}

function rowByKey(key: string): Row {
  return { key, title: key, question: "" };
}

function unknownTitle(count: number): string {
  const left = count > UNKNOWN_ROWS_MAX ? `, the first ${UNKNOWN_ROWS_MAX} of ${count}` : "";
  return `Not known to this version${left}`;
}

/** Rows shown of those that only a report knows, whose file may come from anybody. JSON and exit codes have all of them. */
const UNKNOWN_ROWS_MAX = 100;

/** All cells of a sheet, row by row; `cell` is undefined where a target has none. */
export function* cellsOf(sheet: Sheet): Generator<{ row: Row; column: Column; cell: Cell | undefined }> {
  for (const { rows } of sheet.groups)
    for (const row of rows)
      for (const column of sheet.columns) yield { row, column, cell: column.cells.get(row.key) };
}

/** True when nothing that a target has was seen: it is dead, or could not be reached. */
export function isSilent({ cells }: ProbeReport): boolean {
  return !cells.some(({ verdict }) => SEEN.has(verdict));
}

const SEEN: ReadonlySet<Verdict> = new Set<Verdict>(["released", "partial", "off", "broken"]);

/** `7 of 7`: released rows among those of 2016 that apply to the target. */
export function deckScore(sheet: Sheet, column: Column): string {
  const features = deckTable(sheet.kind)?.features ?? [];
  const cells = features.map(({ key }) => column.cells.get(key)?.verdict);
  const applicable = cells.filter((verdict) => verdict !== "not applicable");
  return `${applicable.filter((verdict) => verdict === "released").length} of ${applicable.length}`;
}
