import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { NetworkWatch } from "./network-watch.ts";

test("other addresses are told once, and the same ones never", async () => {
  const clock = new SimClock();
  let addresses = "192.0.2.1";
  let changes = 0;
  const watch = new NetworkWatch(
    clock,
    () => {
      changes++;
    },
    () => addresses,
  );
  await clock.advance(60_000);
  assert.equal(changes, 0);
  addresses = "198.51.100.1";
  await clock.advance(60_000);
  assert.equal(changes, 1);
  watch.stop();
  assert.deepEqual(clock.pendingTimers, []);
});
