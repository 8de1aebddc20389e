import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { SharedTimer } from "./shared-timer.ts";

/** Waits by their due times. */
function waits(): {
  clock: SimClock;
  due: number[];
  ended: number[];
  timer: SharedTimer;
  add(inMs: number): void;
} {
  const clock = new SimClock();
  const startMs = clock.nowMs();
  const due: number[] = [];
  const ended: number[] = [];
  const sweep = (nowMs: number): number => {
    ended.push(...due.filter((one) => one <= nowMs).map((one) => one - startMs));
    due.splice(0, due.length, ...due.filter((one) => one > nowMs));
    return Math.min(...due, Number.POSITIVE_INFINITY);
  };
  const timer = new SharedTimer({ name: "waits", sweep }, clock);
  const add = (inMs: number): void => {
    due.push(startMs + inMs);
    timer.expect(startMs + inMs);
  };
  return { clock, due, ended, timer, add };
}

test("each wait ends in its time, whatever the order they came in", async () => {
  const { clock, ended, add } = waits();
  for (const inMs of [300, 100, 200, 100]) add(inMs);
  assert.equal(clock.pendingTimers.length, 1);
  const seen: number[][] = [];
  for (let i = 0; i < 4; i++) {
    seen.push([...ended]);
    await clock.advance(100);
  }
  assert.deepEqual(seen, [[], [100, 100], [100, 100, 200], [100, 100, 200, 300]]);
  assert.deepEqual(clock.pendingTimers, []);
});

test("a wait that ended otherwise makes it look once, and no more than that", async () => {
  const { clock, due, ended, add } = waits();
  add(100);
  add(500);
  due.splice(0, 1);
  await clock.advance(400);
  assert.deepEqual([ended, clock.pendingTimers.length], [[], 1]);
  await clock.advance(100);
  assert.deepEqual([ended, clock.pendingTimers.length], [[500], 0]);
});

test("at rest no timer is left, and another wait starts it again", async () => {
  const { clock, timer, due, ended, add } = waits();
  add(100);
  due.length = 0;
  timer.rest();
  assert.deepEqual(clock.pendingTimers, []);
  add(50);
  await clock.advance(50);
  assert.deepEqual(ended, [50]);
});
