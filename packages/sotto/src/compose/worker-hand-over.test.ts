import assert from "node:assert/strict";
import { test } from "node:test";
import { HandOver, makeWorkerLoads } from "./worker-hand-over.ts";

function between(own: number, ...others: number[]): HandOver {
  const loads = makeWorkerLoads(1 + others.length);
  for (const [i, load] of others.entries()) new HandOver(loads, i + 1).tell(load);
  const first = new HandOver(loads, 0);
  first.tell(own);
  return first;
}

test("only a saturated worker gives, and only to one with room, the idlest first", () => {
  for (const [name, own, others, receiver] of [
    ["nothing to do", 0.1, [0], undefined],
    ["busy", 0.84, [0], undefined],
    ["saturated", 0.85, [0.5], 1],
    ["all are busy", 1, [0.51, 0.9], undefined],
    ["the idlest", 1, [0.4, 0.1, 0.3], 2],
  ] as const)
    assert.equal(between(own, ...others).receiver(), receiver, name);
});

test("giving goes on until there is some room", () => {
  const loads = makeWorkerLoads(2);
  const [first, second] = [new HandOver(loads, 0), new HandOver(loads, 1)];
  const receivers: (number | undefined)[] = [];
  for (const [own, other] of [
    [0.9, 0.2],
    [0.75, 0.6],
    [0.69, 0.6],
    [0.75, 0.2],
    [0.9, 0.6],
  ] as const) {
    first.tell(own);
    second.tell(other);
    receivers.push(first.receiver());
  }
  assert.deepEqual(receivers, [1, 1, undefined, undefined, undefined]);
});

test("between two looks at the loads no more than some move", () => {
  const first = between(1, 0);
  const given = Array.from({ length: 100 }, () => first.receiver()).filter((one) => one !== undefined).length;
  assert.equal(given, 64);
  first.tell(1);
  assert.equal(first.receiver(), 1);
});

test("a worker that has not told anything gets nothing", () => {
  const loads = makeWorkerLoads(2);
  const first = new HandOver(loads, 0);
  first.tell(1);
  assert.equal(first.receiver(), undefined);
});
