/** Threads without threads, for tests of groups of workers. */
import assert from "node:assert/strict";
import type { Events, Runtime } from "@sotto/dns/runtime";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import type { WorkerThreadHandlers } from "../operations/index.ts";
import { OutcomeTally } from "../server/index.ts";
import { nothingTold } from "./merged-reports.ts";
import type { WorkerGroupOptions } from "./worker-group.ts";
import { ReportWriter, tallyCells } from "./worker-memory.ts";
import type {
  ClosableConnection,
  GivenConnection,
  ToldBans,
  WorkerCall,
  WorkerMessage,
  WorkerStart,
} from "./worker-messages.ts";

/** Where all of them listen. */
export const HERE = "192.0.2.1";

/** A thread that does what a worker does, but for serving. */
export class FakeThread {
  readonly start: WorkerStart;
  readonly calls: WorkerCall[] = [];
  readonly given: GivenConnection[] = [];
  readonly bans: ToldBans[] = [];
  readonly tally: OutcomeTally;
  isEnded = false;
  readonly #handlers: WorkerThreadHandlers;
  readonly #reports: ReportWriter;
  readonly #bench: FakeThreads;

  constructor(start: WorkerStart, handlers: WorkerThreadHandlers, bench: FakeThreads) {
    // As it is now: what is posted to a thread is a copy.
    this.start = structuredClone(start);
    this.#handlers = handlers;
    this.#bench = bench;
    this.#reports = new ReportWriter(start.memory);
    this.tally = new OutcomeTally(tallyCells(start.memory));
    queueMicrotask(() => {
      bench.onStart(this);
      if (bench.cannotOpen)
        this.say({ kind: "failure", number: 0, code: "ERR_SYSTEM", message: "no memory" });
      else {
        this.report(0, 0);
        this.say({ kind: "result", number: 0, value: new Map([["udp", 5300 + start.index]]) });
      }
    });
  }

  say(message: WorkerMessage): void {
    if (!this.isEnded) this.#handlers.onMessage(message);
  }

  /** `own`: what only its program tells. */
  report(connections: number, accepted: number, connectionsLost = 0, own?: unknown): void {
    const nothing = nothingTold(this.#bench.world.clock);
    const listener = {
      key: "udp",
      transport: "udp" as const,
      local: { address: HERE, port: 5300 },
      certificates: [],
    };
    this.#reports.write({
      status: { ...nothing, connections, admission: { ...nothing.admission, accepted } },
      listeners: [{ ...listener, counters: { received: accepted } }],
      own,
      utilisation: 0.5,
      connectionsGiven: 0,
      connectionsTaken: 0,
      connectionsLost,
    });
  }

  post(message: unknown): void {
    const call = message as WorkerCall | GivenConnection | ToldBans; // The group posts nothing else.
    if (call.name === "bans") {
      this.bans.push(call);
      return;
    }
    if (call.name === "connection") {
      this.given.push(call);
      return;
    }
    this.calls.push(call);
    queueMicrotask(() => this.#answer(call));
  }

  #answer(call: WorkerCall): void {
    const { number } = call;
    if (this.#bench.refuses(this, call))
      this.say({
        kind: "failure",
        number,
        code: "ERR_CONFIG",
        message: `worker ${this.start.index} refuses`,
      });
    else if (call.name === "reload")
      this.say({ kind: "result", number, value: { changes: ["changed access"], ports: call.input.ports } });
    else if (call.name === "flush")
      this.say({ kind: "result", number, value: call.input.from === "replies" ? 1 : 2 });
    else this.say({ kind: "result", number, value: undefined });
  }

  crash(reason: string): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.#handlers.onEnd(reason);
  }

  async terminate(): Promise<void> {
    this.crash("exit code 1");
  }
}

/** Threads for a group of three. */
export class FakeThreads {
  readonly world: SimWorld = simRuntime(1);
  /** All that were started, in order. */
  readonly threads: FakeThread[] = [];
  readonly events: { name: string; details: Readonly<Record<string, unknown>> }[] = [];
  /** Connections that were on their way and had to be closed. */
  readonly closed: ClosableConnection[] = [];
  cannotOpen = false;
  onStart: (thread: FakeThread) => void = () => undefined;
  refuses: (thread: FakeThread, call: WorkerCall) => boolean = () => false;

  /** What a group is started with. */
  get options(): WorkerGroupOptions {
    const startThread = (start: unknown, handlers: WorkerThreadHandlers): FakeThread => {
      const thread = new FakeThread(start as WorkerStart, handlers, this); // What the group gives.
      this.threads.push(thread);
      return thread;
    };
    const closeConnection = (connection: ClosableConnection): void => void this.closed.push(connection);
    return { count: 3, startThread, logLevel: "info", closeConnection };
  }

  get runtime(): Runtime {
    const events: Events = {
      wants: () => true,
      publish: (name, details) => void this.events.push({ name, details }),
    };
    return { ...this.world.runtimeOf([HERE]), events };
  }

  /** The thread that is a worker now. */
  thread(index: number): FakeThread {
    const found = this.threads.findLast(({ start }) => start.index === index);
    assert.ok(found);
    return found;
  }

  told(name: string): Readonly<Record<string, unknown>>[] {
    return this.events.filter((event) => event.name === name).map(({ details }) => details);
  }
}
