import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "@sotto/dns/wire";
import { type LoadedFront, loadFront } from "../config/index.ts";
import type { BanTold } from "../front/index.ts";
import { FakeThreads, HERE } from "./fake-threads.test-support.ts";
import { startFrontWorkers } from "./front-group.ts";
import type { FrontTold } from "./front-reports.ts";
import type { SteeredFront } from "./steered-front.ts";
import type { FrontWork, WorkerStart } from "./worker-messages.ts";

const MAIN = `{ name: main, backends: [{ name: one, address: "tcp://192.0.2.9" }], cache: 1MiB }`;
const OTHER = `{ name: other, backends: [{ name: two, address: "tcp://192.0.2.8" }], cache: 1MiB }`;

function textOf(pools: string, more = ""): string {
  return `listen: [{ transport: udp, address: ${HERE}, port: 0 }]\nworkers: 3\npools: [${pools}]\n${more}`;
}

function load(text: string): LoadedFront & { ok: true } {
  const loaded = loadFront(text, "front.yaml");
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return loaded;
}

/** A group of three on fake threads. */
class Bench extends FakeThreads {
  async start(text = textOf(`${MAIN}, ${OTHER}`)): Promise<SteeredFront> {
    const { config, source } = load(text);
    return this.world.clock.runUntil(startFrontWorkers(config, source, this.options, this.runtime));
  }

  reload(group: SteeredFront, text: string): Promise<unknown> {
    const { config, source } = load(text);
    return this.world.clock.runUntil(group.reload(config, source).catch((error: unknown) => String(error)));
  }

  work(index: number): FrontWork {
    return workOf(this.thread(index).start);
  }

  /** What a worker was told to change to last. */
  reloaded(index: number): FrontWork {
    const call = this.thread(index).calls.findLast(({ name }) => name === "reload");
    assert.ok(call?.name === "reload" && call.input.work.program === "front");
    return call.input.work;
  }
}

function workOf({ world }: WorkerStart): FrontWork {
  assert.ok(world.work.program === "front");
  return world.work;
}

const idsOf = ({ shared }: FrontWork): unknown[] => [...shared.caches].map(([name, { id }]) => [name, id]);

test("workers of a front end have the same packet caches and the same rates", async () => {
  const bench = new Bench();
  const rules = "rules: [{ name: r, then: { rate-limit: { per-second: 5 } } }]\n";
  const group = await bench.start(textOf(`${MAIN}, ${OTHER}`, rules));
  for (const index of [0, 1, 2]) {
    const { shared, source } = bench.work(index);
    assert.deepEqual(idsOf(bench.work(index)), [
      ["main", 1],
      ["other", 2],
    ]);
    assert.deepEqual([shared.guardTables.length, shared.rateTables.length], [2, 1]);
    assert.match(source.text, /workers: 3/);
    const word = new Int32Array(shared.caches.get("main")?.memory.buffer ?? new SharedArrayBuffer(4));
    if (index === 0) word[word.length - 1] = 77;
    assert.equal(word.at(-1), 77, "one memory");
  }
  await group.close();
});

test("a pool keeps its cache unless its answers would be others, and what was drained, and limits of clients their tables and bans", async () => {
  const bench = new Bench();
  const group = await bench.start();
  const ban: BanTold = {
    address: Uint8Array.of(192, 0, 2, 7),
    bits: 32,
    untilMs: 9e9,
    count: 1,
    forgottenAtMs: 9e9,
  };
  bench.thread(1).say({ kind: "bans", bans: [ban] });
  await group.drainBackend("main", "one");
  await group.drainBackend("other", "two");
  await bench.reload(group, textOf(`${MAIN}, ${OTHER.replace("1MiB", "2MiB")}`));
  const kept = bench.reloaded(0);
  assert.deepEqual(idsOf(kept), [
    ["main", 1],
    ["other", 3],
  ]);
  assert.deepEqual(
    [...kept.shared.drained.values()].map(({ backend }) => backend),
    ["one", "two"],
  );
  assert.deepEqual([...kept.shared.bans.keys()], ["192.0.2.7/32"]);
  await bench.reload(group, textOf(MAIN, "clients: { queries-per-second: 7 }\n"));
  assert.equal(bench.reloaded(2).shared.bans.size, 0);
  assert.deepEqual(
    [...bench.reloaded(2).shared.drained.values()].map(({ pool }) => pool),
    ["main"],
  );
  await group.close();
});

