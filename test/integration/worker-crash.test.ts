/** Real threads of a resolver, one of which is really killed. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Events } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { Exchanger } from "@sotto/dns/transport";
import { makeEdns, parseName, RRClass, RRType } from "@sotto/dns/wire";
import { type SteeredServer, startWorkers } from "../../packages/sotto/src/compose/index.ts";
import { loadConfig } from "../../packages/sotto/src/config/index.ts";
import { type StartThread, threadsOf, type WorkerThread } from "../../packages/sotto/src/operations/index.ts";

const ENTRY = new URL("../../packages/sotto/src/bin/worker.ts", import.meta.url);
/** That all of them go to one of two workers has a chance of one in 2^39. */
const SOCKETS = 40;

/** Two workers, their threads in order, and a way to wait for an event. */
async function startTwo(context: TestContext): Promise<{
  group: SteeredServer;
  threads: WorkerThread[];
  until: (name: string) => Promise<Readonly<Record<string, unknown>>>;
}> {
  const loaded = loadConfig(
    `listen: [{ transport: udp, address: 127.0.0.1, port: 0 }, { transport: tcp, address: 127.0.0.1, port: 0 }]
workers: 2
local-zones: { data: ["www.corp.example. 300 IN A 192.0.2.1"] }
`,
    "sotto.yaml",
  );
  assert.ok(loaded.ok);
  const threads: WorkerThread[] = [];
  const startThread: StartThread = (start, handlers) => {
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
  const options = { count: 2, startThread, logLevel: "info" as const };
  const group = await startWorkers(loaded.config, loaded.source, options, nodeRuntime(events));
  context.after(() => group.close());
  return { group, threads, until };
}

async function askAnew(group: SteeredServer, transport: "udp" | "tcp"): Promise<number> {
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
    deadlineMs: performance.now() + 20_000,
  });
  await exchanger.close();
  return message.answers.length;
}

async function askMany(group: SteeredServer): Promise<void> {
  for (const transport of ["udp", "tcp"] as const) {
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
  assert.equal(await askAnew(group, "udp"), 1, "the other serves on");
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
