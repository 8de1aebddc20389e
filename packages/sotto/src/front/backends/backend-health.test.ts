import assert from "node:assert/strict";
import { test } from "node:test";
import { BackendHealth, type StateChange } from "./backend-health.ts";
import { HEALTH_DEFAULT, type HealthOptions } from "./backend-settings.ts";

function healthOf(options: Partial<HealthOptions> = {}): { health: BackendHealth; changes: StateChange[] } {
  const changes: StateChange[] = [];
  const health = new BackendHealth({ ...HEALTH_DEFAULT, ...options }, 0, (change) => changes.push(change));
  return { health, changes };
}

test("so many bad checks take it down, so many good ones bring it back, and each change is told once", () => {
  const { health, changes } = healthOf({ fall: 3, rise: 2, slowStartMs: 0 });
  assert.equal(health.state, "up");
  health.noteCheck(false, "no reply", 1000);
  health.noteCheck(false, "no reply", 2000);
  health.noteCheck(true, "", 3000);
  for (const atMs of [4000, 5000]) health.noteCheck(false, "no reply", atMs);
  assert.equal(health.isUp, true);
  health.noteCheck(false, "no reply", 6000);
  health.noteCheck(false, "no reply", 7000);
  assert.equal(health.state, "down");
  health.noteCheck(true, "", 8000);
  health.noteCheck(false, "no reply", 9000);
  health.noteCheck(true, "", 10_000);
  assert.equal(health.state, "down");
  health.noteCheck(true, "", 11_000);
  assert.deepEqual(changes, [
    { state: "down", why: "3 failed checks in a row: no reply", forMs: 6000 },
    { state: "up", why: "2 checks in a row were good", forMs: 5000 },
  ]);
});

test("failures without a reply between them take it down, within their window only", () => {
  const { health } = healthOf({ failuresMax: 3, failureWindowMs: 1000 });
  health.noteFailure("refused", 0);
  health.noteFailure("refused", 10);
  health.noteReply(20);
  health.noteFailure("refused", 30);
  health.noteFailure("refused", 40);
  health.noteFailure("refused", 2000);
  health.noteFailure("refused", 2010);
  assert.equal(health.state, "up");
  health.noteFailure("refused", 2020);
  assert.equal(health.state, "down");
  // A late reply is no proof where there are checks.
  health.noteReply(2030);
  assert.equal(health.state, "down");
});

test("without checks a reply brings it back", () => {
  const { health } = healthOf({ failuresMax: 1, intervalMs: 0, slowStartMs: 0 });
  health.noteFailure("refused", 0);
  assert.equal(health.state, "down");
  health.noteReply(10);
  assert.equal(health.state, "up");
});

test("slow queries make it suspect; a reply clears it, a bad check takes it down, and time ends it", () => {
  const { health } = healthOf({ failuresMax: 3 });
  assert.deepEqual([health.noteSlow(0), health.noteSlow(1), health.noteSlow(2)], [false, false, true]);
  assert.equal(health.isSuspect(3), true);
  assert.equal(health.state, "up");
  health.noteReply(4);
  assert.equal(health.isSuspect(5), false);
  for (const atMs of [6, 7, 8]) health.noteSlow(atMs);
  assert.equal(health.isSuspect(9), true);
  assert.equal(health.isSuspect(5000), false);
  assert.equal(health.noteSlow(5000), true);
  health.noteCheck(false, "no reply", 5001);
  assert.equal(health.state, "down");
});

test("after coming up its share grows, then it is up", () => {
  const { health, changes } = healthOf({ failuresMax: 1, rise: 1, slowStartMs: 1000 });
  health.noteFailure("refused", 0);
  health.noteCheck(true, "", 100);
  assert.equal(health.state, "starting");
  assert.deepEqual(
    [100, 150, 600, 1099].map((atMs) => health.share(atMs)),
    [0.1, 0.1, 0.5, 0.999],
  );
  assert.equal(health.share(1100), 1);
  assert.deepEqual(
    changes.map(({ state }) => state),
    ["down", "starting", "up"],
  );
});

test("draining is by command, hides what happens meanwhile, and ends in the state that it has then", () => {
  const { health, changes } = healthOf({ failuresMax: 1 });
  health.drain(0);
  health.drain(1);
  assert.equal(health.state, "draining");
  assert.equal(health.isUp, false);
  health.noteFailure("refused", 2);
  assert.equal(health.state, "draining");
  health.resume(3);
  health.resume(4);
  assert.equal(health.state, "down");
  assert.deepEqual(
    changes.map(({ state }) => state),
    ["draining", "down"],
  );
});
