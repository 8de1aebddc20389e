import assert from "node:assert/strict";
import { test } from "node:test";
import type { Events } from "@sotto/dns/runtime";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import { parseName } from "@sotto/dns/wire";
import { loadConfig } from "../config/index.ts";
import type { WorkerThreadHandlers } from "../operations/index.ts";
import { OutcomeTally } from "../server/index.ts";
import { nothingTold } from "./merged-reports.ts";
import { startWorkers } from "./resolver-group.ts";
import type { SteeredServer } from "./steered-server.ts";
import { DescriptorsUnderWay } from "./worker-descriptors.ts";
import { ReportWriter, tallyCells } from "./worker-memory.ts";
import type {
  ClosableConnection,
  ConnectionOnWay,
  GivenConnection,
  WorkerCall,
  WorkerMessage,
  WorkerStart,
} from "./worker-messages.ts";

const HERE = "192.0.2.1";
const TEXT = `listen: [{ transport: udp, address: ${HERE}, port: 0 }]\nworkers: 3\n`;

/** A thread that does what a worker does, but for serving. */
class FakeThread {
  readonly start: WorkerStart;
  readonly calls: WorkerCall[] = [];
  readonly given: GivenConnection[] = [];
  readonly tally: OutcomeTally;
  isEnded = false;
  readonly #handlers: WorkerThreadHandlers;
  readonly #reports: ReportWriter;
  readonly #bench: Bench;

  constructor(start: WorkerStart, handlers: WorkerThreadHandlers, bench: Bench) {
    this.start = start;
    this.#handlers = handlers;
    this.#bench = bench;
    this.#reports = new ReportWriter(start.memory);
    this.tally = new OutcomeTally(tallyCells(start.memory));
    queueMicrotask(() => {
      bench.onStart(this);
      if (bench.cannotOpen)
        this.say({ kind: "failure", number: 0, code: "ERR_SYSTEM", message: "no memory" });
      else {
        this.report(0, 0);
        this.say({ kind: "result", number: 0, value: new Map([["udp", 5300 + start.index]]) });
      }
    });
  }

  say(message: WorkerMessage): void {
    if (!this.isEnded) this.#handlers.onMessage(message);
  }

  report(connections: number, accepted: number, connectionsLost = 0): void {
    const nothing = nothingTold(this.#bench.world.clock);
    const listener = {
      key: "udp",
      transport: "udp" as const,
      local: { address: HERE, port: 5300 },
      certificates: [],
    };
    this.#reports.write({
      status: { ...nothing, connections, admission: { ...nothing.admission, accepted } },
      listeners: [{ ...listener, counters: { received: accepted } }],
      own: undefined,
      utilisation: 0.5,
      connectionsGiven: 0,
      connectionsTaken: 0,
      connectionsLost,
    });
  }

  post(message: unknown): void {
    const call = message as WorkerCall | GivenConnection; // The group posts nothing else.
    if (call.name === "connection") {
      this.given.push(call);
      return;
    }
    this.calls.push(call);
    queueMicrotask(() => this.#answer(call));
  }

  #answer(call: WorkerCall): void {
    const { number } = call;
    if (this.#bench.refuses(this, call))
      this.say({
        kind: "failure",
        number,
        code: "ERR_CONFIG",
        message: `worker ${this.start.index} refuses`,
      });
    else if (call.name === "reload")
      this.say({ kind: "result", number, value: { changes: ["changed access"], ports: call.input.ports } });
    else if (call.name === "flush")
      this.say({ kind: "result", number, value: call.input.from === "replies" ? 1 : 2 });
    else this.say({ kind: "result", number, value: undefined });
  }

  crash(reason: string): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.#handlers.onEnd(reason);
  }

  async terminate(): Promise<void> {
    this.crash("exit code 1");
  }
}

/** A group of three on fake threads. */
class Bench {
  readonly world: SimWorld = simRuntime(1);
  /** All that were started, in order. */
  readonly threads: FakeThread[] = [];
  readonly events: { name: string; details: Readonly<Record<string, unknown>> }[] = [];
  /** Connections that were on their way and had to be closed. */
  readonly closed: ClosableConnection[] = [];
  cannotOpen = false;
  onStart: (thread: FakeThread) => void = () => undefined;
  refuses: (thread: FakeThread, call: WorkerCall) => boolean = () => false;

  async start(): Promise<SteeredServer> {
    const loaded = loadConfig(TEXT, "sotto.yaml");
    assert.ok(loaded.ok);
    const events: Events = {
      wants: () => true,
      publish: (name, details) => void this.events.push({ name, details }),
    };
    const startThread = (start: unknown, handlers: WorkerThreadHandlers): FakeThread => {
      const thread = new FakeThread(start as WorkerStart, handlers, this); // What the group gives.
      this.threads.push(thread);
      return thread;
    };
    const closeConnection = (connection: ClosableConnection): void => void this.closed.push(connection);
    const options = { count: 3, startThread, logLevel: "info" as const, closeConnection };
    const runtime = { ...this.world.runtimeOf([HERE]), events };
    return this.world.clock.runUntil(startWorkers(loaded.config, loaded.source, options, runtime));
  }

  /** The thread that is a worker now. */
  thread(index: number): FakeThread {
    const found = this.threads.findLast(({ start }) => start.index === index);
    assert.ok(found);
    return found;
  }

  told(name: string): Readonly<Record<string, unknown>>[] {
    return this.events.filter((event) => event.name === name).map(({ details }) => details);
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
  assert.equal(new Set(starts.map(({ secrets }) => secrets.tickets)).size, 1);
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
