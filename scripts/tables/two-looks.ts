/** A client that was looked at twice: beside the others, and again alone where something was wrong. */
import type { Cell, TitledReport } from "../../packages/sotto/src/tools/probe/index.ts";

/** Rows that are looked at again: clients give up after some seconds, which others on the processor can cost them. */
export function rowsToRepeat({ report }: TitledReport): string[] {
  return report.cells
    .filter(({ verdict }) => verdict === "broken" || verdict === "partial")
    .map(({ row }) => row);
}

/**
 * Both looks in one report. Where they agree the cell stands as it was seen alone; where they differ that is told, and what
 * was seen alone is a guess; so is the first look when the second one saw nothing.
 */
export function bothLooks(first: TitledReport, second: TitledReport): TitledReport {
  const anew = new Map(second.report.cells.map((cell) => [cell.row, cell]));
  const cells = first.report.cells.map((cell) => {
    const again = anew.get(cell.row);
    return again === undefined ? cell : joined(cell, again);
  });
  return { title: first.title, report: { ...first.report, cells } };
}

/** Rows of which the two looks say different things, a sentence each. */
export function differingLooks(first: TitledReport, second: TitledReport): string[] {
  return second.report.cells.flatMap((again) => {
    const before = first.report.cells.find(({ row }) => row === again.row);
    return before === undefined || before.verdict === again.verdict
      ? []
      : [`${again.row} was ${before.verdict} beside the others, and is ${again.verdict} alone`];
  });
}

function joined(first: Cell, second: Cell): Cell {
  const fromMs = first.evidence.at(-1)?.atMs ?? 0;
  const evidence: Cell["evidence"] = [
    { atMs: 0, who: "note", what: "first look, beside other clients" },
    ...first.evidence,
    { atMs: fromMs, who: "note", what: "second look, alone" },
    ...second.evidence.map((step) => ({ ...step, atMs: fromMs + step.atMs })),
  ];
  if (first.verdict === second.verdict) return { ...second, evidence };
  if (second.verdict === "not testable") {
    const observed = `two looks differ: beside other clients ${first.observed}; alone it was not testable: ${second.observed}`;
    return { ...first, confidence: "guess", observed, evidence };
  }
  const observed = `two looks differ: alone ${second.observed}; beside other clients it was ${first.verdict}: ${first.observed}`;
  return { ...second, confidence: "guess", observed, evidence };
}
