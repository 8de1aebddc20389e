import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "@sotto/dns/wire";
import { loadConfig } from "../config/index.ts";
import { type FakeThread, FakeThreads, HERE } from "./fake-threads.test-support.ts";
import { startWorkers } from "./resolver-group.ts";
import { SharedCounts } from "./shared-counts.ts";
import type { SteeredServer } from "./steered-server.ts";
import { DescriptorsUnderWay } from "./worker-descriptors.ts";
import type { ConnectionOnWay } from "./worker-messages.ts";

const TEXT = `listen: [{ transport: udp, address: ${HERE}, port: 0 }]\nworkers: 3\n`;

/** A group of three on fake threads. */
class Bench extends FakeThreads {
  async start(): Promise<SteeredServer> {
    const loaded = loadConfig(TEXT, "sotto.yaml");
    assert.ok(loaded.ok);
    return this.world.clock.runUntil(startWorkers(loaded.config, loaded.source, this.options, this.runtime));
  }
}

async function reload(bench: Bench, group: SteeredServer): Promise<unknown> {
  const loaded = loadConfig(`${TEXT}access: { allow: [192.0.2.0/24] }\n`, "sotto.yaml");
  assert.ok(loaded.ok);
  return bench.world.clock.runUntil(
    group.reload(loaded.config, loaded.source).catch((error: unknown) => String(error)),
  );
}

test("the first worker opens alone, and the others get its ports and the same secrets", async () => {
  const bench = new Bench();
  const group = await bench.start();
  const starts = bench.threads.map(({ start }) => start);
  assert.deepEqual(
    starts.map(({ world }) => [...world.ports.values()]),
    [[], [5300], [5300]],
  );
  assert.equal(new Set(starts.map(({ secrets }) => secrets.tickets.join())).size, 1);
  assert.equal(group.workers?.filter(({ state }) => state === "serving").length, 3);
  await group.close();
});

test("what workers tell is added up, and calls go to all of them", async () => {
  const bench = new Bench();
  const group = await bench.start();
  bench.thread(0).report(2, 7);
  bench.thread(1).report(3, 8);
  bench.thread(2).tally.count("udp", "answered");
  assert.deepEqual(
    [Reflect.get(group.status, "connections"), group.listeners[0]?.counters],
    [5, { received: 15 }],
  );
  assert.deepEqual(
    await group.flush(parseName("example."), "zone"),
    { replies: 1, recordSets: 6 },
    "replies are shared",
  );
  assert.equal(group.workers?.[2]?.queries, 1);
  await group.close();
});

test("a worker that dies is said aloud and comes back, and what it counted stays", async () => {
  const bench = new Bench();
  const group = await bench.start();
  const first = bench.thread(1);
  first.tally.count("tls", "answered");
  first.report(4, 9);
  first.crash("RangeError: a bug");
  assert.deepEqual(bench.told("worker.crashed"), [
    { worker: 1, reason: "RangeError: a bug", restartInMs: 100, others: 2 },
  ]);
  assert.deepEqual(
    group.workers?.map(({ state }) => state),
    ["serving", "down", "serving"],
  );
  const counted = (): unknown[] => [
    Reflect.get(group.status, "connections"),
    group.listeners[0]?.counters,
    group.workers?.[1]?.queries,
  ];
  assert.deepEqual(counted(), [0, { received: 9 }, 1]);
  await bench.world.clock.advance(100);
  assert.equal(bench.threads.length, 4);
  assert.deepEqual([...bench.thread(1).start.world.ports.values()], [5300]);
  assert.deepEqual(bench.told("worker.restarted"), [{ worker: 1 }]);
  bench.thread(1).tally.count("tls", "answered");
  bench.thread(1).report(1, 1);
  assert.deepEqual(counted(), [1, { received: 10 }, 2]);
  await group.close();
});

test("connections of a worker that dies do not count against its clients any more", async () => {
  const bench = new Bench();
  const group = await bench.start();
  const { perClient, perSubnet } = bench.thread(1).start.clients;
  for (const table of [perClient, perSubnet]) new SharedCounts(table, 1).add("client", 1);
  new SharedCounts(perClient, 2).add("client", 1);
  bench.thread(1).crash("a bug");
  assert.deepEqual(
    [perClient, perSubnet].map((table) => new SharedCounts(table, 0).of("client")),
    [1, 0],
  );
  await group.close();
});

