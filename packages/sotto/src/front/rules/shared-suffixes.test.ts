import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedSuffixes } from "./shared-suffixes.ts";

test("a suffix that is used again and again has a code, one that is used once has none", () => {
  const suffixes = new SharedSuffixes(4);
  for (let i = 0; i < 100; i++) {
    if (suffixes.codeOf(7) < 0) suffixes.note(7);
    suffixes.note(1000 + i);
  }
  const code = suffixes.codeOf(7);
  assert.ok(code >= 0);
  assert.equal(suffixes.refOf(code), 7);
  assert.equal(suffixes.codeOf(1003), -1);
});

test("no more codes are given away than there are", () => {
  const suffixes = new SharedSuffixes(4);
  for (let ref = 1; ref <= 10; ref++)
    for (let i = 0; i < 10 && suffixes.codeOf(ref) < 0; i++) suffixes.note(ref);
  const codes = Array.from({ length: 10 }, (_, i) => suffixes.codeOf(i + 1)).filter((code) => code >= 0);
  assert.deepEqual(codes, [0, 1, 2, 3]);
});
