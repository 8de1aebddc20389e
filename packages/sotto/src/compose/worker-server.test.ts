import assert from "node:assert/strict";
import { test } from "node:test";
import { shareMessageCache } from "@sotto/dns/cache";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import { shareClients } from "./shared-clients.ts";
import { makeDescriptorMemory } from "./worker-descriptors.ts";
import { LOAD_FULL, makeWorkerLoads, type WorkerLoads } from "./worker-hand-over.ts";
import { makeWorkerMemory } from "./worker-memory.ts";
import type { WorkerMessage } from "./worker-messages.ts";
import { WorkerServer } from "./worker-server.ts";

const HERE = "192.0.2.1";
const TEXT = `listen: [{ transport: tcp, address: ${HERE} }]\ndnssec: { validation: false }\n`;

/** The first of two workers, saturated, and what it has posted. */
async function openFirst(
  world: SimWorld,
  loads: WorkerLoads,
  isLikeOthers: boolean,
): Promise<{ server: WorkerServer; posted: WorkerMessage[]; close: () => Promise<void> }> {
  const posted: WorkerMessage[] = [];
  const server = new WorkerServer(
    {
      index: 0,
      count: 2,
      memory: makeWorkerMemory(),
      loads,
      descriptors: makeDescriptorMemory(2),
      secrets: { cookies: new Uint8Array(16), tickets: new Uint8Array(48) },
      clients: shareClients(2, { connectionsMax: 100 }, world.random),
      world: {
        ports: new Map(),
        certificates: new Map(),
        work: {
          program: "resolver",
          source: { text: TEXT, file: "sotto.yaml", purpose: "serve" },
          cache: shareMessageCache(1 << 20, world.random),
        },
      },
      sockets: [],
      logLevel: "error",
      engine: "native",
    },
    {
      runtime: world.runtimeOf([HERE]),
      isLikeOthers,
      post: (message) => posted.push(message),
      postSocket: () => true,
      adopt: () => true,
      utilisation: () => 1,
    },
  );
  await world.clock.advance(3 * 250);
  assert.deepEqual(
    posted.map((one) => (one.kind === "failure" ? one.message : one.kind)),
    ["result"],
  );
  const close = async (): Promise<void> => {
    server.handle({ number: 1, name: "close", input: undefined });
    await world.clock.advance(1000);
    assert.equal(posted.at(-1)?.kind, "result");
  };
  return { server, posted, close };
}

// A thread without descriptors left for its engine took the portable one, told that it had nothing to do, and closed what it was given.
for (const isLikeOthers of [true, false])
  test(`a worker ${isLikeOthers ? "like the others gives and takes" : "whose engine is not the others' looks busy and gives nothing"}`, async () => {
    const world = simRuntime(1);
    const loads = makeWorkerLoads(2);
    loads[1] = 0;
    const { server, close } = await openFirst(world, loads, isLikeOthers);
    const remote = { address: "192.0.2.7", port: 4000 };
    const gives = [
      server.gives({ kind: "descriptor", fd: 99, remote }, `${HERE}:53`),
      server.gives({ kind: "socket", socket: {} }, `${HERE}:53`),
    ];
    assert.deepEqual(gives, [isLikeOthers, isLikeOthers]);
    assert.equal(loads[0] === LOAD_FULL, !isLikeOthers);
    await close();
  });