test("workers that crash again and again are given more time each, and then the group gives up", async () => {
  const bench = new Bench();
  const group = await bench.start();
  let failure: Error | undefined;
  void group.failed?.then((error) => {
    failure = error;
  });
  for (let crashes = 0; crashes < 11; crashes++) {
    assert.equal(failure, undefined);
    bench.thread(2).crash("out of memory");
    await bench.world.clock.advance(5000);
    for (const index of [0, 1]) bench.thread(index).report(0, 0);
  }
  const waits = bench.told("worker.crashed").map(({ restartInMs }) => restartInMs);
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000, undefined]);
  assert.match(String(failure), /workers crashed 11 times within 60 s; the last reason: out of memory/);
  await group.close();
});

test("a worker that cannot open again is tried again", async () => {
  const bench = new Bench();
  const group = await bench.start();
  bench.cannotOpen = true;
  bench.thread(0).crash("exit code 134");
  await bench.world.clock.advance(100);
  assert.equal(bench.told("worker.crashed")[1]?.["reason"], "no memory");
  bench.cannotOpen = false;
  await bench.world.clock.advance(200);
  assert.equal(group.workers?.[0]?.state, "serving");
  await group.close();
});

test("when one worker refuses a reload, those that had accepted go back", async () => {
  const bench = new Bench();
  const group = await bench.start();
  bench.refuses = ({ start }, { name }) => name === "reload" && start.index === 2;
  assert.match(String(await reload(bench, group)), /worker 2 refuses/);
  const sources = [0, 1, 2].map((index) =>
    bench
      .thread(index)
      .calls.flatMap((call) => (call.name === "reload" ? [call.input.work.source.text === TEXT] : [])),
  );
  assert.deepEqual(sources, [[false, true], [false, true], [false]]);
  bench.refuses = () => false;
  assert.deepEqual(await reload(bench, group), ["changed access"]);
  await group.close();
});

test("a worker that dies while all others reload is no refusal, and comes back with the new configuration", async () => {
  const bench = new Bench();
  const group = await bench.start();
  bench.refuses = (thread, { name }) => {
    if (name === "reload" && thread.start.index === 1) thread.crash("a bug");
    return false;
  };
  assert.deepEqual(await reload(bench, group), ["changed access"]);
  await bench.world.clock.advance(100);
  assert.notEqual(bench.thread(1).start.world.work.source.text, TEXT);
  assert.equal(group.workers?.[1]?.state, "serving");
  await group.close();
});

test("one that cannot go back is started again with the old configuration", async () => {
  const bench = new Bench();
  const group = await bench.start();
  bench.refuses = ({ start, calls }, { name }) =>
    name === "reload" && (start.index === 2 || (start.index === 0 && calls.length === 2));
  await reload(bench, group);
  assert.equal(bench.told("worker.not-rolled-back")[0]?.["worker"], 0);
  await bench.world.clock.advance(100);
  assert.equal(bench.thread(0).start.world.work.source.text, TEXT);
  assert.equal(group.workers?.[0]?.state, "serving");
  await group.close();
});

test("a worker whose event loop does not turn is ended and comes back", async () => {
  const bench = new Bench();
  const group = await bench.start();
  for (let second = 0; second < 30 && bench.threads.length === 3; second++) {
    bench.thread(0).report(0, 0);
    bench.thread(2).report(0, 0);
    await bench.world.clock.advance(1000);
  }
  assert.match(String(bench.told("worker.crashed")[0]?.["reason"]), /its event loop has not turned for 20 s/);
  assert.equal(bench.told("worker.crashed")[0]?.["worker"], 1);
  await group.close();
});

test("the end drains all, and a thread that never answers does not hold it up for ever", async () => {
  const bench = new Bench();
  const group = await bench.start();
  bench.thread(1).post = () => undefined;
  await bench.world.clock.runUntil(group.drain());
  assert.ok(bench.threads.every(({ isEnded }) => isEnded));
  assert.equal(bench.thread(0).calls.at(-1)?.name, "drain");
  assert.equal(bench.threads.length, 3, "nobody is started again");
  assert.deepEqual(bench.world.clock.pendingTimers, []);
});

