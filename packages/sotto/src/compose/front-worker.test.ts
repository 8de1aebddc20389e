import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom, type SimWorld, simRuntime } from "@sotto/dns/testing";
import { encodeMessage, makeMessage, parseName, RRClass, RRType } from "@sotto/dns/wire";
import { loadFront } from "../config/index.ts";
import type { BanTold } from "../front/index.ts";
import { OutcomeTally } from "../server/index.ts";
import { frontShareOf, noteBans, shareFront } from "./front-place.ts";
import { shareClients } from "./shared-clients.ts";
import { makeDescriptorMemory } from "./worker-descriptors.ts";
import { makeWorkerLoads } from "./worker-hand-over.ts";
import { makeWorkerMemory, ReportReader, tallyCells, type WorkerReport } from "./worker-memory.ts";
import type { FrontWork, WorkerCallName, WorkerCalls, WorkerMessage } from "./worker-messages.ts";
import { WorkerServer } from "./worker-server.ts";

const HERE = "192.0.2.1";
const CLIENT = "192.0.2.7";
const TEXT = `listen: [{ transport: udp, address: ${HERE} }]
workers: 2
access: { allow: [192.0.2.0/24] }
pools:
  - name: main
    backends: [{ name: one, address: "udp://192.0.2.9", connections: 3, in-flight: 1, queue: 0 }]
    health: { interval: 0s }
rules: [{ name: trap, when: { name: { suffixes: [trap.example] } }, then: { ban: { for: 10s } } }]
`;

function configOf(text = TEXT): Parameters<typeof frontShareOf>[0] {
  const loaded = loadFront(text, "front.yaml");
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return loaded.config;
}

function workOf(world: SimWorld): FrontWork {
  const shared = shareFront(configOf(), undefined, world.random);
  return { program: "front", source: { text: TEXT, file: "front.yaml" }, shared };
}

/** The second of two workers, without a thread. */
class Opened {
  readonly posted: WorkerMessage[] = [];
  readonly memory = makeWorkerMemory();
  readonly server: WorkerServer;
  readonly #world: SimWorld;
  #number = 0;

  constructor(world: SimWorld, work: FrontWork) {
    this.#world = world;
    this.server = new WorkerServer(
      {
        index: 1,
        count: 2,
        memory: this.memory,
        loads: makeWorkerLoads(2),
        descriptors: makeDescriptorMemory(2),
        secrets: { cookies: new Uint8Array(16), tickets: new Uint8Array(48) },
        clients: shareClients(2, { connectionsMax: 100 }, world.random),
        world: { ports: new Map(), certificates: new Map(), work },
        sockets: [],
        logLevel: "error",
        engine: "node",
      },
      {
        runtime: world.runtimeOf([HERE]),
        isLikeOthers: true,
        post: (message) => this.posted.push(message),
        postSocket: () => false,
        adopt: () => false,
        utilisation: () => 0,
      },
    );
  }

  async call<Name extends WorkerCallName>(name: Name, input: WorkerCalls[Name]["input"]): Promise<unknown> {
    const number = ++this.#number;
    // The names and inputs are those of one call.
    this.server.handle({ number, name, input } as Parameters<WorkerServer["handle"]>[0]);
    await this.#world.clock.advance(100);
    const answer = this.posted.find(
      (one) => (one.kind === "result" || one.kind === "failure") && one.number === number,
    );
    return answer?.kind === "result" ? answer.value : answer?.kind === "failure" ? answer.message : answer;
  }

  get report(): WorkerReport<{ pools: { backends: { state: string }[] }[] }> {
    const { latest } = new ReportReader<{ pools: { backends: { state: string }[] }[] }>(this.memory);
    assert.ok(latest);
    return latest;
  }
}

function queryFor(name: string): Uint8Array {
  const questions = [{ name: parseName(name), type: RRType.A, class: RRClass.IN }];
  return encodeMessage(makeMessage({ id: 1, recursionDesired: true, questions }));
}

test("what the configuration says of a backend is true for all workers together", () => {
  const config = configOf();
  const parts = [0, 1].map((index) => frontShareOf(config, { index, count: 2 }).pools[0]?.backends[0]);
  assert.deepEqual(
    parts.map((part) => [part?.connections, part?.inFlightMax, part?.queueMax]),
    [
      [2, 1, 0],
      [1, 1, 0],
    ],
    "at least one each, and none of nothing",
  );
  const { limits } = frontShareOf(config, { index: 1, count: 4 });
  assert.equal(limits.connectionsMax, Math.ceil(config.limits.connectionsMax / 4));
  assert.equal(limits.connectionsPerAddressMax, config.limits.connectionsPerAddressMax);
});

