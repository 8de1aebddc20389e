import assert from "node:assert/strict";
import { test } from "node:test";
import { ticketEpoch, ticketKeysOf } from "./ticket-keys.ts";

const HOUR_MS = 3_600_000;

test("servers with one secret have the same ticket keys within an epoch and new ones in the next", () => {
  const secret = new Uint8Array(32).fill(7);
  const epoch = ticketEpoch(25 * HOUR_MS, 12 * HOUR_MS);
  assert.equal(epoch, 2);
  assert.equal(ticketEpoch(36 * HOUR_MS - 1, 12 * HOUR_MS), 2);
  assert.deepEqual(ticketKeysOf(secret, epoch), ticketKeysOf(secret.slice(), 2));
  assert.equal(ticketKeysOf(secret, epoch).length, 48);
  assert.notDeepEqual(ticketKeysOf(secret, 2), ticketKeysOf(secret, 3));
  assert.notDeepEqual(ticketKeysOf(secret, 2), ticketKeysOf(new Uint8Array(32).fill(8), 2));
});
