/** What a test server has left when it is closed, or when a client is gone. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { type TestContext, test } from "node:test";
import { query, TestWorld } from "./raw-clients.test-support.ts";

/** What is asked of whom so that something is still to come. */
const UNDER_WAY = [
  ["a reply that waits for the next one", "two-in-one", "www.test. A"],
  ["a reply that is delayed", "good", "delay-5000.test. A"],
  ["a reply that is written octet by octet", "octet-by-octet", "www.test. A"],
  ["replies that are collected", "reversed", "www.test. A"],
  ["queries that are answered in turn", "in-order", "delay-5000.test. A"],
] as const;

async function worldOf(context: TestContext, fixture: string): Promise<TestWorld> {
  const world = new TestWorld();
  await world.start([fixture]);
  context.after(() => world.close());
  return world;
}

for (const [what, fixture, question] of UNDER_WAY)
  for (const transport of ["tcp", "tls"] as const) {
    // The server was closed before its connections had heard of it, and their timers ran on.
    test(`${what} over ${transport.toUpperCase()} is given up with the server`, async (context) => {
      const world = await worldOf(context, fixture);
      const client = await world.connect(fixture, transport);
      client.send(query(question));
      await world.untilEvent(fixture, /^query /);
      assert.ok(world.clock.pendingTimers.length > 0);
      await world.close();
      assert.deepEqual([...world.clock.pendingTimers], []);
      client.destroy();
    });

    test(`${what} over ${transport.toUpperCase()} is given up with its client`, async (context) => {
      const world = await worldOf(context, fixture);
      const client = await world.connect(fixture, transport);
      client.send(query(question));
      await world.untilEvent(fixture, /^query /);
      client.reset();
      await world.untilEvent(fixture, /^end: /);
      for (let turns = 0; world.clock.pendingTimers.length > 0 && turns < 1000; turns++)
        await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual([...world.clock.pendingTimers], []);
    });
  }

test("a reply over UDP that is delayed is given up with the server", async (context) => {
  const world = await worldOf(context, "good");
  const socket = createSocket("udp4");
  context.after(() => socket.close());
  socket.send(query("delay-5000.test. A"), world.portOf("good", "udp"), "127.0.0.1");
  await world.untilEvent("good", /^query /);
  await world.close();
  assert.deepEqual([...world.clock.pendingTimers], []);
});