test("less than one for each worker is told when the file is read", () => {
  const warned = (workers: string): string[] => {
    const loaded = loadFront(TEXT.replace("workers: 2", `workers: ${workers}`), "front.yaml");
    assert.ok(loaded.ok);
    return loaded.warnings.map(({ path }) => path);
  };
  const inFlight = "pools[0].backends[0].in-flight";
  assert.deepEqual(
    [warned("1"), warned("auto"), warned("2"), warned("4")],
    [[], [], [inFlight], ["pools[0].backends[0].connections", inFlight]],
  );
});

test("a worker begins with what operators and other workers have said before, and does what it is asked", async () => {
  const world = simRuntime(1);
  const work = workOf(world);
  work.shared.drained.set("", { pool: "main", backend: "one" });
  const worker = new Opened(world, work);
  await world.clock.advance(300);
  assert.deepEqual(
    worker.posted.map((one) => (one.kind === "failure" ? one.message : one.kind)),
    ["result"],
  );
  assert.equal(worker.report.own?.pools[0]?.backends[0]?.state, "draining");
  assert.equal(await worker.call("resumeBackend", { pool: "main", backend: "one" }), undefined);
  assert.equal(worker.report.own?.pools[0]?.backends[0]?.state, "up");
  assert.match(
    String(await worker.call("drainBackend", { pool: "main", backend: "x" })),
    /pool main has no backend "x"/,
  );
  assert.equal(await worker.call("flushAnswers", { name: "example.", isZone: true }), 0);
  assert.match(String(await worker.call("trust", undefined)), /unknown call "trust"/);
  assert.deepEqual(await worker.call("reload", { ports: new Map(), certificates: new Map(), work }), {
    changes: [],
    ports: new Map([["udp 192.0.2.1 53", 53]]),
  });
  assert.equal(await worker.call("drain", undefined), undefined);
  assert.deepEqual(world.clock.pendingTimers, []);
});

test("bans go to the other workers together, and those of others hold here", async () => {
  const world = simRuntime(1);
  const worker = new Opened(world, workOf(world));
  await world.clock.advance(1);
  const asker = world.network.host([CLIENT, "192.0.2.8"]);
  const dropped = async (address: string, name: string): Promise<number> => {
    const socket = await asker.bindDatagram(
      { local: { address, port: 0 }, connectTo: undefined, reusePort: false },
      { onMessage: () => undefined, onError: () => undefined },
    );
    socket.send(queryFor(name), { address: HERE, port: 53 });
    await world.clock.advance(30);
    await socket.close();
    return new OutcomeTally(tallyCells(worker.memory)).counters.udp.dropped;
  };
  assert.equal(await dropped(CLIENT, "trap.example."), 0);
  const bans = worker.posted.flatMap((one) => (one.kind === "bans" ? one.bans : []));
  assert.deepEqual(
    bans.map(({ address, bits, count }) => [address.join("."), bits, count]),
    [[CLIENT, 32, 1]],
  );
  assert.equal(await dropped("192.0.2.8", "www.example."), 0);
  const told = bans.map((ban) => ({ ...ban, address: Uint8Array.of(192, 0, 2, 8) }));
  worker.server.handle({ name: "bans", bans: told });
  assert.equal(await dropped("192.0.2.8", "www.example."), 1);
  assert.equal(
    worker.posted.filter(({ kind }) => kind === "bans").length,
    1,
    "what was told is not told again",
  );
  await worker.call("close", undefined);
  assert.deepEqual(world.clock.pendingTimers, []);
});

test("no more bans are remembered for workers to come than a table of bans has room for", () => {
  const shared = shareFront(configOf(), undefined, new SeededRandom(1));
  const banOf = (i: number, forgottenAtMs: number): BanTold => ({
    address: Uint8Array.of(10, i >>> 16, (i >>> 8) & 255, i & 255),
    bits: 32,
    untilMs: forgottenAtMs,
    count: 1,
    forgottenAtMs,
  });
  noteBans(
    shared,
    Array.from({ length: 10_000 }, (_, i) => banOf(i, i < 2 ? 5 : 100)),
    10,
  );
  noteBans(shared, [banOf(9_000_000, 100)], 10);
  assert.equal(shared.bans.size, 9999, "those that are over go first");
  noteBans(shared, [banOf(9_000_001, 100), banOf(9_000_002, 100)], 10);
  assert.equal(shared.bans.size, 10_000);
  assert.ok(!shared.bans.has("10.0.0.2/32"), "then the oldest");
});
