/** Descriptors between real threads: whatever becomes of one on its way, it is closed once and counted. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { nativeRuntime } from "@sotto/dns/runtime/native";
import type { SteeredServer } from "../../packages/sotto/src/compose/index.ts";
import type { WorkerThread } from "../../packages/sotto/src/operations/index.ts";
import { startTwo, TEXT } from "./worker-threads.test-support.ts";

const skip = nativeRuntime().engineProblem ?? false;
/** That the kernel gives all of them to one of two workers has a chance of one in 2^39. */
const SOCKETS = 40;
/** What stands in the place of a load until its worker has told one. */
const UNKNOWN = 1000;

/** All of this process, whose threads the workers are. */
function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** Turns go by until it is so. */
async function eventually(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

type Count = "connections" | "connectionsGiven" | "connectionsTaken" | "connectionsLost";

function countsOf(group: SteeredServer, count: Count): number[] {
  return (group.workers ?? []).map((worker) => worker[count]);
}

function sumOf(group: SteeredServer, count: Count): number {
  return countsOf(group, count).reduce((sum, one) => sum + one, 0);
}

/** A connection that stays and says nothing. */
async function connectTo(context: TestContext, group: SteeredServer): Promise<Socket> {
  const listener = group.listeners.find(({ transport }) => transport === "tls");
  const socket = connect(listener?.local.port ?? 0, "127.0.0.1");
  socket.on("error", () => undefined);
  context.after(() => socket.destroy());
  socket.resume();
  await once(socket, "connect");
  return socket;
}

/** Connections to the first worker, which the second one is said to have all the time for. */
async function connectWhileBusy(
  context: TestContext,
  group: SteeredServer,
  loads: () => Int32Array,
): Promise<Socket[]> {
  const sockets: Socket[] = [];
  // Before its first report a worker gives nothing.
  await eventually(() =>
    loads()
      .subarray(0, 2)
      .every((load) => load < UNKNOWN),
  );
  for (let i = 0; i < SOCKETS; i++) {
    loads().set([1000, 0]);
    sockets.push(await connectTo(context, group));
  }
  return sockets;
}

/** Keeps what is posted from its thread. */
function withhold(thread: WorkerThread): { readonly kept: unknown[]; deliver(): void } {
  const { post } = thread;
  const kept: unknown[] = [];
  thread.post = (message) => void kept.push(message);
  return {
    kept,
    deliver() {
      thread.post = post;
      for (const message of kept) post(message);
    },
  };
}

test("a burst arrives whole, who has none gets what is new, and no descriptor is left", {
  skip,
}, async (context) => {
  const before = openDescriptors();
  const { group, loads, threads, until } = await startTwo(context, "native");
  const burst = await Promise.all(Array.from({ length: SOCKETS * 2 }, () => connectTo(context, group)));
  await eventually(() => sumOf(group, "connections") === 2 * SOCKETS);
  await threads[1]?.terminate();
  await until("worker.restarted");
  const open = (): number => burst.filter(({ closed }) => !closed).length;
  // Some may have been on their way to the first one, which counts them a little later.
  await eventually(() => open() < 2 * SOCKETS && sumOf(group, "connections") === open());
  const left = open();
  for (let i = 0; i < left; i++) {
    loads().set([0, 0]);
    await connectTo(context, group);
  }
  await eventually(() => sumOf(group, "connections") === 2 * left);
  // The kernel alone would leave the first one with three of four.
  const [first = 0, second = 0] = countsOf(group, "connections");
  assert.ok(first - second <= left / 2, `${left} became ${first} and ${second}`);
  assert.ok(sumOf(group, "connectionsGiven") > 0);
  await group.close();
  await eventually(() => openDescriptors() <= before);
});

test("what is on its way to a worker that ends is closed and counted once", { skip }, async (context) => {
  const before = openDescriptors();
  const { group, loads, threads, until } = await startTwo(context, "native");
  const [, receiver] = threads;
  assert.ok(receiver);
  const { kept, deliver } = withhold(receiver);
  const sockets = await connectWhileBusy(context, group, loads);
  await eventually(() => kept.length > 0 && sumOf(group, "connections") + kept.length === SOCKETS);
  await receiver.terminate();
  await until("worker.restarted");
  const given = kept.length;
  // They were for a thread that is gone.
  deliver();
  await eventually(() => sumOf(group, "connectionsGiven") === sumOf(group, "connectionsTaken") + given);
  assert.deepEqual(countsOf(group, "connectionsLost"), [0, given]);
  await eventually(() => sockets.filter(({ closed }) => closed).length >= given);
  await group.close();
  await eventually(() => openDescriptors() <= before);
});

test("what comes to a worker that listens there no more is closed and counted", { skip }, async (context) => {
  const before = openDescriptors();
  const { group, loads, reload, threads } = await startTwo(context, "native");
  const [, receiver] = threads;
  assert.ok(receiver);
  const { kept, deliver } = withhold(receiver);
  const sockets = await connectWhileBusy(context, group, loads);
  await eventually(() => kept.length > 0 && sumOf(group, "connections") + kept.length === SOCKETS);
  const given = kept.length;
  const changed = reload(TEXT.replace(/ {2}- .*transport: tls.*\n/, ""));
  // The first worker has reloaded when the second one is asked to.
  await eventually(() => kept.length > given);
  kept.unshift(...kept.splice(given));
  deliver();
  await changed;
  await eventually(() => sumOf(group, "connectionsLost") === given);
  await eventually(() => sockets.filter(({ closed }) => closed).length >= given);
  await group.close();
  await eventually(() => openDescriptors() <= before);
});

test("what is on its way when all ends is closed", { skip }, async (context) => {
  const before = openDescriptors();
  const { group, loads, threads } = await startTwo(context, "native");
  const [, receiver] = threads;
  assert.ok(receiver);
  const { kept } = withhold(receiver);
  const sockets = await connectWhileBusy(context, group, loads);
  await eventually(() => kept.length > 0 && sumOf(group, "connections") + kept.length === SOCKETS);
  const ended = group.close();
  // The call to close is withheld, too: nobody answers it.
  await Promise.all([receiver.terminate(), ended]);
  await eventually(() => sockets.every(({ closed }) => closed));
  await eventually(() => openDescriptors() <= before);
});