test("events of workers are told with their number", async () => {
  const bench = new Bench();
  const group = await bench.start();
  bench.thread(1).say({ kind: "events", lines: [["server.bug", '{"where":"x"}']], dropped: 3 });
  assert.deepEqual(bench.told("server.bug"), [{ where: "x", worker: 1 }]);
  assert.deepEqual(bench.told("worker.events-dropped"), [{ worker: 1, dropped: 3 }]);
  await group.close();
});

/** Worker 0 gives worker 1 a connection of the native engine, or of Node. */
function giveFrom(bench: Bench, connection: number | object): void {
  const giver = bench.thread(0);
  const way: ConnectionOnWay =
    typeof connection === "number"
      ? { kind: "descriptor", pass: passOf(giver, connection), remote: { address: HERE, port: 1 } }
      : { kind: "socket", socket: connection };
  giver.say({ kind: "connection", place: "place", connection: way, receiver: 1 });
}

function passOf({ start }: FakeThread, fd: number): ReturnType<DescriptorsUnderWay["put"]> & object {
  const pass = new DescriptorsUnderWay(start.descriptors).put(fd, 0, 1);
  assert.ok(pass);
  return pass;
}

const lostOf = (group: SteeredServer): (number | undefined)[] =>
  (group.workers ?? []).map(({ connectionsLost }) => connectionsLost);

test("what is on its way to a worker that dies is closed and counted once", async () => {
  const bench = new Bench();
  const group = await bench.start();
  const { start } = bench.thread(1);
  for (const fd of [70, 71, 72]) giveFrom(bench, fd);
  const [arrived] = bench.thread(1).given;
  assert.ok(arrived?.connection.kind === "descriptor");
  assert.equal(new DescriptorsUnderWay(start.descriptors).take(arrived.connection.pass), 70);
  bench.thread(1).crash("a bug");
  assert.deepEqual(bench.closed, [
    { kind: "descriptor", fd: 71 },
    { kind: "descriptor", fd: 72 },
  ]);
  assert.deepEqual(lostOf(group), [0, 2, 0]);
  await bench.world.clock.advance(100);
  await group.close();
  assert.equal(bench.closed.length, 2, "and not again");
});

test("what a worker had to close of what it was given is counted beyond its end", async () => {
  const bench = new Bench();
  const group = await bench.start();
  bench.thread(1).report(0, 0, 2);
  assert.deepEqual(lostOf(group), [0, 2, 0]);
  bench.thread(1).crash("a bug");
  await bench.world.clock.advance(100);
  bench.thread(1).report(0, 0, 1);
  assert.deepEqual(lostOf(group), [0, 3, 0]);
  await group.close();
});

test("what is for a worker that is down goes back, and what nobody takes is closed", async () => {
  const bench = new Bench();
  const group = await bench.start();
  bench.thread(1).crash("a bug");
  giveFrom(bench, 70);
  const socket = {};
  giveFrom(bench, socket);
  assert.deepEqual(
    bench.thread(0).given.map(({ connection }) => connection.kind),
    ["descriptor", "socket"],
  );
  assert.deepEqual(bench.closed, []);
  const last = bench.thread(0);
  await bench.world.clock.runUntil(group.close());
  assert.deepEqual(bench.closed, [{ kind: "descriptor", fd: 70 }], "nobody took it before the end");
  assert.deepEqual(lostOf(group), [0, 1, 0]);
  assert.ok(last.isEnded);
});

test("what a worker had given and not sent when it died is closed before it is started again", async () => {
  const bench = new Bench();
  const group = await bench.start();
  passOf(bench.thread(0), 70);
  bench.thread(0).crash("a bug");
  assert.deepEqual(bench.closed, []);
  await bench.world.clock.advance(100);
  assert.deepEqual(bench.closed, [{ kind: "descriptor", fd: 70 }]);
  assert.deepEqual(lostOf(group), [0, 1, 0]);
  await group.close();
});

test("a connection between two workers that are down is closed", async () => {
  const bench = new Bench();
  const group = await bench.start();
  const socket = {};
  bench.thread(1).crash("a bug");
  bench.thread(0).crash("a bug");
  // A worker that starts again listens before it is said to serve.
  bench.onStart = (thread) =>
    thread.say({ kind: "connection", place: "place", connection: { kind: "socket", socket }, receiver: 1 });
  await bench.world.clock.advance(100);
  assert.deepEqual(bench.closed[0], { kind: "socket", socket });
  await group.close();
});
