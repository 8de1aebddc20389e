/** The tests of front ends beside each other: what is asked, of whom, and what is to be reached. */
import type { ConnectOrder, LoadNames, LoadTarget, PipelineOrder } from "../peers/generator/orders.ts";

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
  /** The backend is asked itself, over TCP, to compare with. */
  readonly hasDirect?: boolean;
  /** Undefined: the memory of connections. */
  readonly order: ((target: LoadTarget, coldFirst: number) => PipelineOrder | ConnectOrder) | undefined;
}

export const IDLE_CONNECTIONS = 5000;

/** Names that a cache has, or names that nobody has asked for. */
function pipelined(
  connections: number,
  outstanding: number,
  kind: "cached" | "cold",
  more: Pick<PipelineOrder, "ratePerSecond"> = {},
): FrontTest["order"] {
  return (target, coldFirst) => {
    const names: LoadNames = kind === "cold" ? { kind, first: coldFirst } : { kind };
    return {
      kind: "pipeline",
      target,
      connections,
      outstandingEach: Math.floor(outstanding / connections),
      names,
      ...more,
    };
  };
}

const OTHERS = ["nginx", "haproxy"];
const CACHE_GOAL: FrontGoal = { most: 1, peers: ["dnsdist"] };
const PASS_GOAL: FrontGoal = { most: 1, peers: OTHERS };

export const FRONT_TESTS: readonly FrontTest[] = [
  ...(
    [
      ["hit-1", "cache hits, 1 connection, deep pipeline", pipelined(1, 1000, "cached")],
      ["hit-10", "cache hits, 10 connections, deep pipeline", pipelined(10, 2000, "cached")],
      ["hit-100x1", "cache hits, 100 connections, 1 each", pipelined(100, 100, "cached")],
    ] as const
  ).map(
    ([key, title, order]): FrontTest => ({
      key,
      title,
      figure: "cpuUs",
      variant: "cache",
      goal: CACHE_GOAL,
      order,
    }),
  ),
  {
    key: "blocking",
    title: "cache hits, 10 connections, with a block list of a million names",
    figure: "cpuUs",
    variant: "blocking",
    order: pipelined(10, 2000, "cached"),
  },
  ...(
    [
      ["pass-1", "passed on, 1 connection, deep pipeline", pipelined(1, 1000, "cold"), undefined],
      ["pass-10", "passed on, 10 connections, deep pipeline", pipelined(10, 2000, "cold"), undefined],
      ["pass-100", "passed on, 100 connections, 20 each", pipelined(100, 2000, "cold"), PASS_GOAL],
      ["pass-100x1", "passed on, 100 connections, 1 each", pipelined(100, 100, "cold"), PASS_GOAL],
    ] as const
  ).map(
    ([key, title, order, goal]): FrontTest => ({
      key,
      title,
      figure: "cpuUs",
      variant: "plain",
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
      order: (target) => ({ kind: "connect", target, atOnce: 128, isResumed }),
    }),
  ),
  {
    key: "p50",
    title: "p50 of one query at a time",
    figure: "p50Ms",
    variant: "plain",
    hasDirect: true,
    order: pipelined(1, 1, "cold"),
  },
  {
    key: "p99",
    title: "p99 at 5000 queries/s over 100 connections",
    figure: "p99Ms",
    variant: "plain",
    hasDirect: true,
    order: pipelined(100, 2000, "cold", { ratePerSecond: 5000 }),
  },
  {
    key: "idle",
    title: `memory per idle DoT connection (${IDLE_CONNECTIONS} held)`,
    figure: "memoryKib",
    variant: "plain",
    order: undefined,
  },
];

/** What a million names may cost: microseconds per query, and memory. */
export const BLOCK_LIST_US_MOST = 0.2;
export const BLOCK_LIST_MIB_MOST = 64;
export const BLOCK_LIST_NAMES = 1_000_000;
