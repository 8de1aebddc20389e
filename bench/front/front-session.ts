/** The benchmark of front ends from start to end: all tests, all contenders close together in each round. */
import { setTimeout as pause } from "node:timers/promises";
import type { FrontProgram } from "../../scripts/front/front-programs.ts";
import { disturbanceOf, memoryKib } from "../peers/accounting.ts";
import { BACKEND, type Contender, type FrontExchange, FrontField } from "./front-field.ts";
import { type FrontFigure, type FrontTest, IDLE_CONNECTIONS } from "./front-tests.ts";

/** One measurement. */
export interface FrontMeasurement {
  readonly name: string;
  readonly round: number;
  readonly answers: number;
  readonly wrong: number;
  readonly lost: number;
  readonly perSecond: number;
  readonly cpuUs: number;
  /** Absent: dnsperf does not tell. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly memoryKib?: number;
  readonly disturbed?: string;
}

/** Measurements of a test, or why a contender gave none. */
export interface FrontRecord {
  readonly key: string;
  readonly measurements: readonly FrontMeasurement[];
  readonly failures: readonly string[];
}

export interface SessionOptions {
  readonly fronts: readonly {
    readonly name: string;
    readonly front: FrontProgram;
    readonly engine: "node" | "native";
  }[];
  readonly tests: readonly FrontTest[];
  readonly rounds: number;
  readonly secs: number;
}

type Tell = (text: string) => void;

export async function runFrontSession(options: SessionOptions, tell: Tell): Promise<FrontRecord[]> {
  const field = new FrontField();
  try {
    await field.open(options.tests.some(({ variant }) => variant === "blocking"));
    const session = new Session(field, options, tell);
    const records: FrontRecord[] = [];
    for (const test of options.tests) records.push(await session.take(test));
    return records;
  } finally {
    await field.close();
  }
}

class Session {
  readonly #field: FrontField;
  readonly #options: SessionOptions;
  readonly #tell: Tell;
  readonly #started = new Set<Contender>();
  readonly #known = new Map<string, Contender>();

  constructor(field: FrontField, options: SessionOptions, tell: Tell) {
    this.#field = field;
    this.#options = options;
    this.#tell = tell;
  }

  async take(test: FrontTest): Promise<FrontRecord> {
    this.#tell(`\n${test.key.padEnd(12)} ${test.title}\n`);
    const measurements: FrontMeasurement[] = [];
    const failures: string[] = [];
    let taking = this.#contenders(test);
    // The first round does not count: caches fill, and compilers see what is asked.
    for (let round = test.order === undefined ? 0 : -1; round < this.#roundsOf(test); round++)
      for (const contender of round % 2 === 0 ? taking : taking.toReversed()) {
        try {
          const one =
            test.order === undefined
              ? await this.#memory(contender, round)
              : await this.#measure(test, contender, round);
          if (round < 0) continue;
          measurements.push(one);
          this.#tell(lineOf(test.figure, one));
        } catch (problem) {
          const why = problem instanceof Error ? problem.message : String(problem);
          failures.push(`${contender.name}: ${why.slice(0, FAILURE_MOST)}`);
          this.#tell(`  ${contender.name} left out: ${why}\n`);
          taking = taking.filter((one) => one !== contender);
        }
      }
    return { key: test.key, measurements, failures };
  }

  /** Memory takes long and differs little. */
  #roundsOf({ figure }: FrontTest): number {
    return figure === "memoryKib" ? 1 : this.#options.rounds;
  }

  #contenders({ variant, hasDirect = false }: FrontTest): Contender[] {
    const fronts = this.#options.fronts
      .filter(({ front }) => variant === "plain" || front.hasCache)
      .flatMap(({ name, front, engine }, i): Contender[] => {
        const one = (of: Contender["variant"], port: number): Contender => {
          const key = `${name} ${of}`;
          const target = { transport: "tls", address: `127.0.62.${11 + i}`, port } as const;
          const made = this.#known.get(key) ?? { name: nameOf(name, of), variant: of, target, front, engine };
          this.#known.set(key, made);
          return made;
        };
        // What the block list costs is told by the same without it, in the same rounds.
        if (variant === "blocking") return [one("cache", CACHE_PORT), one("blocking", BLOCKING_PORT)];
        return [variant === "cache" ? one("cache", CACHE_PORT) : one("plain", PLAIN_PORT)];
      });
    if (!hasDirect) return fronts;
    const target = { transport: "tcp", ...BACKEND } as const;
    return [{ name: DIRECT, variant: "direct", target, front: undefined, engine: "node" }, ...fronts];
  }

  async #ready(contender: Contender): Promise<void> {
    if (this.#started.has(contender)) return;
    await this.#field.start(contender);
    this.#started.add(contender);
  }

