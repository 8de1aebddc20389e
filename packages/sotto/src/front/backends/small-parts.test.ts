/** The small parts that backends are made of. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { Attempt } from "./attempt.ts";
import { AttemptQueue } from "./attempt-queue.ts";
import { BackOff } from "./back-off.ts";
import { questionOf } from "./backends.test-support.ts";
import { Latency } from "./latency.ts";
import { RetryBudget } from "./retry-budget.ts";
import { StreamMemory } from "./stream-memory.ts";

test("latency: the mean follows, and quantiles are at most a quarter above the truth", () => {
  const latency = new Latency();
  assert.equal(latency.quantileMs(0.5), undefined);
  for (let i = 1; i <= 1000; i++) latency.note(i / 10);
  for (const share of [0.1, 0.5, 0.9, 0.99]) {
    const found = latency.quantileMs(share) ?? 0;
    assert.ok(found >= share * 100 && found <= share * 125 + 1, `${share}: ${found}`);
  }
  assert.ok(latency.meanMs > 95 && latency.meanMs <= 100);
  for (const odd of [0, 1e9, -1]) latency.note(odd);
  // What was long ago is forgotten.
  for (let i = 0; i < 40_000; i++) latency.note(1);
  assert.ok((latency.quantileMs(0.99) ?? 0) < 1.5);
  assert.ok(latency.count <= 2000);
});

test("the retry budget is a share, with some in the beginning and at most two hundred saved", () => {
  const budget = new RetryBudget(0.2);
  let spent = 0;
  while (budget.spend()) spent++;
  assert.equal(spent, 20);
  for (let i = 0; i < 11; i++) budget.earn();
  assert.deepEqual([budget.spend(), budget.spend(), budget.spend()], [true, true, false]);
  for (let i = 0; i < 10_000; i++) budget.earn();
  spent = 0;
  while (budget.spend()) spent++;
  assert.equal(spent, 200);
  const none = new RetryBudget(0);
  none.earn();
  assert.equal(none.spend(), false);
});

test("the back-off doubles up to three seconds, and a success ends it", () => {
  const backOff = new BackOff();
  const problem = new DnsError("ERR_CONNECT_REFUSED", "refused");
  assert.equal(backOff.holds(0), false);
  for (const [i, patienceMs] of [100, 200, 400, 800, 1600, 3000, 3000].entries()) {
    const atMs = i * 10_000;
    backOff.noteFailure(problem, atMs);
    assert.deepEqual([backOff.holds(atMs + patienceMs - 1), backOff.holds(atMs + patienceMs)], [true, false]);
  }
  assert.equal(backOff.problem, problem);
  backOff.noteFailure(problem, 100_000);
  backOff.noteSuccess();
  assert.equal(backOff.holds(100_001), false);
});

test("a queue gives the oldest that is awaited, and what is over makes room", () => {
  const attemptOf = (name: string): Attempt => {
    const query = {
      octets: new Uint8Array(12),
      question: questionOf(name),
      deadlineMs: 0,
      client: undefined,
      local: undefined,
    };
    const owner = { replied: () => undefined, failed: () => undefined };
    return new Attempt(query, owner, { name: "b1", settled: () => undefined, noteSlow: () => undefined });
  };
  const queue = new AttemptQueue(3);
  const [a, b, c, d] = [attemptOf("a."), attemptOf("b."), attemptOf("c."), attemptOf("d.")];
  for (const one of [a, b, c]) assert.equal(queue.push(one), true);
  assert.equal(queue.push(d), false);
  a.isAwaited = false;
  assert.equal(queue.isFull, false);
  assert.equal(queue.push(d), true);
  c.isAwaited = false;
  assert.equal(queue.shift(), b);
  queue.unshift(b);
  assert.equal(queue.length, 3);
  assert.deepEqual(queue.takeAll(), [b, d]);
  assert.equal(queue.shift(), undefined);
  // Many pass through without the array growing.
  for (let i = 0; i < 2000; i++) {
    queue.push(a);
    a.isAwaited = true;
    assert.equal(queue.shift(), a);
  }
  assert.equal(queue.length, 0);
});

test("how many queries a connection takes is learnt from plain or repeated early ends, for a while that doubles", () => {
  const memory = new StreamMemory();
  const many = Number.POSITIVE_INFINITY;
  memory.noteEarlyEnd("passed over", 5000, 0);
  memory.noteEarlyEnd("passed over", 4000, 0);
  memory.noteEarlyEnd("silent", 1, 0);
  memory.noteEarlyEnd("broken", 0, 0);
  assert.equal(memory.queriesMax(0), many, "a restart, a stop and a reset are accidents");
  memory.noteEarlyEnd("broken", 0, 0);
  assert.equal(memory.queriesMax(0), 1);
  assert.equal(memory.queriesMax(60_000), many);
  memory.noteEarlyEnd("passed over", 3, 60_000);
  assert.equal(memory.queriesMax(60_001), 3);
  assert.equal(memory.queriesMax(179_999), 3, "twice as long");
  memory.noteEarlyEnd("passed over", 2, 100_000);
  assert.equal(memory.queriesMax(179_999), 2);
  assert.equal(memory.queriesMax(180_000), many, "not prolonged by older connections");
  memory.noteEarlyEnd("passed over", 100, 900_000);
  memory.noteEarlyEnd("passed over", 100, 900_001);
  assert.equal(memory.queriesMax(900_002), 100);
});

test("tickets are used once, latest first, and not after their proof has ended", () => {
  const memory = new StreamMemory();
  const ticket = (nth: number, untilWallMs: number) => ({
    session: Uint8Array.of(nth),
    authentication: { isAuthenticated: true, by: "pin" } as const,
    untilWallMs,
  });
  for (let nth = 0; nth < 20; nth++) memory.noteTicket(ticket(nth, nth === 19 ? 5 : 1000));
  assert.deepEqual(memory.takeTicket(10)?.session, Uint8Array.of(18));
  let left = 0;
  while (memory.takeTicket(10) !== undefined) left++;
  assert.equal(left, 6, "eight are kept");
});
