/** Real threads of a resolver: one of them is really killed, or so busy that it gives away what is new. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SteeredServer } from "../../packages/sotto/src/compose/index.ts";
import { askAnew, startTwo } from "./worker-threads.test-support.ts";

/** As `scripts/run-tests.mjs` has it. */
const ENGINE = process.env["SOTTO_ENGINE"] === "native" ? "native" : "node";
/** That all of them go to one of two workers has a chance of one in 2^39. */
const SOCKETS = 40;

/** Over connections: a client on a busy machine asks again over UDP, and all are counted. */
async function askMany(group: SteeredServer): Promise<void> {
  for (const transport of ["tcp", "tls"] as const) {
    const answers = await Promise.all(Array.from({ length: SOCKETS }, () => askAnew(group, transport)));
    assert.deepEqual(new Set(answers), new Set([1]));
  }
}

const queriesOf = (group: SteeredServer): number[] => (group.workers ?? []).map(({ queries }) => queries);

test("a worker that is killed is said aloud and started again, and no count is lost", async (context) => {
  const { group, threads, until } = await startTwo(context, ENGINE);
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
  const { group, threads, until } = await startTwo(context, ENGINE);
  await threads[0]?.terminate();
  assert.deepEqual((await until("worker.crashed"))["worker"], 0);
  await until("worker.restarted");
  await askMany(group);
  assert.ok(queriesOf(group).every((count) => count > 0));
});

test("a saturated worker gives new connections to an idle one, clear and TLS", async (context) => {
  const { group, loads } = await startTwo(context, ENGINE);
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