test("a backend is taken out of use in all workers, and in one that starts again", async () => {
  const bench = new Bench();
  const group = await bench.start();
  await group.drainBackend("main", "one");
  for (const index of [0, 1, 2])
    assert.deepEqual(
      bench.thread(index).calls.map(({ name, input }) => [name, input]),
      [["drainBackend", { pool: "main", backend: "one" }]],
    );
  bench.thread(1).crash("a bug");
  await bench.world.clock.advance(100);
  assert.deepEqual([...bench.work(1).shared.drained.values()], [{ pool: "main", backend: "one" }]);
  await group.resumeBackend("main", "one");
  bench.thread(2).crash("a bug");
  await bench.world.clock.advance(100);
  assert.deepEqual([...bench.work(2).shared.drained], []);
  await group.close();
});

test("a backend that nobody knows is refused by the first worker, and the others are not asked", async () => {
  const bench = new Bench();
  const group = await bench.start();
  bench.refuses = (_, { name }) => name === "drainBackend";
  await assert.rejects(Promise.resolve(group.drainBackend("main", "three")), /worker 0 refuses/);
  assert.deepEqual(bench.thread(1).calls, []);
  await group.close();
});

test("a client that one worker bans all others are told of, and one that starts later knows", async () => {
  const bench = new Bench();
  const group = await bench.start();
  const ban = {
    address: Uint8Array.of(192, 0, 2, 7),
    bits: 24,
    untilMs: 5000,
    count: 1,
    forgottenAtMs: 9000,
  };
  bench.thread(1).say({ kind: "bans", bans: [ban] });
  assert.deepEqual(
    [0, 1, 2].map((index) => bench.thread(index).bans.map(({ bans }) => bans)),
    [[[ban]], [], [[ban]]],
  );
  bench.thread(0).crash("a bug");
  await bench.world.clock.advance(100);
  assert.deepEqual([...bench.work(0).shared.bans.values()], [ban]);

  await group.liftBan("192.0.2.200");
  assert.deepEqual(
    [0, 1, 2].map((index) => bench.thread(index).calls.findLast(({ name }) => name === "liftBan")?.input),
    ["192.0.2.200", "192.0.2.200", "192.0.2.200"],
  );
  bench.thread(2).crash("a bug");
  await bench.world.clock.advance(100);
  assert.equal(bench.work(2).shared.bans.size, 0);
  await group.close();
});

test("answers are shared, so that one worker forgets them for all", async () => {
  const bench = new Bench();
  const group = await bench.start();
  await group.flush(parseName("example."), true);
  assert.deepEqual(bench.thread(0).calls.at(-1)?.input, { name: "example.", isZone: true });
  assert.deepEqual([bench.thread(1).calls, bench.thread(2).calls], [[], []]);
  await group.close();
});

test("when one worker refuses a reload, those that had accepted get the caches and drained backends of before", async () => {
  const bench = new Bench();
  const group = await bench.start();
  await group.drainBackend("other", "two");
  bench.refuses = ({ start }, { name }) => name === "reload" && start.index === 2;
  assert.match(String(await bench.reload(group, textOf(MAIN))), /worker 2 refuses/);
  assert.deepEqual(idsOf(bench.reloaded(0)), idsOf(bench.work(0)));
  assert.equal(bench.reloaded(1).shared.drained.size, 1);
  await group.close();
});

