/** What a defect turns: the cells of a probed fixture that differ from those of the good server. */
import type { ProbeReport } from "../model.ts";
import { IDLE_ROW, SERVER_CHECKS } from "./probe-server.ts";

/** All rows that need an answer cannot be tested. */
export const MUTE = "all that needs an answer: not testable";
/** All rows that need a TLS handshake cannot be tested. */
export const NO_HANDSHAKE = "all that needs a handshake: not testable";

/** `row: verdict` for each; rows of transports that the fixture has not got are left out. */
export function turnedCells(report: ProbeReport, good: ProbeReport): string[] {
  const verdicts = new Map(good.cells.map(({ row, verdict }) => [row, verdict]));
  const turned = report.cells.filter(
    ({ row, verdict }) => verdict !== "not applicable" && verdict !== verdicts.get(row),
  );
  const untestable = new Set(
    turned.filter(({ verdict }) => verdict === "not testable").map(({ row }) => row),
  );
  const told: string[] = [];
  for (const [word, rows] of [
    [MUTE, rowsThat(report, ["each", "best"])],
    [NO_HANDSHAKE, rowsThat(report, ["handshake"])],
  ] as const) {
    // Rows that are not testable with the good server either turn nothing.
    const counted = rows.filter((row) => verdicts.get(row) !== "not testable");
    if (counted.length === 0 || !counted.every((row) => untestable.has(row))) continue;
    told.push(word);
    for (const row of counted) untestable.delete(row);
    if (word === MUTE) untestable.delete(IDLE_ROW);
  }
  const single = turned.filter(({ row, verdict }) => verdict !== "not testable" || untestable.has(row));
  return [...told, ...single.map(({ row, verdict }) => `${row}: ${verdict}`)];
}

function rowsThat(report: ProbeReport, on: readonly string[]): string[] {
  const applicable = new Set(
    report.cells.filter(({ verdict }) => verdict !== "not applicable").map(({ row }) => row),
  );
  return SERVER_CHECKS.filter((check) => on.includes(check.on) && applicable.has(check.row)).map(
    ({ row }) => row,
  );
}