  async #measure(test: FrontTest, contender: Contender, round: number): Promise<FrontMeasurement> {
    await this.#ready(contender);
    const order = test.order?.(contender.target);
    if (order === undefined) throw new Error(`${test.key} has no order`);
    if (order.kind === "pipeline") await this.#field.warm(contender);
    // dnsperf's connecting counts: it has to be small beside the rest.
    const windows = (test.load === "dnsperf" ? 2 : 1) * (round < 0 ? 0.5 : 1);
    const window = { leadMs: LEAD_MS, windowMs: this.#options.secs * 1000 * windows };
    let last: FrontMeasurement | undefined;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const exchange = await this.#field.run(contender, order, window, test.load);
      const { answers, resumed } = exchange.outcome;
      if (order.kind === "connect" && order.isResumed && resumed < answers * RESUMED_LEAST)
        throw new Error(`resumed ${resumed} of ${answers} sessions`);
      const memory = test.variant === "blocking" ? memoryKib(this.#field.pidOf(contender)) : undefined;
      last = measurementOf(contender.name, round, exchange, memory);
      if (last.disturbed === undefined) break;
    }
    // There was at least one.
    return last as FrontMeasurement;
  }

  async #memory(contender: Contender, round: number): Promise<FrontMeasurement> {
    const field = this.#field;
    await field.stop(contender);
    this.#started.delete(contender);
    await field.start(contender, IDLE_SLOTS);
    try {
      const { target } = contender;
      const window = { leadMs: 0, windowMs: 0 };
      // What it allocates for its first connections is no matter of the others.
      const first = { kind: "connect", target, atOnce: 4, isResumed: false } as const;
      await field.run(contender, first, { leadMs: 0, windowMs: 1000 });
      await pause(SETTLE_MS);
      const beforeKib = memoryKib(field.pidOf(contender));
      const held = await field.run(
        contender,
        { kind: "hold", target, connections: IDLE_CONNECTIONS },
        window,
      );
      await pause(HOLD_MS);
      const afterKib = memoryKib(field.pidOf(contender));
      const released = await field.run(contender, { kind: "release" }, window);
      const { answers } = held.outcome;
      const memory = (afterKib - beforeKib) / Math.max(1, answers);
      const { disturbed, ...figures } = measurementOf(contender.name, round, held, memory);
      return { ...figures, lost: figures.lost + answers - released.outcome.answers };
    } finally {
      await field.stop(contender);
    }
  }
}

function measurementOf(
  name: string,
  round: number,
  { outcome, use }: FrontExchange,
  memory: number | undefined,
): FrontMeasurement {
  const { answers, wrong, lost, p50Ms, p99Ms, runMs = use.wallMs } = outcome;
  if (answers === 0) throw new Error(`no answer (${wrong} wrong, ${lost} lost)`);
  const disturbed = name === DIRECT ? undefined : disturbanceOf(use);
  return {
    name,
    round,
    answers,
    wrong,
    lost,
    perSecond: (answers * 1000) / runMs,
    cpuUs: (use.serverMs * 1000) / answers,
    ...(p50Ms === undefined ? {} : { p50Ms }),
    ...(p99Ms === undefined ? {} : { p99Ms }),
    ...(memory === undefined ? {} : { memoryKib: memory }),
    ...(disturbed === undefined ? {} : { disturbed }),
  };
}

/** What a test compares. */
export function figureOf(one: FrontMeasurement, figure: FrontFigure): number {
  return figure === "memoryKib" ? (one.memoryKib ?? Number.NaN) : (one[figure] ?? Number.NaN);
}

function nameOf(name: string, variant: Contender["variant"]): string {
  return variant === "blocking" ? `${name}${BLOCKING_SUFFIX}` : name;
}

function lineOf(figure: FrontFigure, one: FrontMeasurement): string {
  const unit = figure === "cpuUs" ? "µs" : figure === "memoryKib" ? "KiB" : "ms";
  const more = [
    ...(one.memoryKib === undefined || figure === "memoryKib"
      ? []
      : [`${(one.memoryKib / 1024).toFixed(0)} MiB`]),
    ...(one.wrong > 0 ? [`${one.wrong} wrong`] : []),
    ...(one.lost > 0 ? [`${one.lost} lost`] : []),
    ...(one.disturbed === undefined ? [] : [one.disturbed]),
  ];
  return `  ${one.round + 1}  ${one.name.padEnd(22)} ${figureOf(one, figure).toFixed(3).padStart(9)} ${unit}  ${Math.round(one.perSecond)}/s  ${more.join(", ")}\n`;
}

export const DIRECT = "backend itself, over TCP";
/** Names of contenders with the block list end so. */
export const BLOCKING_SUFFIX = " with list";
const PLAIN_PORT = 15_610;
const CACHE_PORT = 15_612;
const BLOCKING_PORT = 15_614;
const LEAD_MS = 300;
const TRIES_MAX = 3;
const RESUMED_LEAST = 0.95;
const IDLE_SLOTS = 9000;
const SETTLE_MS = 1000;
const HOLD_MS = 3000;
const FAILURE_MOST = 300;
