/** Two real threads of a resolver, for tests. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
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
/** What two workers serve. */
export const TEXT = `listen:
  - { transport: udp, address: 127.0.0.1, port: 0 }
  - { transport: tcp, address: 127.0.0.1, port: 0 }
  - { transport: tls, address: 127.0.0.1, port: 0 }
workers: 2
local-zones: { data: ["www.corp.example. 300 IN A 192.0.2.1"] }
`;

/** Two workers, their threads in order, and a way to wait for an event. */
export async function startTwo(
  context: TestContext,
  engine: "node" | "native",
): Promise<{
  group: SteeredServer;
  /** To the group. */
  reload: (text: string) => Promise<unknown>;
  threads: WorkerThread[];
  /** How busy each says it is, in thousandths. */
  loads: () => Int32Array;
  until: (name: string) => Promise<Readonly<Record<string, unknown>>>;
}> {
  const loaded = loadConfig(TEXT, "sotto.yaml");
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
  const reload = async (text: string): Promise<unknown> => {
    const next = loadConfig(text, "sotto.yaml");
    assert.ok(next.ok);
    return group.reload(next.config, next.source);
  };
  return { group, reload, threads, loads: () => loads, until };
}

/** One query on a connection of its own; how many records came. */
export async function askAnew(group: SteeredServer, transport: "udp" | "tcp" | "tls"): Promise<number> {
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
