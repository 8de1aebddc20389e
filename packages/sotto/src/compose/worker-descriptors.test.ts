import assert from "node:assert/strict";
import { test } from "node:test";
import { DescriptorsUnderWay, makeDescriptorMemory, UNDER_WAY_MAX } from "./worker-descriptors.ts";

const fdsOf = (taken: readonly { readonly fd: number }[]): number[] => taken.map(({ fd }) => fd);

test("a descriptor is whoever's takes it first, and nobody's afterwards", () => {
  const memory = makeDescriptorMemory(2);
  const [giver, taker] = [new DescriptorsUnderWay(memory), new DescriptorsUnderWay(memory)];
  const pass = giver.put(0, 0, 1);
  assert.ok(pass);
  assert.equal(taker.take(pass), 0, "0 is a descriptor as any other");
  assert.equal(giver.take(pass), undefined);
  assert.deepEqual(giver.takeAll("receiver", 1), []);
});

test("an old message does not fetch what stands in the same place now", () => {
  const underWay = new DescriptorsUnderWay(makeDescriptorMemory(2));
  const old = underWay.put(70, 0, 1);
  assert.ok(old);
  assert.deepEqual(fdsOf(underWay.takeAll("receiver", 1)), [70]);
  const next = underWay.put(71, 0, 1);
  assert.equal(next?.place, old.place);
  assert.equal(underWay.take(old), undefined);
  assert.equal(underWay.take(next), 71);
});

test("all that are on their way to a worker, or from it, can be taken", () => {
  const underWay = new DescriptorsUnderWay(makeDescriptorMemory(3));
  for (const [fd, giver, receiver] of [
    [70, 0, 1],
    [71, 0, 2],
    [72, 2, 1],
    [73, 1, 0],
  ] as const)
    underWay.put(fd, giver, receiver);
  assert.deepEqual(fdsOf(underWay.takeAll("receiver", 1)), [70, 72]);
  assert.deepEqual(fdsOf(underWay.takeAll("giver", 0)), [71]);
  assert.deepEqual(fdsOf(underWay.takeAll("giver", 1)), [73]);
});

test("as many as there may be are under way, and no more, from each", () => {
  const underWay = new DescriptorsUnderWay(makeDescriptorMemory(2));
  const put = (giver: number): unknown => underWay.put(70, giver, 1 - giver);
  for (let i = 0; i < UNDER_WAY_MAX; i++) assert.ok(put(0));
  assert.equal(put(0), undefined);
  assert.ok(put(1));
  assert.equal(underWay.takeAll("receiver", 1).length, UNDER_WAY_MAX);
  assert.ok(put(0));
});
