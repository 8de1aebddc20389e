/** The tests: the rows of the table that issue 6 sets, how each is taken, and what is to be reached. */
import type { ConnectOrder, LoadTarget, LoadTransport, PipelineOrder } from "./generator/orders.ts";
import type { Server } from "./servers.ts";

/** What takes a measurement: Debian's dnsperf, which the goals were set with, or our generator. */
export const LOADS = ["dnsperf", "own"] as const;
export type Load = (typeof LOADS)[number];

/** What of a measurement is compared; less is better, but for `scaling`. */
export type Figure = "cpuUs" | "p50Ms" | "p99Ms" | "memoryKib" | "scaling";

/** What is to be reached: at most so many times the best peer's figure, at most a figure, or at least one. */
export interface Goal {
  readonly kind: "ratio" | "at-most" | "at-least";
  readonly node: number;
  readonly native: number;
}

export interface BenchTest {
  readonly key: string;
  readonly title: string;
  readonly transport: LoadTransport;
  readonly figure: Figure;
  readonly goal: Goal;
  /** Leaves out servers that do another job here than the others do. Default: nobody who has the transport. */
  readonly isFor?: (server: Server) => boolean;
  /** dnsperf can be the load. Default: only ours can. */
  readonly isForDnsperf?: boolean;
  /** Of the seconds asked for. Default 1. */
  readonly windowShare?: number;
  /** Undefined: the memory of connections, which is taken from fresh servers. */
  readonly order: ((target: LoadTarget, setting: OrderSetting) => PipelineOrder | ConnectOrder) | undefined;
}

/** What an order may depend on. */
export interface OrderSetting {
  /** Names below it were asked for already. */
  readonly coldFirst: number;
  /** Answers per second of the best peer with 100 connections. */
  readonly peakPerSecond: number;
}

/** Connections of the memory test. */
export const IDLE_CONNECTIONS = 5000;
/** The test whose best rate is the peak for the test of latency under load. */
export const PEAK_TEST = "dot-100";
const PEAK_SHARE = 0.7;

const ratio = (node: number, native: number): Goal => ({ kind: "ratio", node, native });

/** Connections with so many queries under way in all. */
function pipelined(
  connections: number,
  outstanding: number,
  more: Pick<PipelineOrder, "ratePerSecond"> & { readonly isPadded?: boolean } = {},
): BenchTest["order"] {
  const { isPadded = false, ...rest } = more;
  return (target) => ({
    kind: "pipeline",
    target,
    connections,
    outstanding,
    names: { kind: isPadded ? "padded" : "cached" },
    ...rest,
  });
}

function connecting(atOnce: number, isResumed: boolean): BenchTest["order"] {
  return (target) => ({ kind: "connect", target, atOnce, isResumed });
}

type Row = readonly [key: string, title: string, goal: Goal, order: BenchTest["order"]];

function cpuTests(transport: LoadTransport, rows: readonly Row[]): BenchTest[] {
  return rows.map(([key, title, goal, order]) => ({ key, title, transport, figure: "cpuUs", goal, order }));
}

function pipelineTests(transport: LoadTransport, rows: readonly Row[]): BenchTest[] {
  return cpuTests(transport, rows).map((test) => ({ ...test, isForDnsperf: true }));
}

