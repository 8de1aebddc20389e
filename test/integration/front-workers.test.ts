/** Real threads of a front end: they look like one, also for limits of clients, for operators, and when one of them dies. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import { parseName, Rcode } from "@sotto/dns/wire";
import type { SteeredFront } from "../../packages/sotto/src/compose/index.ts";
import { exchangeAnew, startTwoFronts } from "./worker-threads.test-support.ts";
import { ZoneServer } from "./zone-server.test-support.ts";

/** As `scripts/run-tests.mjs` has it. */
const ENGINE = process.env["SOTTO_ENGINE"] === "native" ? "native" : "node";
/** That all of them go to one of two workers has a chance of one in 2^39. */
const SOCKETS = 40;

async function openBackend(context: TestContext): Promise<ZoneServer> {
  const server = await ZoneServer.open(
    ["www", "slow", "trap", "other"].map((name) => `${name} A 192.0.2.1\n`).join(""),
  );
  context.after(() => server[Symbol.asyncDispose]());
  return server;
}

const poolsOf = (...backends: ZoneServer[]): string => poolsWith("1MiB", ...backends);

const poolsWith = (cache: string, ...backends: ZoneServer[]): string =>
  `pools: [{ name: main, cache: ${cache}, health: { interval: 0s }, backends: [${backends
    .map((backend, i) => `{ name: b${i}, address: "tcp://${backend.clear}" }`)
    .join(", ")}] }]\n`;

async function askMany(
  group: SteeredFront,
  transport: "udp" | "tcp" | "tls",
  name: string,
): Promise<number[]> {
  const one = async (): Promise<number> => (await exchangeAnew(group, transport, name)).rcode;
  return Promise.all(Array.from({ length: SOCKETS }, one));
}

const queriesOf = (group: SteeredFront): number[] => (group.workers ?? []).map(({ queries }) => queries);

test("what one worker was answered all of them answer, over every transport", async (context) => {
  const backend = await openBackend(context);
  const { group } = await startTwoFronts(context, ENGINE, poolsOf(backend));
  assert.equal((await exchangeAnew(group, "udp", "www.example.")).answers.length, 1);
  for (const transport of ["udp", "tcp", "tls"] as const) {
    const before = queriesOf(group);
    assert.deepEqual(new Set(await askMany(group, transport, "www.example.")), new Set([Rcode.NoError]));
    const grown = queriesOf(group).map((count, i) => count - (before[i] ?? 0));
    assert.ok(
      grown.every((count) => count > 0),
      `${transport}: ${grown}`,
    );
  }
  assert.equal(backend.seen.length, 1, "one worker asked, the cache is of both");
  assert.equal(await group.flush(parseName("example."), true), 1);
  await exchangeAnew(group, "tcp", "www.example.");
  await askMany(group, "tcp", "www.example.");
  assert.equal(backend.seen.length, 2, "nobody had it any more");
});

// With limits of each worker, a client would have had twice as many as the file says.
test("a client has the rate that the file says, whichever worker it comes to", async (context) => {
  const backend = await openBackend(context);
  const { group } = await startTwoFronts(
    context,
    ENGINE,
    `${poolsOf(backend)}clients: { queries-per-second: 0.001, burst: 30, ban-after: 0 }
rules: [{ name: r, when: { name: { suffixes: [slow.example] } }, then: { rate-limit: { per-second: 0.001, burst: 5 } } }]
`,
  );
  const slow = await askMany(group, "tcp", "slow.example.");
  const good = (rcodes: number[]): number => rcodes.filter((rcode) => rcode === Rcode.NoError).length;
  assert.equal(good(slow), 5);
  assert.ok(
    queriesOf(group).every((count) => count > 5),
    `${queriesOf(group)}`,
  );
  assert.equal(good(await askMany(group, "udp", "www.example.")), 0, "thirty are gone");
});

