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
    assert.equal(between(own, ...others).receiver(0), receiver, name);
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
    receivers.push(first.receiver(0));
  }
  assert.deepEqual(receivers, [1, 1, undefined, undefined, undefined]);
});

test("between two looks at the loads no more than some move", () => {
  const first = between(1, 0);
  const given = Array.from({ length: 100 }, () => first.receiver(1000)).filter(
    (one) => one !== undefined,
  ).length;
  assert.equal(given, 64);
  first.tell(1);
  assert.equal(first.receiver(0), 1);
});

test("a worker that has not told anything gets nothing", () => {
  const loads = makeWorkerLoads(2);
  const first = new HandOver(loads, 0);
  first.tell(1);
  for (const connections of [0, 100]) assert.equal(first.receiver(connections), undefined);
});

/** Two workers that have nothing to do yet, with so many connections each. */
function idleWith(own: number, other: number): readonly [first: HandOver, second: HandOver] {
  const loads = makeWorkerLoads(2);
  const both = [new HandOver(loads, 0), new HandOver(loads, 1)] as const;
  for (const [i, connections] of [own, other].entries()) {
    both[i]?.tell(0);
    both[i]?.has(connections);
  }
  return both;
}

test("who has far more connections than another gives before anybody is busy", () => {
  for (const [own, other, receiver] of [
    [7, 0, undefined],
    [8, 0, 1],
    [63, 56, undefined],
    [64, 56, 1],
    [1000, 876, undefined],
    [1000, 875, 1],
  ] as const)
    assert.equal(idleWith(own, other)[0].receiver(own), receiver, `${own} and ${other}`);
});

test("few connections do not make a worker a receiver that is busier", () => {
  for (const [own, other, receiver] of [
    [0, 0.1, 1],
    [0, 0.11, undefined],
    [0.45, 0.5, 1],
    [0.9, 1, 1],
    [0.6, 0.71, undefined],
  ] as const) {
    const [first, second] = idleWith(100, 0);
    first.tell(own);
    second.tell(other);
    assert.equal(first.receiver(100), receiver, `${own} and ${other}`);
  }
});

for (const arrival of ["at once", "late"])
  test(`a burst is spread while nobody has told anything of it, and what is given arrives ${arrival}`, () => {
    const [first, second] = idleWith(0, 0);
    let own = 0;
    let other = 0;
    let late = 0;
    // The kernel gives two of three to the first one.
    for (let i = 0; i < 90; i++) {
      if (i % 3 === 2) {
        assert.equal(second.receiver(other), undefined);
        other++;
      } else if (first.receiver(own) === undefined) own++;
      else if (arrival === "at once") {
        other++;
        second.took();
      } else late++;
    }
    assert.ok(Math.abs(own - other - late) <= 10, `${own} and ${other + late}`);
  });

// Its count of what was on its way became negative, and it looked emptier than it was by all that it had just taken.
test("what arrives after a report, or comes back, is not taken off twice", () => {
  const [first, second] = idleWith(64, 48);
  for (let i = 0; i < 8; i++) assert.equal(first.receiver(64), 1);
  second.tell(0);
  for (let i = 0; i < 8; i++) second.took();
  second.has(60);
  assert.equal(first.receiver(64), undefined, "64 are not far more than 60");
});

// A hundred connections came at once, the one worker was told busy with handshakes in the middle of it, and the other got all that were left.
test("one saturated report does not send all to who has more connections already, two in a row do", () => {
  const [first, second] = idleWith(40, 40);
  const given = (): number =>
    Array.from({ length: 30 }, () => first.receiver(40)).filter((one) => one === 1).length;
  first.tell(0.9);
  second.tell(0.2);
  assert.equal(given(), 8);
  first.tell(0.9);
  second.tell(0.2);
  assert.equal(given(), 30);
});