export const TESTS: readonly BenchTest[] = [
  ...pipelineTests("tls", [
    ["dot-1", "DoT, 1 connection, deep pipeline", ratio(0.4, 0.35), pipelined(1, 1000)],
    ["dot-10", "DoT, 10 connections, deep pipeline", ratio(0.6, 0.55), pipelined(10, 2000)],
    [PEAK_TEST, "DoT, 100 connections, 20 each", ratio(0.8, 0.55), pipelined(100, 2000)],
    ["dot-100x1", "DoT, 100 connections, 1 each", ratio(1.1, 0.95), pipelined(100, 100)],
    [
      "dot-padded",
      "DoT padded, 10 connections, deep pipeline",
      ratio(0.7, 0.65),
      pipelined(10, 2000, { isPadded: true }),
    ],
    [
      "dot-rate",
      "DoT, 100 connections at 10 000 queries/s in all",
      ratio(1.2, 1.0),
      pipelined(100, 2000, { ratePerSecond: 10_000 }),
    ],
  ]),
  ...pipelineTests("tcp", [
    ["tcp-1", "TCP, 1 connection, deep pipeline", ratio(0.3, 0.25), pipelined(1, 1000)],
    ["tcp-10", "TCP, 10 connections, deep pipeline", ratio(0.45, 0.4), pipelined(10, 2000)],
    ["tcp-100", "TCP, 100 connections, 20 each", ratio(0.6, 0.5), pipelined(100, 2000)],
    ["tcp-100x1", "TCP, 100 connections, 1 each", ratio(1.2, 0.9), pipelined(100, 100)],
  ]),
  ...pipelineTests("udp", [["udp", "UDP, 16 sockets", ratio(1.5, 0.9), pipelined(16, 150)]]),
  ...cpuTests("tls", [
    ["tls-full", "full TLS 1.3 handshake with one query", ratio(1.25, 1.0), connecting(128, false)],
    ["tls-resumed", "resumed TLS 1.3 handshake with one query", ratio(1.2, 1.0), connecting(128, true)],
  ]),
  {
    key: "first-answer",
    title: "first answer on a new DoT connection",
    transport: "tls",
    figure: "p50Ms",
    goal: ratio(1.2, 1.0),
    windowShare: 0.5,
    order: connecting(1, false),
  },
  {
    key: "idle",
    title: `memory per idle DoT connection (${IDLE_CONNECTIONS} held)`,
    transport: "tls",
    figure: "memoryKib",
    goal: { kind: "at-most", node: 52, native: 22 },
    order: undefined,
  },
  {
    key: "cold",
    title: "cold query, local authority, no validation",
    transport: "udp",
    figure: "cpuUs",
    goal: ratio(1.8, 1.5),
    isFor: ({ isForwarder = false }) => !isForwarder,
    order: (target, { coldFirst }) => ({
      kind: "pipeline",
      target,
      connections: 16,
      outstanding: 160,
      names: { kind: "cold", first: coldFirst },
    }),
  },
  {
    key: "p99",
    title: "p99 latency at 70 % of the best peer's peak, DoT, 100 connections",
    transport: "tls",
    figure: "p99Ms",
    goal: ratio(1.2, 1.0),
    order: (target, { peakPerSecond }) => ({
      kind: "pipeline",
      target,
      connections: 100,
      outstanding: 2000,
      names: { kind: "cached" },
      ratePerSecond: Math.round(peakPerSecond * PEAK_SHARE),
    }),
  },
  {
    key: "workers",
    title: "two workers by one, DoT, 100 connections, 20 each",
    transport: "tls",
    figure: "scaling",
    goal: { kind: "at-least", node: 1.7, native: 1.7 },
    isFor: ({ isOurs }) => isOurs,
    order: pipelined(100, 2000),
  },
];

/** The load of a test, when another was chosen for those that have the choice. */
export function loadOf({ isForDnsperf = false }: BenchTest, chosen: Load): Load {
  return isForDnsperf ? chosen : "own";
}

/** How long a measurement counts, milliseconds. */
export function windowMsOf(test: BenchTest, load: Load, secs: number): number {
  return secs * 1000 * (test.windowShare ?? 1) * (load === "dnsperf" ? DNSPERF_WINDOWS : 1);
}

/** dnsperf's connecting is counted: it has to be small beside the rest. A hundred handshakes are 1 % of four seconds. */
const DNSPERF_WINDOWS = 2;

/** Whether a server takes part in a test. */
export function takesPart(server: Server, test: BenchTest): boolean {
  if (test.transport === "tls" && server.endpoints.tlsPort === undefined) return false;
  // Several workers are for the test of several workers.
  if ((server.coreCount ?? 1) > 1 && test.figure !== "scaling") return false;
  return test.isFor?.(server) ?? true;
}

/** The tests whose key is one of the words, or begins with one and a hyphen; all without words. Throws at a word for nothing. */
export function chosenTests(words: readonly string[]): readonly BenchTest[] {
  const matches = (test: BenchTest, word: string): boolean =>
    test.key === word || test.key.startsWith(`${word}-`);
  for (const word of words)
    if (!TESTS.some((test) => matches(test, word)))
      throw new Error(`there is no test ${word}, but ${TESTS.map(({ key }) => key).join(", ")}`);
  return words.length === 0 ? TESTS : TESTS.filter((test) => words.some((word) => matches(test, word)));
}