test("a client has the connections that the file says, whichever worker it comes to", async (context) => {
  const backend = await openBackend(context);
  const { group, threads, until } = await startTwoFronts(
    context,
    ENGINE,
    `${poolsOf(backend)}limits: { connections-per-address: 7 }\n`,
  );
  const { port } = group.listeners.find(({ transport }) => transport === "tcp")?.local ?? {};
  const left = new Set(
    Array.from({ length: SOCKETS }, () => connect({ port: port ?? 0, host: "127.0.0.1" })),
  );
  context.after(() => [...left].map((socket) => socket.destroy()));
  // Those that are turned away are reset.
  await new Promise<void>((resolve) => {
    for (const socket of left)
      socket
        .on("error", () => undefined)
        .on("close", () => {
          left.delete(socket);
          if (left.size <= 7) resolve();
        });
  });
  const states = (): number[] => (group.workers ?? []).map(({ connections }) => connections);
  while (states().reduce((sum, count) => sum + count, 0) !== left.size) await new Promise(setImmediate);
  // Two that came to both at the same moment may both have been turned away.
  assert.ok(left.size >= 6, `${left.size}`);
  // What a worker had that dies, others may have.
  threads[0]?.post(null);
  await until("worker.restarted");
  const gone = 7 - (states()[1] ?? 0);
  for (let i = 0; i < gone; i++) assert.equal((await exchangeAnew(group, "tcp", "www.example.")).rcode, 0);
});

test("a client that one worker has banned gets nothing from the other", async (context) => {
  const backend = await openBackend(context);
  const { group, threads, until } = await startTwoFronts(
    context,
    ENGINE,
    `${poolsOf(backend)}clients: { banned: refuse }
rules: [{ name: trap, when: { name: { suffixes: [trap.example] } }, then: { ban: { for: 1h } } }]
`,
  );
  await exchangeAnew(group, "tcp", "trap.example.");
  const isBanned = (rcode: number): boolean => rcode === Rcode.Refused;
  // The other worker is told soon.
  while (!(await askMany(group, "tcp", "www.example.")).every(isBanned));
  threads[0]?.post(null);
  await until("worker.restarted");
  assert.ok(
    (await askMany(group, "tcp", "www.example.")).every(isBanned),
    "also from one that has begun anew",
  );
  assert.ok(queriesOf(group).every((count) => count > 0));

  assert.deepEqual(
    (await group.bans).map(({ client, count }) => [client, count]),
    [["127.0.0.1/32", 1]],
  );
  assert.equal(await group.liftBan("127.0.0.2"), false);
  assert.equal(await group.liftBan("127.0.0.1"), true);
  assert.deepEqual(await group.bans, []);
  assert.ok(!(await askMany(group, "tcp", "www.example.")).some(isBanned));
});

test("a backend is drained, resumed and reloaded in all workers, and stays drained when one dies", async (context) => {
  const [first, second] = [await openBackend(context), await openBackend(context)];
  const { group, reload, threads, until } = await startTwoFronts(
    context,
    ENGINE,
    poolsWith("0B", first, second),
  );
  await group.drainBackend("main", "b0");
  threads[1]?.post(null);
  await until("worker.restarted");
  for (const transport of ["tcp", "tls"] as const) await askMany(group, transport, "www.example.");
  assert.equal(first.seen.length, 0);
  assert.ok(second.seen.length >= SOCKETS);
  await assert.rejects(Promise.resolve(group.drainBackend("main", "b9")), /has no backend "b9"/);
  await group.resumeBackend("main", "b0");
  await group.drainBackend("main", "b1");
  const before = second.seen.length;
  await askMany(group, "tcp", "www.example.");
  assert.equal(second.seen.length, before);
  assert.ok(first.seen.length >= SOCKETS);
  await reload(poolsOf(second));
  const asked = first.seen.length;
  await askMany(group, "tcp", "other.example.");
  assert.equal(first.seen.length, asked, "nobody has the old pool");
});

test("a worker that dies is said aloud and comes back, and no count is lost", async (context) => {
  const backend = await openBackend(context);
  const { group, threads, until } = await startTwoFronts(context, ENGINE, poolsOf(backend));
  await askMany(group, "tcp", "www.example.");
  threads[1]?.post(null);
  assert.equal((await until("worker.crashed"))["worker"], 1);
  assert.equal(
    (await exchangeAnew(group, "tcp", "www.example.")).rcode,
    Rcode.NoError,
    "the other serves on",
  );
  await until("worker.restarted");
  await askMany(group, "tls", "www.example.");
  assert.equal(
    queriesOf(group).reduce((sum, count) => sum + count, 0),
    2 * SOCKETS + 1,
  );
});
