import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { SharedWaits, type Wait } from "./shared-waits.ts";

interface Named extends Wait {
  readonly name: string;
}

function waits(): { clock: SimClock; all: SharedWaits; ended: string[]; wait(name: string): Named } {
  const clock = new SimClock();
  const all = new SharedWaits({ name: "waits" }, clock);
  const ended: string[] = [];
  const wait = (name: string): Named => ({
    name,
    dueMs: 0,
    waitIndex: -1,
    onDue: () => ended.push(name),
  });
  return { clock, all, ended, wait };
}

test("each ends in its time, whatever the order they came in, by one timer", async () => {
  const { clock, all, ended, wait } = waits();
  for (const ms of [300, 100, 200]) all.add(wait(String(ms)), ms);
  assert.equal(clock.pendingTimers.length, 1);
  await clock.advance(99);
  assert.deepEqual(ended, []);
  await clock.advance(1);
  assert.deepEqual(ended, ["100"]);
  await clock.advance(200);
  assert.deepEqual(ended, ["100", "200", "300"]);
  assert.deepEqual(clock.pendingTimers, []);
});

test("who does not wait any more is not told, may wait again, and leaves no timer", async () => {
  const { clock, all, ended, wait } = waits();
  const [a, b, c] = [wait("a"), wait("b"), wait("c")];
  all.add(a, 100);
  all.add(b, 100);
  all.add(c, 100);
  all.remove(a);
  all.remove(a);
  all.remove(c);
  all.add(a, 50);
  await clock.advance(50);
  assert.deepEqual(ended, ["a"]);
  all.remove(b);
  assert.deepEqual(clock.pendingTimers, []);
  await clock.advance(100);
  assert.deepEqual(ended, ["a"]);
});

test("a time that is over ends in a later turn", async () => {
  const { clock, all, ended, wait } = waits();
  all.add(wait("late"), -5);
  assert.deepEqual(ended, []);
  await clock.advance(0);
  assert.deepEqual(ended, ["late"]);
});

test("what one does at its end may end another one or begin one", async () => {
  const { clock, all, ended, wait } = waits();
  const [b, again] = [wait("b"), wait("again")];
  const a: Wait = {
    dueMs: 0,
    waitIndex: -1,
    onDue: () => {
      all.remove(b);
      all.add(again, 10);
    },
  };
  all.add(a, 100);
  all.add(b, 100);
  await clock.advance(109);
  assert.deepEqual(ended, []);
  await clock.advance(1);
  assert.deepEqual(ended, ["again"]);
  assert.deepEqual(clock.pendingTimers, []);
});

test("many that end one after the other are walked over now and then, and end a little late at worst", async () => {
  // Silent servers make ten thousand clients wait in vain: walking over all of them each millisecond was 5 % of a processor, three times.
  const { clock, all } = waits();
  let looks = 0;
  const lateMs: number[] = [];
  for (let i = 0; i < 5000; i++) {
    let dueMs = 0;
    const one: Wait = {
      get dueMs() {
        looks++;
        return dueMs;
      },
      set dueMs(ms) {
        dueMs = ms;
      },
      waitIndex: -1,
      onDue: () => lateMs.push(clock.nowMs() - dueMs),
    };
    all.add(one, 1000 + i);
  }
  looks = 0;
  await clock.advance(6010);
  assert.equal(lateMs.length, 5000);
  assert.ok(Math.min(...lateMs) >= 0 && Math.max(...lateMs) <= 10, `up to ${Math.max(...lateMs)} ms`);
  // Two for each that is not due.
  assert.ok(looks < 2 * 600 * 5000, `${looks} looks`);
});
