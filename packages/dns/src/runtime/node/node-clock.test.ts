import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { NodeClock } from "./node-clock.ts";

test("all threads have the same monotonic time, whenever they were started", async () => {
  const clock = new NodeClock();
  // The thread tells its time when it is asked, and before and after that we look at ours.
  const program = `
    import { parentPort, workerData } from "node:worker_threads";
    const { NodeClock } = await import(workerData);
    const clock = new NodeClock();
    parentPort.on("message", () => parentPort.postMessage(clock.nowMs()));
    parentPort.postMessage("begun");
  `;
  const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
  const worker = new Worker(url, { workerData: new URL("./node-clock.ts", import.meta.url).href });
  await once(worker, "message");
  for (let i = 0; i < 20; i++) {
    const beforeMs = clock.nowMs();
    worker.postMessage("time?");
    const [theirMs] = await once(worker, "message");
    // Equal but for the rounding of fractions.
    assert.ok(theirMs > beforeMs - 0.01, `${theirMs} is before ${beforeMs}`);
    assert.ok(theirMs < clock.nowMs() + 0.01, `${theirMs} is yet to come`);
  }
  await worker.terminate();
});

test("time goes on", () => {
  const clock = new NodeClock();
  let last = clock.nowMs();
  for (let i = 0; i < 1000; i++) {
    const now = clock.nowMs();
    assert.ok(now >= last);
    last = now;
  }
});

test("what is to follow arrivals runs once, in order, and not within the call; what it asks for follows the next ones", async () => {
  const clock = new NodeClock();
  const order: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  clock.afterArrivals(() => {
    order.push("first");
    clock.afterArrivals(() => {
      order.push("third");
      resolve();
    });
  });
  clock.afterArrivals(() => order.push("second"));
  await Promise.resolve();
  assert.deepEqual(order, []);
  await promise;
  assert.deepEqual(order, ["first", "second", "third"]);
});

// The rest of the list was lost with the exception, and whoever was in it believed for ever that its turn was to come.
test("what fails after arrivals takes nothing with it", async () => {
  const program = `
    import { parentPort, workerData } from "node:worker_threads";
    const { NodeClock } = await import(workerData);
    const clock = new NodeClock();
    const order = [];
    process.on("uncaughtException", ({ message }) => order.push(message));
    clock.afterArrivals(() => order.push("first"));
    clock.afterArrivals(() => { throw new Error("a bug"); });
    clock.afterArrivals(() => order.push("second"));
    clock.afterArrivals(() => clock.afterArrivals(() => clock.afterArrivals(() => parentPort.postMessage(order))));
  `;
  const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
  const worker = new Worker(url, { workerData: new URL("./node-clock.ts", import.meta.url).href });
  const [order] = await Promise.race([once(worker, "message"), once(worker, "exit")]);
  assert.deepEqual(order, ["first", "a bug", "second"]);
  await worker.terminate();
});
