import assert from "node:assert/strict";
import { test } from "node:test";
import type { Cell, TitledReport } from "../../packages/sotto/src/tools/probe/index.ts";
import { bothLooks, differingLooks, rowsToRepeat } from "./two-looks.ts";

function cell(row: string, verdict: Cell["verdict"], observed: string, atMs: number): Cell {
  const evidence = [{ atMs, who: "target" as const, what: observed }];
  return { row, verdict, confidence: "certain", observed, requirements: [], evidence };
}

function reportOf(cells: readonly Cell[]): TitledReport {
  const report = { kind: "client", target: "kdig", startedAt: "2026-01-01T00:00:00.000Z", tookMs: 1, cells };
  return { title: "kdig", report: { ...report, kind: "client" } };
}

const FIRST = reportOf([
  cell("tls", "released", "a query over TLS", 5),
  cell("reuse", "broken", "no answer", 40),
  cell("faults", "partial", "two of three", 50),
]);

test("what was broken or partial is looked at again", () => {
  assert.deepEqual(rowsToRepeat(FIRST), ["reuse", "faults"]);
});

// The second look replaced the first, so that a client that fails every other time was released.
test("two looks that differ are told, and the one alone is a guess", () => {
  const second = reportOf([cell("reuse", "released", "three queries on one connection", 7)]);
  const reuse = bothLooks(FIRST, second).report.cells[1];
  assert.deepEqual([reuse?.verdict, reuse?.confidence], ["released", "guess"]);
  assert.equal(
    reuse?.observed,
    "two looks differ: alone three queries on one connection; beside other clients it was broken: no answer",
  );
  assert.deepEqual(
    reuse.evidence.map(({ atMs, what }) => [atMs, what]),
    [
      [0, "first look, beside other clients"],
      [40, "no answer"],
      [40, "second look, alone"],
      [47, "three queries on one connection"],
    ],
  );
  assert.deepEqual(differingLooks(FIRST, second), [
    "reuse was broken beside the others, and is released alone",
  ]);
});

test("two looks that agree keep the evidence of both and the confidence of the second", () => {
  const second = reportOf([cell("faults", "partial", "one of three", 9)]);
  const both = bothLooks(FIRST, second).report.cells;
  assert.deepEqual(
    [both[2]?.observed, both[2]?.confidence, both[2]?.evidence.length],
    ["one of three", "certain", 4],
  );
  assert.equal(both[0], FIRST.report.cells[0]);
  assert.deepEqual(differingLooks(FIRST, second), []);
});

test("a second look that saw nothing does not take the first one away", () => {
  const second = reportOf([cell("reuse", "not testable", "the prober failed: no port", 9)]);
  const reuse = bothLooks(FIRST, second).report.cells[1];
  assert.deepEqual([reuse?.verdict, reuse?.confidence], ["broken", "guess"]);
  assert.match(reuse?.observed ?? "", /no answer; alone it was not testable: the prober failed: no port/);
});
