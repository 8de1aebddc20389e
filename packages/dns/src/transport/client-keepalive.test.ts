import assert from "node:assert/strict";
import { test } from "node:test";
import { idleTimeoutAfterReply } from "./client-keepalive.ts";

const LIMITS = { idleTimeoutMs: 10_000, keepaliveMsMax: 120_000 };
const CURRENT_MS = 29_000;

test("every form of the option in a reply has its own meaning [7828-3.1-a 7828-3.2.2-b 7828-3.2.2-c 7828-3.2.2-d]", () => {
  const cases = [
    { name: "absent though asked for", data: undefined, asked: true, expected: 10_000 },
    { name: "absent and not asked for", data: undefined, asked: false, expected: CURRENT_MS },
    { name: "empty, as only clients send it", data: [], asked: true, expected: 10_000 },
    { name: "one octet", data: [1], asked: true, expected: 10_000 },
    { name: "three octets", data: [0, 0, 0], asked: true, expected: 10_000 },
    { name: "0", data: [0, 0], asked: true, expected: "drain" },
    { name: "0 without being asked", data: [0, 0], asked: false, expected: "drain" },
    { name: "1: a tenth of a second", data: [0, 1], asked: true, expected: 50 },
    { name: "10: one second", data: [0, 10], asked: true, expected: 500 },
    { name: "300: half a minute", data: [1, 44], asked: true, expected: 29_000 },
    { name: "300 without being asked", data: [1, 44], asked: false, expected: 29_000 },
    { name: "65535: nearly two hours, more than we keep", data: [255, 255], asked: true, expected: 120_000 },
  ] as const;
  for (const { name, data, asked, expected } of cases)
    assert.equal(
      idleTimeoutAfterReply(data && Uint8Array.from(data), asked, CURRENT_MS, LIMITS),
      expected,
      name,
    );
});
