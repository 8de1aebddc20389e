import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import { parseName, RRType } from "@sotto/dns/wire";
import { type Balancing, type Candidate, choose, hashQuestion, hashText } from "./balancing.ts";

type Fake = { -readonly [key in keyof Candidate]: Candidate[key] };

function candidates(weights: readonly number[]): Fake[] {
  return weights.map((weight, i) => ({
    isUsable: true,
    weight,
    outstanding: 0,
    latencyMs: 0,
    hash: hashText(`backend ${i}`),
    credit: 0,
  }));
}

/** How often each is chosen for so many different questions. */
function counts(balancing: Balancing, among: readonly Candidate[], rounds = 20_000): number[] {
  const random = new SeededRandom(5);
  const chosen = among.map(() => 0);
  for (let i = 0; i < rounds; i++) {
    const index = choose(balancing, among, hashOf(i), random);
    chosen[index] = (chosen[index] ?? 0) + 1;
  }
  return chosen;
}

function hashOf(nth: number): number {
  const name = parseName(`n${nth}.example.`);
  return hashQuestion({ name, type: RRType.A, class: 1 });
}

function assertShares(chosen: readonly number[], expected: readonly number[], tolerance: number): void {
  const all = chosen.reduce((sum, count) => sum + count, 0);
  for (const [i, count] of chosen.entries())
    assert.ok(Math.abs(count / all - (expected[i] ?? 0)) < tolerance, `${chosen} instead of ${expected}`);
}

test("ordered takes the first that is usable", () => {
  const among = candidates([1, 1, 1]);
  assert.equal(choose("ordered", among, 0, new SeededRandom(1)), 0);
  for (const one of among.slice(0, 2)) one.isUsable = false;
  assert.equal(choose("ordered", among, 0, new SeededRandom(1)), 2);
});

test("whatever the balancing, nobody usable gives -1, and only usable ones are chosen", () => {
  const all = ["ordered", "round robin", "weighted random", "least outstanding", "fastest", "hash"] as const;
  for (const balancing of all) {
    const among = candidates([1, 2, 3]);
    for (const one of among) one.isUsable = false;
    assert.equal(choose(balancing, among, 1, new SeededRandom(1)), -1, balancing);
    const [, second] = among;
    assert.ok(second);
    second.isUsable = true;
    assert.deepEqual(counts(balancing, among, 200), [0, 200, 0], balancing);
  }
});

test("round robin gives exact shares and spreads the heavy one", () => {
  const among = candidates([5, 1, 1]);
  const random = new SeededRandom(1);
  const order = Array.from({ length: 14 }, () => choose("round robin", among, 0, random));
  assert.deepEqual(order, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
});

test("random, hash and round robin follow the weights", () => {
  for (const balancing of ["round robin", "weighted random", "hash"] as const)
    assertShares(counts(balancing, candidates([1, 2, 1])), [0.25, 0.5, 0.25], 0.02);
});

test("least outstanding looks at weights, and equals share", () => {
  const among = candidates([1, 1, 2]);
  const [first, second, third] = among;
  assert.ok(first && second && third);
  first.outstanding = 4;
  second.outstanding = 3;
  third.outstanding = 6;
  assert.equal(choose("least outstanding", among, 0, new SeededRandom(1)), 2);
  third.outstanding = 9;
  assert.equal(choose("least outstanding", among, 0, new SeededRandom(1)), 1);
  assertShares(counts("least outstanding", candidates([1, 1, 1, 1])), [0.25, 0.25, 0.25, 0.25], 0.02);
});

test("fastest takes the lowest latency, asks who is unknown first, and explores one in twenty", () => {
  const among = candidates([1, 1, 1]);
  for (const [i, one] of among.entries()) one.latencyMs = 10 + i;
  assertShares(counts("fastest", among), [0.95, 0.025, 0.025], 0.01);
  const [, , third] = among;
  assert.ok(third);
  third.latencyMs = 0;
  assertShares(counts("fastest", among), [0.025, 0.025, 0.95], 0.01);
});

test("the hash is stable: when a backend goes only its questions move, to all others; when it comes back they return", () => {
  const among = candidates([1, 1, 1, 1, 1]);
  const random = new SeededRandom(1);
  const before = Array.from({ length: 5000 }, (_, i) => choose("hash", among, hashOf(i), random));
  const [, , gone] = among;
  assert.ok(gone);
  gone.isUsable = false;
  const movedTo = [0, 0, 0, 0, 0];
  for (const [i, old] of before.entries()) {
    const now = choose("hash", among, hashOf(i), random);
    if (old !== 2) assert.equal(now, old);
    else movedTo[now] = (movedTo[now] ?? 0) + 1;
  }
  for (const other of [0, 1, 3, 4]) assert.ok((movedTo[other] ?? 0) > 150, `${movedTo}`);
  gone.isUsable = true;
  for (const [i, old] of before.entries()) assert.equal(choose("hash", among, hashOf(i), random), old);
});

test("the hash bounds loads: a popular name spills over to its second backend, and only beyond a quarter above the mean", () => {
  const among = candidates([1, 1, 1, 1]);
  const random = new SeededRandom(1);
  const home = choose("hash", among, hashOf(7), random);
  const at = among[home];
  assert.ok(at);
  at.outstanding = 15;
  assert.equal(choose("hash", among, hashOf(7), random), home, "few are no load");
  at.outstanding = 400;
  const second = choose("hash", among, hashOf(7), random);
  assert.notEqual(second, home);
  for (const one of among) one.outstanding = 400;
  assert.equal(choose("hash", among, hashOf(7), random), home);
});

test("letters of a question differ in case and the hash does not; types differ and it does", () => {
  const name = parseName("WWW.Example.");
  const lower = hashQuestion({ name: parseName("www.example."), type: RRType.A, class: 1 });
  assert.equal(hashQuestion({ name, type: RRType.A, class: 1 }), lower);
  assert.notEqual(hashQuestion({ name, type: RRType.AAAA, class: 1 }), lower);
});
