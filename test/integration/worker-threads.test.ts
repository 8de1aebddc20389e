/** Real threads of a resolver: one of them is really killed, or so busy that it gives away what is new. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Events } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { Exchanger, UNAUTHENTICATED_TLS } from "@sotto/dns/transport";
import { makeEdns, parseName, RRClass, RRType } from "@sotto/dns/wire";
import { closeConnection } from "../../packages/sotto/src/bin/close-connection.ts";
import {
  type SteeredServer,
  startWorkers,
  type WorkerStart,
} from "../../packages/sotto/src/compose/index.ts";
import { loadConfig } from "../../packages/sotto/src/config/index.ts";
import { type StartThread, threadsOf, type WorkerThread } from "../../packages/sotto/src/operations/index.ts";

const ENTRY = new URL("../../packages/sotto/src/bin/worker.ts", import.meta.url);
/** As `scripts/run-tests.mjs` has it. */
const engine = process.env["SOTTO_ENGINE"] === "native" ? ("native" as const) : ("node" as const);
/** That all of them go to one of two workers has a chance of one in 2^39. */
const SOCKETS = 40;

/** Two workers, their threads in order, and a way to wait for an event. */
async function startTwo(context: TestContext): Promise<{
  group: SteeredServer;
  threads: WorkerThread[];
  /** How busy each says it is, in thousandths. */
  loads: () => Int32Array;
  until: (name: string) => Promise<Readonly<Record<string, unknown>>>;
}> {
  const loaded = loadConfig(
    `listen:
  - { transport: udp, address: 127.0.0.1, port: 0 }
  - { transport: tcp, address: 127.0.0.1, port: 0 }
  - { transport: tls, address: 127.0.0.1, port: 0 }
workers: 2
local-zones: { data: ["www.corp.example. 300 IN A 192.0.2.1"] }
`,
    "sotto.yaml",
  );
  assert.ok(loaded.ok);
  const threads: WorkerThread[] = [];
  let loads: Int32Array = new Int32Array();
  const startThread: StartThread = (start, handlers) => {
    ({ loads } = start as WorkerStart); // What the group gives.
    const thread = threadsOf(ENTRY)(start, handlers);
    threads.push(thread);
    return thread;
  };
  const told: { name: string; details: Readonly<Record<string, unknown>> }[] = [];
  let wake = (): void => undefined;
  const events: Events = {
    wants: () => true,
    publish: (name, details) => {
      told.push({ name, details });
      wake();
    },
  };
  const until = async (name: string): Promise<Readonly<Record<string, unknown>>> => {
    for (;;) {
      const found = told.find((event) => event.name === name);
      if (found !== undefined) return found.details;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const options = { count: 2, startThread, logLevel: "info" as const, engine, closeConnection };
  const group = await startWorkers(loaded.config, loaded.source, options, nodeRuntime(events));
  context.after(() => group.close());
  return { group, threads, loads: () => loads, until };
}

async function askAnew(group: SteeredServer, transport: "udp" | "tcp" | "tls"): Promise<number> {
  const exchanger = new Exchanger({}, nodeRuntime());
  const listener = group.listeners.find((one) => one.transport === transport);
  assert.ok(listener);
  const { message } = await exchanger.exchange({
    question: { name: parseName("www.corp.example."), type: RRType.A, class: RRClass.IN },
    server: listener.local,
    transport,
    recursionDesired: true,
    checkingDisabled: false,
    authenticData: false,
    edns: makeEdns(),
    deadlineMs: nodeRuntime().clock.nowMs() + 20_000,
    ...(transport === "tls" ? { tls: UNAUTHENTICATED_TLS } : {}),
  });
  await exchanger.close();
  return message.answers.length;
}

/** Over connections: a client on a busy machine asks again over UDP, and all are counted. */
async function askMany(group: SteeredServer): Promise<void> {
  for (const transport of ["tcp", "tls"] as const) {
    const answers = await Promise.all(Array.from({ length: SOCKETS }, () => askAnew(group, transport)));
    assert.deepEqual(new Set(answers), new Set([1]));
  }
}

const queriesOf = (group: SteeredServer): number[] => (group.workers ?? []).map(({ queries }) => queries);

test("a worker that is killed is said aloud and started again, and no count is lost", async (context) => {
  const { group, threads, until } = await startTwo(context);
  await askMany(group);
  const before = queriesOf(group);
  assert.ok(before.every((count) => count > 0));
  // No call: the worker's own exception ends it, as any bug outside of a query would.
  threads[1]?.post(null);
  const crashed = await until("worker.crashed");
  assert.equal(crashed["worker"], 1);
  assert.match(String(crashed["reason"]), /^TypeError: .*\n +at .*worker/);
  assert.equal(await askAnew(group, "tcp"), 1, "the other serves on");
  await until("worker.restarted");
  await askMany(group);
  const after = queriesOf(group);
  assert.ok(
    after.every((count, i) => count > (before[i] ?? 0)),
    `${before} became ${after}`,
  );
  assert.equal(
    after.reduce((sum, count) => sum + count, 0),
    4 * SOCKETS + 1,
  );
});

test("a thread that is ended from outside is a crash, too", async (context) => {
  const { group, threads, until } = await startTwo(context);
  await threads[0]?.terminate();
  assert.deepEqual((await until("worker.crashed"))["worker"], 0);
  await until("worker.restarted");
  await askMany(group);
  assert.ok(queriesOf(group).every((count) => count > 0));
});

test("a saturated worker gives new connections to an idle one, clear and TLS", async (context) => {
  const { group, loads } = await startTwo(context);
  for (const transport of ["tcp", "tls"] as const)
    for (let i = 0; i < SOCKETS; i++) {
      // Each tells the truth four times a second, and is contradicted before every connection.
      loads().set([1000, 0]);
      assert.equal(await askAnew(group, transport), 1, transport);
    }
  // Reports come four times a second.
  let [first, second] = group.workers ?? [];
  while (first?.connectionsGiven !== second?.connectionsTaken || first?.connectionsGiven === 0) {
    await new Promise(setImmediate);
    [first, second] = group.workers ?? [];
  }
  assert.deepEqual([first?.connectionsTaken, second?.connectionsGiven], [0, 0]);
  assert.equal((first?.queries ?? 0) + (second?.queries ?? 0), 2 * SOCKETS);
  assert.ok((second?.queries ?? 0) > (first?.queries ?? 0), `${first?.queries} and ${second?.queries}`);
});
