import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import { BanEnds, type Ending } from "./ban-ends.ts";

test("whatever is added, delayed and taken out, the first is the one that ends first", () => {
  const random = new SeededRandom(7);
  const ends = new BanEnds<Ending>();
  const all: Ending[] = [];
  const some = (): Ending | undefined => all[random.uint16() % Math.max(1, all.length)];
  for (let i = 0; i < 5000; i++) {
    const one = some();
    const what = random.uint16() % 8;
    if (one === undefined || what < 4) {
      const added = { untilMs: random.uint16() % 500, place: -1 };
      all.push(added);
      ends.add(added);
    } else if (what < 6) {
      one.untilMs += random.uint16() % 500;
      ends.delayed(one);
    } else {
      all.splice(all.indexOf(one), 1);
      ends.remove(one);
    }
    assert.equal(ends.first?.untilMs, all.length === 0 ? undefined : Math.min(...all.map((o) => o.untilMs)));
  }
});
