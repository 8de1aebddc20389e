import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { HandshakeDeadlines } from "./handshake-deadlines.ts";

test("each handshake gets its time, those that ended are left alone, and one timer serves all", async () => {
  const clock = new SimClock();
  const startMs = clock.nowMs();
  const expired: string[] = [];
  const deadlines = new HandshakeDeadlines<string>(
    100,
    (item) => void expired.push(`${item} at ${clock.nowMs() - startMs}`),
    clock,
  );
  deadlines.add("first");
  deadlines.add("quick");
  await clock.advance(40);
  deadlines.delete("quick");
  deadlines.add("second");
  assert.equal(clock.pendingTimers.length, 1);
  await clock.advance(59);
  assert.deepEqual(expired, []);
  await clock.advance(1);
  assert.deepEqual(expired, ["first at 100"]);
  await clock.advance(40);
  assert.deepEqual(expired, ["first at 100", "second at 140"]);
  await clock.advance(1000);
  deadlines.add("third");
  await clock.advance(100);
  assert.deepEqual(expired.at(-1), "third at 1240");
});
