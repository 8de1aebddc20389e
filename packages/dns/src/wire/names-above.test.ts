import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "./name.ts";
import { NamesAbove } from "./names-above.ts";

function above(...names: string[]): NamesAbove<string> {
  const things = new NamesAbove<string>();
  for (const name of names) things.set(parseName(name), name);
  return things;
}

test("the name itself comes before those above it, and names only as long as one here are not taken for it", () => {
  const things = above("example.", "a.b.example.");
  const rows: [name: string, found: string | undefined][] = [
    ["example.", "example."],
    ["EXAMPLE.", "example."],
    ["A.b.Example.", "a.b.example."],
    ["x.a.b.example.", "a.b.example."],
    ["b.example.", "example."],
    ["x.y.example.", "example."],
    ["yexample.", undefined],
    ["elpmaxe.", undefined],
    [".", undefined],
  ];
  for (const [name, found] of rows) assert.equal(things.closest(parseName(name)), found, name);
});

test("the root is above all names", () => {
  const things = above(".", "example.");
  assert.equal(things.closest(parseName("www.test.")), ".");
  assert.equal(things.closest(parseName(".")), ".");
});

test("what does not count is passed over", () => {
  const things = above("example.", "www.example.");
  const isOther = (thing: string): boolean => thing !== "www.example.";
  assert.equal(things.closest(parseName("a.www.example."), isOther), "example.");
  assert.equal(things.size, 2);
});

test("a name of 255 octets is found", () => {
  const label = "a".repeat(63);
  const name = `${label}.${label}.${label}.${"a".repeat(61)}.`;
  assert.equal(above(name).closest(parseName(name)), name);
});
