import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "@sotto/dns/runtime";
import { SimClock } from "@sotto/dns/testing";
import { startExactTimer } from "./exact-timer.ts";

/** Fires each timer 0.6 ms early, as Node's may. */
function hasty(clock: SimClock): Clock {
  return {
    nowMs: () => clock.nowMs(),
    wallMs: () => clock.wallMs(),
    startTimer: (name, delayMs, fire) => clock.startTimer(name, delayMs - 0.6, fire),
  };
}

test("a timer that fires early is started again for the rest", async () => {
  const clock = new SimClock();
  const startMs = clock.nowMs();
  let firedMs = 0;
  startExactTimer(hasty(clock), "t", 300, () => {
    firedMs = clock.nowMs() - startMs;
  });
  await clock.advance(299.9);
  assert.equal(firedMs, 0);
  await clock.advance(2);
  assert.ok(firedMs >= 300 && firedMs < 301, String(firedMs));
  assert.deepEqual(clock.pendingTimers, []);
});

test("it can be cancelled, also when it was started again", async () => {
  const clock = new SimClock();
  let hasFired = false;
  const timer = startExactTimer(hasty(clock), "t", 300, () => {
    hasFired = true;
  });
  await clock.advance(299.5);
  timer.cancel();
  await clock.advance(10);
  assert.equal(hasFired, false);
});
