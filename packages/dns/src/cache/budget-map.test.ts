import assert from "node:assert/strict";
import { test } from "node:test";
import { type BudgetEntry, BudgetMap } from "./budget-map.ts";

const entry = (bytes: number, expiresAtMs = 1000): BudgetEntry => ({ bytes, expiresAtMs });

test("the budget is never exceeded, whatever is stored, replaced and deleted", () => {
  const map = new BudgetMap(1000);
  let state = 7;
  for (let i = 0; i < 5000; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const key = `k${state % 50}`;
    if (state % 7 === 0) map.delete(key);
    else map.store(key, entry((state >>> 8) % 1200));
    assert.ok(map.use.bytes <= 1000);
  }
  let bytes = 0;
  for (let i = 0; i < 50; i++) bytes += map.find(`k${i}`, 0)?.bytes ?? 0;
  assert.equal(bytes, map.use.bytes);
});

test("what was used last stays when others must leave", () => {
  const map = new BudgetMap(300);
  for (const key of ["a", "b", "c"]) map.store(key, entry(100));
  map.find("a", 0);
  map.store("d", entry(100));
  assert.notEqual(map.find("a", 0), undefined);
  assert.equal(map.find("b", 0), undefined);
  assert.equal(map.use.evictions, 1);
});

test("an entry of exactly the budget is stored and one byte more is not", () => {
  const map = new BudgetMap(100);
  assert.equal(map.store("a", entry(100)), true);
  assert.equal(map.store("a", entry(101)), false);
  assert.equal(map.use.entries, 0);
});

test("an expired entry is not given out and its bytes are free", () => {
  const map = new BudgetMap(100);
  map.store("a", entry(60, 1000));
  assert.notEqual(map.find("a", 999), undefined);
  assert.equal(map.find("a", 1000), undefined);
  assert.equal(map.use.bytes, 0);
});
