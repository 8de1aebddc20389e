import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
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

/** Entries that are neither in the map nor anywhere else are gone from memory, whatever the map has been through before. */
async function assertForgets(
  replace: (map: BudgetMap<BudgetEntry>, old: BudgetEntry[]) => void,
): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const map = new BudgetMap(100 * 1000);
  // It has been full, and something had to leave.
  for (let i = 0; i < 1500; i++) map.store(`k${i}`, entry(100));
  const old = Array.from({ length: 1000 }, () => entry(100));
  for (const [i, one] of old.entries()) map.store(`k${i}`, one);
  const gone = old.map((one) => new WeakRef(one));
  replace(map, old);
  old.length = 0;
  await setImmediate();
  collect();
  const left = gone.filter((one) => one.deref() !== undefined).length;
  assert.ok(left <= 125, `${left} entries that were replaced are still in memory`);
  assert.ok(map.use.bytes <= 100 * 1000);
}

test("what is replaced in a map that was full is given back to memory although nothing has to leave", async () => {
  // The list of what is old stood still, and held all that V8 had made anew since: 16 MB more for each round through the cache.
  await assertForgets((map) => {
    for (let round = 0; round < 3; round++) for (let i = 0; i < 1000; i++) map.store(`k${i}`, entry(100));
  });
});

test("what is flushed or cleared in a map that was full is given back to memory", async () => {
  await assertForgets((map) => map.clear());
  await assertForgets((map, old) => {
    map.deleteWhere((one) => old.includes(one));
  });
});

test("a map that was cleared or flushed while full goes on with the oldest of what came since", () => {
  const empties: ((map: BudgetMap<BudgetEntry>) => void)[] = [
    (map) => map.clear(),
    (map) => void map.deleteWhere(() => true),
    (map) => {
      for (let i = 0; i < 10; i++) map.delete(`k${i}`);
    },
  ];
  for (const empty of empties) {
    const map = new BudgetMap(500);
    for (let i = 0; i < 10; i++) map.store(`k${i}`, entry(100));
    empty(map);
    for (let i = 0; i < 7; i++) map.store(`n${i}`, entry(100));
    const left = Array.from({ length: 7 }, (_, i) => i).filter((i) => map.find(`n${i}`, 0) !== undefined);
    assert.deepEqual(left, [2, 3, 4, 5, 6]);
    assert.deepEqual([map.use.entries, map.use.bytes], [5, 500]);
  }
});

test("what leaves is what would leave if the list of old ones were made anew each time", () => {
  const [bytesMax, names] = [3000, 60];
  const map = new BudgetMap(bytesMax);
  const plain = new Map<string, { bytes: number; isUsed: boolean }>();
  let plainBytes = 0;
  const remove = (key: string): void => {
    plainBytes -= plain.get(key)?.bytes ?? 0;
    plain.delete(key);
  };
  const store = (key: string, bytes: number): void => {
    remove(key);
    for (const [old, slot] of plain) {
      if (plainBytes + bytes <= bytesMax) break;
      plain.delete(old);
      if (slot.isUsed) plain.set(old, { ...slot, isUsed: false });
      else plainBytes -= slot.bytes;
    }
    plain.set(key, { bytes, isUsed: false });
    plainBytes += bytes;
  };
  let state = 11;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % limit;
  };
  for (let i = 0; i < 20_000; i++) {
    const key = `k${below(names)}`;
    const act = below(100);
    if (act === 0) {
      for (const one of [...plain.keys()]) if (one > "k4") remove(one);
      for (let n = 0; n < names; n++) if (`k${n}` > "k4") map.delete(`k${n}`);
    } else if (act < 10) {
      remove(key);
      map.delete(key);
    } else if (act < 40) {
      const slot = plain.get(key);
      if (slot !== undefined) slot.isUsed = true;
      assert.equal(map.find(key, 0)?.bytes, slot?.bytes, `step ${i}`);
    } else {
      const bytes = 20 + below(200);
      store(key, bytes);
      map.store(key, entry(bytes));
    }
    assert.deepEqual([map.use.entries, map.use.bytes], [plain.size, plainBytes], `step ${i}`);
  }
  assert.ok(map.use.evictions > 1000);
});
