/** From measurements to figures of servers, ratios to the best peer, and goals that are met or missed. */

import { median, type Spread, spreadOf } from "../report/statistics.ts";
import type { BenchDocument, TestRecord } from "./document.ts";
import type { Measurement } from "./measure.ts";
import type { BenchTest, Figure } from "./tests.ts";

/** One server in one test. */
export interface ServerResult {
  readonly server: string;
  readonly isOurs: boolean;
  /** What the test compares. */
  readonly figure: Spread;
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly serverShare: number;
  readonly loadShare: number;
  /** Undefined: the load did not tell. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** Of all rounds, as what follows. */
  readonly answers: number;
  readonly wrong: number;
  readonly lost: number;
  readonly rounds: number;
  /** Rounds that do not count. */
  readonly disturbed: number;
}

export type Verdict = "met" | "missed" | "disturbed";

/** Ours against the goal. */
export interface OurResult extends ServerResult {
  /** By the best peer; undefined without one, and for goals that need none. */
  readonly ratio: number | undefined;
  /** The same of the least figures, which others on the machine change less. */
  readonly leastRatio: number | undefined;
  readonly goal: number;
  /** Undefined: there is nothing to compare with. */
  readonly verdict: Verdict | undefined;
}

export interface TestResult {
  readonly test: BenchTest;
  readonly record: TestRecord;
  readonly servers: readonly ServerResult[];
  readonly bestPeer: ServerResult | undefined;
  readonly ours: readonly OurResult[];
}

/** Ours have names that begin so. */
export const OUR_NAME = "sotto";
/** Names of ours with the native engine, and with two workers, end so. */
export const NATIVE_SUFFIX = "-native";
export const TWO_WORKERS_SUFFIX = "-2";

export function judge(document: BenchDocument, tests: readonly BenchTest[]): TestResult[] {
  return tests.flatMap((test) => {
    const record = document.tests.find(({ key }) => key === test.key);
    return record === undefined ? [] : [judgeTest(test, record)];
  });
}

function judgeTest(test: BenchTest, record: TestRecord): TestResult {
  const names = [...new Set(record.measurements.map(({ server }) => server))];
  const servers = names.map((name) =>
    resultOf(
      name,
      test.figure,
      record.measurements.filter(({ server }) => server === name),
    ),
  );
  const peers = servers.filter((one) => !one.isOurs && isSound(one));
  const bestPeer = peers.toSorted((a, b) => a.figure.median - b.figure.median)[0];
  const ours =
    test.figure === "scaling"
      ? scaling(test, record, servers)
      : servers.filter(({ isOurs }) => isOurs).map((one) => compareWith(test, one, bestPeer));
  return { test, record, servers, bestPeer, ours };
}

function resultOf(server: string, figure: Figure, all: readonly Measurement[]): ServerResult {
  const quiet = all.filter(({ disturbed }) => disturbed === undefined);
  // Better a disturbed figure that is called so than none.
  const counted = quiet.length > 0 ? quiet : all;
  const middle = (of: (one: Measurement) => number): number => median(counted.map(of));
  const told = (of: (one: Measurement) => number | undefined): number | undefined => {
    const values = counted.flatMap((one) => of(one) ?? []);
    return values.length === 0 ? undefined : median(values);
  };
  return {
    server,
    isOurs: server.startsWith(OUR_NAME),
    figure: spreadOf(counted.map((one) => figureOf(one, figure))),
    cpuUs: middle(({ cpuUs }) => cpuUs),
    perSecond: middle(({ perSecond }) => perSecond),
    serverShare: middle(({ serverShare }) => serverShare),
    loadShare: middle(({ loadShare }) => loadShare),
    p50Ms: told(({ p50Ms }) => p50Ms),
    p99Ms: told(({ p99Ms }) => p99Ms),
    answers: all.reduce((sum, { answers }) => sum + answers, 0),
    wrong: all.reduce((sum, { wrong }) => sum + wrong, 0),
    lost: all.reduce((sum, { lost }) => sum + lost, 0),
    rounds: all.length,
    disturbed: all.length - quiet.length,
  };
}

/** Whoever loses queries, or answers them wrongly, may be fast. */
export function isSound({ wrong, lost, answers }: Pick<ServerResult, "wrong" | "lost" | "answers">): boolean {
  return wrong === 0 && lost <= answers * LOST_MOST;
}

/** Datagrams can be lost, and the slowest are given up when the counted time ends. */
const LOST_MOST = 0.002;

/** The figure of a measurement that a test compares. */
export function figureOf(one: Measurement, figure: Figure): number {
  return (figure === "scaling" ? one.busiestUs : one[figure]) ?? Number.NaN;
}

function compareWith(test: BenchTest, ours: ServerResult, bestPeer: ServerResult | undefined): OurResult {
  const goal = goalOf(test, ours.server);
  const ratio = bestPeer === undefined ? undefined : ours.figure.median / bestPeer.figure.median;
  const leastRatio = bestPeer === undefined ? undefined : ours.figure.least / bestPeer.figure.least;
  const reached = test.goal.kind === "at-most" ? ours.figure.median : ratio;
  const isDisturbed = [ours, ...(bestPeer === undefined ? [] : [bestPeer])].some(
    ({ rounds, disturbed }) => disturbed * 2 > rounds,
  );
  const verdict = isDisturbed
    ? "disturbed"
    : isSound(ours) && reached !== undefined && reached <= goal
      ? "met"
      : "missed";
  return { ...ours, ratio, leastRatio, goal, verdict: reached === undefined ? undefined : verdict };
}

/**
 * How many times the answers of one worker two workers can give: answers per second of CPU of the busiest thread, which is what
 * bounds a server that has a core for each of its workers, while here the load needs a core, too.
 */
function scaling(test: BenchTest, record: TestRecord, servers: readonly ServerResult[]): OurResult[] {
  return servers.flatMap((two) => {
    if (!two.server.endsWith(TWO_WORKERS_SUFFIX)) return [];
    const one = servers.find(({ server }) => `${server}${TWO_WORKERS_SUFFIX}` === two.server);
    if (one === undefined) return [];
    const figures = record.measurements
      .filter(({ server }) => server === two.server)
      .map(({ busiestUs }) => busiestUs);
    const figure = spreadOf(figures.map((us) => one.figure.median / us));
    const goal = goalOf(test, two.server);
    const isDisturbed = [one, two].some(({ disturbed, rounds }) => disturbed * 2 > rounds);
    const isMet = isSound(one) && isSound(two) && figure.median >= goal;
    const verdict = isDisturbed ? "disturbed" : isMet ? "met" : "missed";
    return [{ ...two, figure, ratio: figure.median, leastRatio: undefined, goal, verdict }];
  });
}

function goalOf({ goal }: BenchTest, server: string): number {
  return server.includes(NATIVE_SUFFIX) ? goal.native : goal.node;
}
