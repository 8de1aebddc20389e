import assert from "node:assert/strict";
import { test } from "node:test";
import { SendBurst } from "./send-burst.ts";

function burst(): { sent: number[]; add(...numbers: number[]): void; flush(): void } {
  const sent: number[] = [];
  const waiting = new SendBurst(([number = -1]) => void sent.push(number));
  const add = (...numbers: number[]): void => {
    for (const number of numbers) waiting.add(Uint8Array.of(number));
  };
  return { sent, add, flush: () => waiting.flush() };
}

test("what is added in a turn leaves at its end, in order, and so does that of the next one", async () => {
  const { sent, add } = burst();
  add(1, 2);
  await Promise.resolve();
  add(3);
  assert.deepEqual(sent, []);
  await new Promise(setImmediate);
  assert.deepEqual(sent, [1, 2, 3]);
  add(4);
  await new Promise(setImmediate);
  assert.deepEqual(sent, [1, 2, 3, 4]);
});

test("as many as the system takes at once do not wait", () => {
  const { sent, add } = burst();
  add(...Array.from({ length: 63 }, (_, i) => i));
  assert.equal(sent.length, 0);
  add(63);
  assert.equal(sent.length, 64);
});

test("what was flushed does not leave again", async () => {
  const { sent, add, flush } = burst();
  add(1);
  flush();
  flush();
  await new Promise(setImmediate);
  assert.deepEqual(sent, [1]);
});
