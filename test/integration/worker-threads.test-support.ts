/** Two real threads of a resolver or a front end, for tests. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Events, Runtime } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { Exchanger, UNAUTHENTICATED_TLS } from "@sotto/dns/transport";
import { type Message, makeEdns, parseName, RRClass, RRType } from "@sotto/dns/wire";
import { closeConnection } from "../../packages/sotto/src/bin/close-connection.ts";
import {
  type SteeredFront,
  type SteeredServer,
  startFrontWorkers,
  startWorkers,
  type WorkerStart,
} from "../../packages/sotto/src/compose/index.ts";
import { type LoadedFront, loadConfig, loadFront } from "../../packages/sotto/src/config/index.ts";
import { type StartThread, threadsOf, type WorkerThread } from "../../packages/sotto/src/operations/index.ts";

const LISTENERS = `listen:
  - { transport: udp, address: 127.0.0.1, port: 0 }
  - { transport: tcp, address: 127.0.0.1, port: 0 }
  - { transport: tls, address: 127.0.0.1, port: 0 }
`;
const ENTRY = new URL("../../packages/sotto/src/bin/worker.ts", import.meta.url);
/** What two workers serve. Connections that say nothing stay, however slow the machine is and many they are. */
export const TEXT = `${LISTENERS}workers: 2
limits: { handshake-timeout: 10m, connections-per-address: 1000 }
local-zones: { data: ["www.corp.example. 300 IN A 192.0.2.1"] }
`;

/** Threads that really are, what is told of them, and a way to wait for an event. */
interface RealThreads {
  readonly startThread: StartThread;
  /** In the order of their starts. */
  readonly threads: WorkerThread[];
  /** How busy each says it is, in thousandths. */
  readonly loads: () => Int32Array;
  readonly runtime: Runtime;
  readonly until: (name: string) => Promise<Readonly<Record<string, unknown>>>;
}

function realThreads(): RealThreads {
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
  return { startThread, threads, loads: () => loads, runtime: nodeRuntime(events), until };
}

/** Two workers of a resolver. */
export async function startTwo(
  context: TestContext,
  engine: "node" | "native",
): Promise<
  Omit<RealThreads, "startThread" | "runtime"> & {
    group: SteeredServer;
    /** To the group. */
    reload: (text: string) => Promise<unknown>;
  }
> {
  const loaded = loadConfig(TEXT, "sotto.yaml");
  assert.ok(loaded.ok);
  const { startThread, runtime, ...rest } = realThreads();
  const options = { count: 2, startThread, logLevel: "info" as const, engine, closeConnection };
  const group = await startWorkers(loaded.config, loaded.source, options, runtime);
  context.after(() => group.close());
  const reload = async (text: string): Promise<unknown> => {
    const next = loadConfig(text, "sotto.yaml");
    assert.ok(next.ok);
    return group.reload(next.config, next.source);
  };
  return { group, reload, ...rest };
}

/** Two workers of a front end, on all transports; `text` is what its file says besides. */
export async function startTwoFronts(
  context: TestContext,
  engine: "node" | "native",
  text: string,
): Promise<
  Omit<RealThreads, "startThread" | "runtime"> & {
    group: SteeredFront;
    reload: (text: string) => Promise<unknown>;
  }
> {
  const load = (more: string): LoadedFront & { ok: true } => {
    const loaded = loadFront(`${LISTENERS}workers: 2\n${more}`, "front.yaml");
    assert.ok(loaded.ok, JSON.stringify(loaded));
    return loaded;
  };
  const { config, source } = load(text);
  const { startThread, runtime, ...rest } = realThreads();
  const options = { count: 2, startThread, logLevel: "info" as const, engine, closeConnection };
  const group = await startFrontWorkers(config, source, options, runtime);
  context.after(() => group.close());
  const reload = async (more: string): Promise<unknown> => {
    const next = load(more);
    return group.reload(next.config, next.source);
  };
  return { group, reload, ...rest };
}

/** One query on a connection of its own. */
export async function exchangeAnew(
  group: Pick<SteeredServer, "listeners">,
  transport: "udp" | "tcp" | "tls",
  name = "www.corp.example.",
): Promise<Message> {
  const exchanger = new Exchanger({}, nodeRuntime());
  const listener = group.listeners.find((one) => one.transport === transport);
  assert.ok(listener);
  const { message } = await exchanger.exchange({
    question: { name: parseName(name), type: RRType.A, class: RRClass.IN },
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
  return message;
}

/** How many records came. */
export async function askAnew(group: SteeredServer, transport: "udp" | "tcp" | "tls"): Promise<number> {
  return (await exchangeAnew(group, transport)).answers.length;
}
