import assert from "node:assert/strict";
import { test } from "node:test";
import { NativeClock } from "./native-clock.ts";

test("what is to follow arrivals runs at the end of a turn of the engine, and otherwise when Node's sockets were read", async () => {
  const order: string[] = [];
  const ofTurn: (() => void)[] = [];
  const loop = { isInTurn: true, atTurnEnd: (run: () => void) => void ofTurn.push(run) };
  const clock = new NativeClock(loop);
  clock.afterArrivals(() => order.push("in the turn"));
  assert.equal(ofTurn.length, 1);
  loop.isInTurn = false;
  const { promise, resolve } = Promise.withResolvers<void>();
  clock.afterArrivals(() => {
    order.push("outside of it");
    resolve();
  });
  assert.equal(ofTurn.length, 1);
  for (const run of ofTurn) run();
  await promise;
  assert.deepEqual(order, ["in the turn", "outside of it"]);
});
