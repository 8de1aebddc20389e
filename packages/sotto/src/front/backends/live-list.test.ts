import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import { LiveList } from "./live-list.ts";

test("a live list has what was added and not removed", () => {
  const random = new SeededRandom(3);
  const list = new LiveList<{ index: number }>();
  const all = Array.from({ length: 50 }, () => ({ index: -1 }));
  const expected = new Set<{ index: number }>();
  for (let step = 0; step < 5000; step++) {
    const one = all[random.below(all.length)];
    assert.ok(one);
    assert.equal(list.has(one), expected.has(one), `step ${step}`);
    if (expected.delete(one)) list.remove(one);
    else {
      list.add(one);
      expected.add(one);
    }
    assert.equal(list.length, expected.size);
    assert.deepEqual(new Set(list.values()), expected);
  }
});

test("removing what is not there changes nothing", () => {
  const list = new LiveList<{ index: number }>();
  const [one, other] = [{ index: -1 }, { index: -1 }];
  list.add(one);
  list.remove(other);
  list.remove({ index: 0 });
  assert.deepEqual(list.values(), [one]);
});
