import assert from "node:assert/strict";
import { test } from "node:test";
import { PacedQueue } from "./paced-queue.ts";

test("a few pieces are done in each turn, in order, and the first at once", async () => {
  const done: number[] = [];
  const queue = new PacedQueue<number>(2, (item) => void done.push(item));
  for (let i = 0; i < 5; i++) queue.add(i);
  assert.deepEqual(done, [0, 1]);
  await new Promise(setImmediate);
  assert.deepEqual(done, [0, 1, 2, 3]);
  queue.add(5);
  assert.deepEqual(done, [0, 1, 2, 3], "nobody overtakes");
  await new Promise(setImmediate);
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5]);
  await new Promise(setImmediate);
  queue.add(6);
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5, 6]);
});
