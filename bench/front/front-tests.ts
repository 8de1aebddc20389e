/** The tests of front ends beside each other: what is asked, of whom, and what is to be reached. */
import type { ConnectOrder, LoadTarget, PipelineOrder } from "../peers/generator/orders.ts";

/** How a front end is set up. */
export type Variant = "plain" | "cache" | "blocking";

/** What of a measurement is compared; less is better. */
export type FrontFigure = "cpuUs" | "p50Ms" | "p99Ms" | "memoryKib";

/** Ours at most so many times the best of these peers; or, for the block list, at most so much more than without it. */
export interface FrontGoal {
  readonly most: number;
  readonly peers: readonly string[];
}

export interface FrontTest {
  readonly key: string;
  readonly title: string;
  readonly figure: FrontFigure;
  readonly variant: Variant;
  /** Undefined: nothing is asked of it, it is told. */
  readonly goal?: FrontGoal;
  /** Which load: Debian's dnsperf, our generator, or the one that sleeps while it waits. */
  readonly load: "dnsperf" | "own" | "latency";
  /** The backend is asked itself, over TCP, to compare with. */
  readonly hasDirect?: boolean;
  /** Undefined: the memory of connections. */
  readonly order: ((target: LoadTarget) => PipelineOrder | ConnectOrder) | undefined;
}

export const IDLE_CONNECTIONS = 5000;

function pipelined(
  connections: number,
  outstanding: number,
  more: Pick<PipelineOrder, "ratePerSecond"> = {},
): FrontTest["order"] {
  return (target) => ({
    kind: "pipeline",
    target,
    connections,
    outstanding,
    names: { kind: "cached" },
    ...more,
  });
}

const OTHERS = ["nginx", "haproxy"];
const CACHE_GOAL: FrontGoal = { most: 1, peers: ["dnsdist"] };
const PASS_GOAL: FrontGoal = { most: 1, peers: OTHERS };

export const FRONT_TESTS: readonly FrontTest[] = [
  ...(
    [
      ["hit-1", "cache hits, 1 connection, deep pipeline", pipelined(1, 1000)],
      ["hit-10", "cache hits, 10 connections, deep pipeline", pipelined(10, 2000)],
      ["hit-100x1", "cache hits, 100 connections, 1 each", pipelined(100, 100)],
    ] as const
  ).map(
    ([key, title, order]): FrontTest => ({
      key,
      title,
      figure: "cpuUs",
      variant: "cache",
      load: "dnsperf",
      goal: CACHE_GOAL,
      order,
    }),
  ),
  {
    key: "blocking",
    title: "cache hits, 10 connections, with a block list of a million names",
    figure: "cpuUs",
    variant: "blocking",
    load: "dnsperf",
    order: pipelined(10, 2000),
  },
  ...(
    [
      ["pass-1", "passed on, 1 connection, deep pipeline", pipelined(1, 1000), undefined],
      ["pass-10", "passed on, 10 connections, deep pipeline", pipelined(10, 2000), undefined],
      ["pass-100", "passed on, 100 connections, 20 each", pipelined(100, 2000), PASS_GOAL],
      ["pass-100x1", "passed on, 100 connections, 1 each", pipelined(100, 100), PASS_GOAL],
    ] as const
  ).map(
    ([key, title, order, goal]): FrontTest => ({
      key,
      title,
      figure: "cpuUs",
      variant: "plain",
      load: "dnsperf",
      order,
      ...(goal === undefined ? {} : { goal }),
    }),
  ),
  ...(
    [
      ["tls-full", "full TLS 1.3 handshake with one query", false],
      ["tls-resumed", "resumed TLS 1.3 handshake with one query", true],
    ] as const
  ).map(
    ([key, title, isResumed]): FrontTest => ({
      key,
      title,
      figure: "cpuUs",
      variant: "plain",
      load: "own",
      order: (target) => ({ kind: "connect", target, atOnce: 128, isResumed }),
    }),
  ),
  {
    key: "p50",
    title: "p50 of one query at a time",
    figure: "p50Ms",
    variant: "plain",
    load: "latency",
    hasDirect: true,
    order: pipelined(1, 1),
  },
  {
    key: "p99",
    title: "p99 at 5000 queries/s over 100 connections",
    figure: "p99Ms",
    variant: "plain",
    load: "latency",
    hasDirect: true,
    order: pipelined(100, 2000, { ratePerSecond: 5000 }),
  },
  {
    key: "idle",
    title: `memory per idle DoT connection (${IDLE_CONNECTIONS} held)`,
    figure: "memoryKib",
    variant: "plain",
    load: "own",
    order: undefined,
  },
];

/** What a million names may cost: microseconds per query, and memory. */
export const BLOCK_LIST_US_MOST = 0.2;
export const BLOCK_LIST_MIB_MOST = 64;
export const BLOCK_LIST_NAMES = 1_000_000;
