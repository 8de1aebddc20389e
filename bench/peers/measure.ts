/** One measurement of one server, repeated while the machine has other things to do. */
import { setTimeout as pause } from "node:timers/promises";
import { disturbanceOf, memoryKib } from "./accounting.ts";
import { type Exchange, type Field, targetOf } from "./field.ts";
import type { LoadOutcome } from "./generator/orders.ts";
import type { Step } from "./plan.ts";
import { IDLE_CONNECTIONS, type Load, loadOf, type OrderSetting, windowMsOf } from "./tests.ts";

/** What one step gave. */
export interface Measurement {
  readonly server: string;
  readonly round: number;
  readonly answers: number;
  readonly wrong: number;
  readonly lost: number;
  readonly perSecond: number;
  /** CPU of the server per answer, microseconds. */
  readonly cpuUs: number;
  /** The same of its busiest thread. */
  readonly busiestUs: number;
  /** Shares of a core. */
  readonly serverShare: number;
  readonly loadShare: number;
  /** Absent: the load does not tell. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** Of the test of memory. */
  readonly memoryKib?: number;
  /** Why it does not count. */
  readonly disturbed?: string;
}

export interface MeasureOptions {
  readonly secs: number;
  /** For the tests that have the choice. */
  readonly load: Load;
  readonly setting: Omit<OrderSetting, "coldFirst">;
  /** Measurements are taken again when they were disturbed. */
  readonly isRepeating: boolean;
}

/** Takes measurements; remembers which names were asked for. */
export class Meter {
  readonly #field: Field;
  #coldFirst = 0;

  constructor(field: Field) {
    this.#field = field;
  }

  async measure(step: Step, options: MeasureOptions): Promise<Measurement> {
    const { test } = step;
    if (test.order === undefined) return this.#memory(step);
    let last: Measurement | undefined;
    for (let tries = 0; tries < (options.isRepeating ? TRIES_MAX : 1); tries++) {
      if (tries > 0) await this.#field.quiet(QUIET_TRIES);
      last = await this.#once(step, options);
      if (last.disturbed === undefined) return last;
    }
    // There was at least one.
    return last as Measurement;
  }

  async #once(
    { test, server, round }: Step,
    { secs, load: chosen, setting }: MeasureOptions,
  ): Promise<Measurement> {
    const target = targetOf(server, test.transport);
    const order = test.order?.(target, { ...setting, coldFirst: this.#coldFirst });
    if (order === undefined) throw new Error(`${test.key} has no order`);
    if (order.kind === "pipeline" && order.names.kind !== "cold")
      await this.#field.warm(server, test.transport, order.names.kind);
    const load = loadOf(test, chosen);
    const window = { leadMs: LEAD_MS, windowMs: windowMsOf(test, load, secs) };
    const exchange = await this.#field.run(server, order, window, load);
    this.#coldFirst += exchange.outcome.coldUsed;
    const { answers, resumed } = exchange.outcome;
    const wantsResumption = order.kind === "connect" && order.isResumed;
    if (wantsResumption && resumed < answers * RESUMED_LEAST)
      throw new Error(`${server.name} resumed ${resumed} of ${answers} sessions`);
    return measurementOf(server.name, round, exchange);
  }

  /** Memory that idle connections take: a fresh server, and as few differences as there can be. */
  async #memory({ test, server, round }: Step): Promise<Measurement> {
    const field = this.#field;
    const target = targetOf(server, test.transport);
    await field.start(server, { connectionsMax: IDLE_SLOTS, only: "tls" });
    try {
      // What a server allocates for its first connections is no matter of the others.
      const first = { kind: "connect", target, atOnce: 4, isResumed: false } as const;
      await field.run(server, first, { leadMs: 0, windowMs: 1000 });
      await pause(SETTLE_MS);
      const beforeKib = memoryKib(field.pidOf(server));
      const window = { leadMs: 0, windowMs: 0 };
      const held = await field.run(server, { kind: "hold", target, connections: IDLE_CONNECTIONS }, window);
      await pause(HOLD_MS);
      const afterKib = memoryKib(field.pidOf(server));
      const released = await field.run(server, { kind: "release" }, window);
      const { answers } = held.outcome;
      const dead = answers - released.outcome.answers;
      // Memory is the same on a busy machine.
      const { disturbed, ...figures } = measurementOf(server.name, round, held);
      return { ...figures, lost: figures.lost + dead, memoryKib: (afterKib - beforeKib) / answers };
    } finally {
      await field.stop(server);
    }
  }
}

function measurementOf(server: string, round: number, { outcome, use }: Exchange): Measurement {
  const { answers, wrong, lost, p50Ms, p99Ms, runMs = use.wallMs }: LoadOutcome = outcome;
  if (answers === 0) throw new Error(`${server} gave no answer (${wrong} wrong, ${lost} lost)`);
  const disturbed = disturbanceOf(use) ?? latenessOf(outcome);
  return {
    server,
    round,
    answers,
    wrong,
    lost,
    perSecond: (answers * 1000) / runMs,
    cpuUs: (use.serverMs * 1000) / answers,
    busiestUs: (use.busiestMs * 1000) / answers,
    serverShare: use.serverMs / use.wallMs,
    loadShare: use.loadMs / use.wallMs,
    ...(p50Ms === undefined ? {} : { p50Ms }),
    ...(p99Ms === undefined ? {} : { p99Ms }),
    ...(disturbed === undefined ? {} : { disturbed }),
  };
}

/** Latencies count from when a query was due: a load that looks late measures itself. */
function latenessOf({ behindMs = 0 }: LoadOutcome): string | undefined {
  return behindMs > BEHIND_MOST_MS
    ? `the load was ${behindMs.toFixed(0)} ms late: it lost its core, or cannot send so many`
    : undefined;
}

const BEHIND_MOST_MS = 20;
const LEAD_MS = 300;
const TRIES_MAX = 4;
const QUIET_TRIES = 10;
/** Servers that resume fewer do not take part in what the test is about. */
const RESUMED_LEAST = 0.95;
/** Room for {@link IDLE_CONNECTIONS}, and for idle timers that shrink when half of the slots are taken. */
const IDLE_SLOTS = 11_000;
const SETTLE_MS = 1000;
const HOLD_MS = 3000;
