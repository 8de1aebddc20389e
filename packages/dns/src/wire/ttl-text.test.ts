import assert from "node:assert/strict";
import { test } from "node:test";
import { looksLikeTtl, tryParseTtl } from "./ttl-text.ts";

test("TTLs are seconds or sums of units", () => {
  const table: readonly (readonly [string, number])[] = [
    ["0", 0],
    ["300", 300],
    ["1h30m", 5400],
    ["1W2D3H4M5S", 788_645],
    ["1d", 86_400],
    ["5m30", 330],
    ["2147483647", 0x7fff_ffff],
  ];
  for (const [text, seconds] of table) {
    assert.equal(looksLikeTtl(text), true, text);
    assert.deepEqual(tryParseTtl(text), { ok: true, value: seconds }, text);
  }
});

test("what is not a TTL, or over 31 bits, is a problem", () => {
  for (const text of ["", "-1", "1.5", "h", "1x", "2147483648", "99999999999", "3551w", "1h h", " 1"])
    assert.equal(tryParseTtl(text).ok, false, text);
});

test("mnemonics, names and addresses do not look like TTLs", () => {
  for (const text of ["A", "IN", "TYPE1", "192.0.2.1", "h", "", "\\# 1", "2001:db8::"])
    assert.equal(looksLikeTtl(text), false, text);
});