/** What a worker tells of one pool. */
function toldOf(state: "up" | "down", sent: number, inFlight = 0): FrontTold {
  const nothing = { sent, answered: sent, late: 0, retries: 0, truncated: 0 };
  const failures = {} as FrontTold["pools"][number]["backends"][number]["counters"]["failures"]; // None of any kind.
  return {
    front: { forwarded: sent, stale: 0, delayed: 0, teed: 0, transfers: 0, unusable: 0 },
    pending: inFlight,
    pools: [
      {
        name: "main",
        isDown: state === "down",
        isSaturated: false,
        queries: inFlight,
        patienceMs: 100 + sent,
        cache: {
          entries: 5,
          usedBytes: 500,
          hits: sent,
          misses: 1,
          stored: 1,
          evicted: 0,
          crowdedOut: 0,
          busy: 0,
          torn: 0,
        },
        backends: [
          {
            name: "one",
            address: "tcp://192.0.2.9",
            state,
            why: state === "up" ? "checked" : "3 failed checks in a row",
            authentication: undefined,
            forMs: 1,
            weight: 1,
            inFlight,
            queued: 0,
            connections: 1,
            connectionsOpened: 2,
            sockets: 0,
            wrongReplies: 0,
            queriesPerConnection: undefined,
            latencyMs: sent,
            latencyP99Ms: sent,
            counters: { ...nothing, failures },
          },
        ],
      },
    ],
    rules: {
      rules: [{ name: "ads", matches: sent, ended: 1 }],
      sets: [
        {
          name: "list",
          entries: 3,
          bad: 0,
          unsupported: 0,
          problem: state === "down" ? "cannot be read" : undefined,
        },
      ],
      clients: { overLimit: 1, banned: 0 },
    },
  };
}

test("what workers tell of pools and rules is one table, with the worst that any of them sees", async () => {
  const bench = new Bench();
  const group = await bench.start();
  bench.thread(0).report(1, 1, 0, toldOf("up", 10, 2));
  bench.thread(1).report(1, 1, 0, toldOf("down", 30));
  bench.thread(2).report(1, 1, 0, toldOf("up", 20, 1));
  const { pools, rules, front, pending, workers } = group.status;
  const [pool] = pools;
  const [backend] = pool?.backends ?? [];
  assert.deepEqual([pool?.isDown, pool?.queries, pool?.patienceMs], [false, 3, 130]);
  assert.deepEqual([pool?.cache?.entries, pool?.cache?.hits], [5, 60]);
  assert.deepEqual(
    [backend?.state, backend?.why, backend?.counters.sent, backend?.connections, backend?.latencyMs],
    ["down", "1 of 3 workers: 3 failed checks in a row", 60, 3, 20],
  );
  assert.deepEqual(rules.rules, [{ name: "ads", matches: 60, ended: 3 }]);
  assert.deepEqual(rules.sets, [
    { name: "list", entries: 3, bad: 0, unsupported: 0, problem: "cannot be read" },
  ]);
  assert.deepEqual([front.forwarded, pending, workers?.length], [60, 3, 3]);
  await group.close();
});

test("of a worker that has died counts stay, and what it saw does not", async () => {
  const bench = new Bench();
  const group = await bench.start();
  for (const index of [0, 2]) bench.thread(index).report(1, 1, 0, toldOf("up", 10, 1));
  for (const times of [1, 2]) {
    bench.thread(1).report(1, 1, 0, toldOf("down", 30, 7));
    bench.thread(1).crash("a bug");
    const { pools, pending, rules } = group.status;
    const [backend] = pools[0]?.backends ?? [];
    assert.deepEqual(
      [backend?.state, backend?.inFlight, backend?.connections, backend?.counters.sent, pending],
      ["up", 2, 2, 20 + 30 * times, 2],
    );
    assert.deepEqual(rules.rules[0]?.matches, 20 + 30 * times);
    await bench.world.clock.advance(200);
  }
  await group.close();
});

test("before anybody has told anything there is nothing, and no throw", async () => {
  const bench = new Bench();
  const group = await bench.start();
  assert.deepEqual([group.status.pools, group.status.rules.rules, group.status.front.forwarded], [[], [], 0]);
  await group.close();
});
