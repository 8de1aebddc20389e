import assert from "node:assert/strict";
import { test } from "node:test";
import { visible } from "./words.ts";

test("a text is shown as it is, as far as it is harmless and as long as the limit", () => {
  for (const text of ["", "plain", "ä \u{1f600} …", "x".repeat(2000)]) assert.equal(visible(text), text);
  assert.equal(visible("x".repeat(2001)), `${"x".repeat(2000)}…`);
});

test("what steers terminals or changes the look of others is written out", () => {
  assert.equal(visible("a\u001b[2J\nb"), "a\\u001b[2J\\u000ab");
  assert.equal(visible("a\u202eb\u{e0001}\ufffe"), "a\\u202eb\\ue0001\\ufffe");
  assert.equal(visible("lone \ud800"), "lone \ufffd");
});

test("the limit is of what is shown, and no character is shown in part", () => {
  for (const [text, max, shown] of [
    ["\n\n", 12, "\\u000a\\u000a"],
    ["\n\n", 11, "\\u000a…"],
    ["ab\n", 7, "ab…"],
    ["\n", 0, "…"],
    ["", 0, ""],
    ["a\u{1f600}b", 3, "a\u{1f600}…"],
    ["a\u{1f600}b", 2, "a…"],
    ["a\u{1f600}", 2, "a…"],
  ] as const)
    assert.equal(visible(text, max), shown, `${JSON.stringify(text)}, ${max}`);
});
