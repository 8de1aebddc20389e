import assert from "node:assert/strict";
import { test } from "node:test";
import type { GapCell, Word } from "./gap-cell.ts";
import { isShort, joinedCells, takeGapCell } from "./gap-cell.ts";
import { gapPage, gapTable } from "./gap-page.ts";

function cell(front: string, word: Word, evidence = "seen"): GapCell {
  return { front, backend: "serial", row: "padding", word, evidence: [evidence], traces: [] };
}

test("the table has a column for each front end, and words in every cell", () => {
  const table = gapTable([cell("nginx", "none"), cell("sotto", "full")]);
  assert.match(table, /\| \| nginx \| sotto \|/);
  assert.match(table, /\| Padding of answers \| ○ none \| ● full \|/);
  assert.match(table, /\| Pipelining \| – \| – \|/);
});

test("the page has what was observed, with what would break a table taken out", () => {
  const environment = { node: "26", openssl: "3", kernel: "6", processor: "p", cores: 2, packages: {} };
  const page = gapPage(environment, [cell("nginx", "partial", "a|b\nc")]);
  assert.match(page, /\| nginx \| partial \| a\\\|b c \|/);
});

// "None" says that the program has not got it; a probe that failed has not seen that.
test("a probe that fails is a cell that was not tested, and says why", async () => {
  const where = { front: "nginx", backend: "udp", row: "order" } as const;
  const taken = await takeGapCell(where, () => Promise.reject(new Error("no TLS connection")));
  assert.deepEqual([taken.word, taken.problem], ["not testable", "no TLS connection"]);
  assert.deepEqual(taken.evidence, ["the probe failed: no TLS connection"]);
});

test("of two situations one that failed is not the answer of both", () => {
  const failed: GapCell = { ...cell("nginx", "not testable", "failed"), problem: "gone" };
  const words = (one: GapCell, other: GapCell): Word => joinedCells(one, other).word;
  assert.equal(words(cell("nginx", "full"), failed), "not testable");
  assert.equal(words(failed, cell("nginx", "untrue")), "untrue");
  assert.equal(words(failed, cell("nginx", "none")), "none");
  assert.equal(words(cell("nginx", "full"), cell("nginx", "full")), "full");
  assert.equal(words(cell("nginx", "full"), cell("nginx", "none")), "none");
  const both = joinedCells(cell("nginx", "full"), failed);
  assert.deepEqual([both.evidence, both.problem], [["seen", "failed"], "gone"]);
});

test("our front end that did not start is short in all rows, and without Fast Open it is in none", () => {
  // Its rows were all not testable, which counted as good.
  const short = (row: GapCell["row"], word: Word, front = "sotto", problem?: string): boolean =>
    isShort({ front, row, word, problem });
  assert.ok(short("order", "not testable"));
  assert.ok(short("fastOpen", "none"));
  assert.ok(!short("fastOpen", "not testable"));
  assert.ok(short("fastOpen", "not testable", "sotto", "the probe failed"));
  assert.ok(!short("order", "full"));
  assert.ok(!short("order", "none", "nginx"));
});
