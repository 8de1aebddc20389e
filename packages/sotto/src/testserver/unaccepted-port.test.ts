/** The port that drops what comes, when it cannot be opened. That it drops SYN has its test among the fixtures. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { SimClock } from "@sotto/dns/testing";
import { openUnacceptedPort } from "./unaccepted-port.ts";

const ADDRESS = "127.0.0.1";

/** Lets the event loop turn until the port is open or has failed, and time pass where nothing else will end it. */
async function failureOf(listener: string, timePasses = false): Promise<string> {
  const clock = new SimClock();
  let isDone = false;
  const opening = openUnacceptedPort(ADDRESS, 0, clock, listener).then(
    async (opened) => {
      await opened.close();
      return "it was opened";
    },
    (error: unknown) => {
      assert.ok(DnsError.is(error, "ERR_SYSTEM"), String(error));
      return error.message;
    },
  );
  void opening.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await new Promise((resolve) => setImmediate(resolve));
    if (timePasses) await clock.advance(1);
  }
  assert.deepEqual([...clock.pendingTimers], []);
  return await opening;
}

// All of these left the start hanging for ever.
test("a listener that says nothing is given up after a while", { timeout: 20_000 }, async () => {
  const message = await failureOf("setInterval(() => undefined, 1000);", true);
  assert.match(message, /cannot listen on 127\.0\.0\.1 port 0: not ready within 10 s/);
});

test("a listener that ends without a word is told", { timeout: 20_000 }, async () => {
  assert.match(await failureOf("process.exit(3);"), /its thread ended/);
});

test("a listener that throws is told", { timeout: 20_000 }, async () => {
  assert.match(await failureOf('throw new Error("out of threads");'), /out of threads/);
});

test("connections that its queue does not take are told", { timeout: 20_000 }, async () => {
  // Nobody listens there any more.
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, ADDRESS, resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  await new Promise((resolve) => server.close(resolve));
  const script = `require("node:worker_threads").parentPort.postMessage(${address.port}); setInterval(() => undefined, 1000);`;
  assert.match(await failureOf(script), /cannot fill the queue .*ECONNREFUSED/);
});

test("it is opened, and a taken port is told", { timeout: 20_000 }, async () => {
  const clock = new SimClock();
  const opened = await openUnacceptedPort(ADDRESS, 0, clock);
  await assert.rejects(openUnacceptedPort(ADDRESS, opened.port, clock), (error) =>
    DnsError.is(error, "ERR_ADDRESS_IN_USE"),
  );
  await opened.close();
  assert.deepEqual([...clock.pendingTimers], []);
});
