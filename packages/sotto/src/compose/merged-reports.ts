/** What several workers tell, as if one server told it. */
import type { Clock } from "@sotto/dns/runtime";
import { Admission, SERVER_LIMITS_DEFAULT } from "@sotto/dns/transport";
import { AuthorityEncryption } from "../recursor/index.ts";
import type { OutcomeCounters } from "../server/index.ts";
import type { ForwardZoneStatus, UpstreamStatus } from "./forwarders.ts";
import type { OpenListener } from "./listeners.ts";
import type { PortalStatus } from "./portal.ts";
import type { ServerStatus } from "./recursor-daemon.ts";
import type { WorkerReport } from "./worker-memory.ts";

type Told = Omit<ServerStatus, "queries">;

/** Of a server that has done nothing yet. */
export function nothingTold(clock: Clock): Told {
  const admission = new Admission(SERVER_LIMITS_DEFAULT, clock);
  const { connections, handshakes, inFlight, bufferedOctets, patience, counters } = admission;
  const encryption = new AuthorityEncryption(clock);
  const authorities = { ...encryption.counters, known: encryption.known };
  return { connections, handshakes, inFlight, bufferedOctets, patience, admission: counters, authorities };
}

/** Counts and gauges added up. `patience` is the least, and what is known of authorities the most, because all learn the same. */
export function mergeStatus(reports: readonly WorkerReport[], nothing: Told): Told {
  const told = reports.map(({ status }) => status);
  const sum = sumOf([nothing, ...told]);
  const known = (what: keyof Told["authorities"]["known"]): number =>
    Math.max(0, ...told.map(({ authorities }) => authorities.known[what]));
  return {
    ...sum,
    patience: Math.min(1, ...told.map(({ patience }) => patience)),
    authorities: {
      ...sum.authorities,
      known: { works: known("works"), fails: known("fails"), probing: known("probing") },
    },
  };
}

export function mergeQueries(counters: readonly OutcomeCounters[]): OutcomeCounters {
  return sumOf(counters);
}

/** Each open listener once, in the order of the first worker, with the counts of all that are and were. */
export function mergeListeners(
  reports: readonly WorkerReport[],
  gone: readonly WorkerReport[],
): OpenListener[] {
  const [first] = reports;
  const all = [...reports, ...gone];
  return (first?.listeners ?? []).map((listener) => {
    const same = all.flatMap(({ listeners }) => listeners.filter(({ key }) => key === listener.key));
    return { ...listener, counters: sumOf(same.map(({ counters }) => counters)) };
  });
}

/** Counts added up; the state is the one that was seen last. */
export function mergeUpstreams(reports: readonly WorkerReport[]): ForwardZoneStatus[] {
  const [first, ...others] = reports.map(({ upstreams }) => upstreams);
  return (first ?? []).map((zone, i) => {
    const zones = [zone, ...others.flatMap((theirs) => theirs[i] ?? [])];
    const upstreams = zone.upstreams.map((_, j) =>
      mergeUpstream(zones.flatMap(({ upstreams: all }) => all[j] ?? [])),
    );
    return {
      ...(newest(zones, (one) => leastAge(one.upstreams)) ?? zone),
      upstreams: upstreams.flatMap((one) => one ?? []),
    };
  });
}

function mergeUpstream(same: readonly UpstreamStatus[]): UpstreamStatus | undefined {
  const latest = newest(same, ({ lastReplyAgoMs }) => lastReplyAgoMs);
  if (latest === undefined) return undefined;
  const { replies, repliesBy, failures, fullHandshakes, resumedHandshakes } = sumOf(
    same.map((one) => ({
      replies: one.replies,
      repliesBy: one.repliesBy,
      failures: one.failures,
      fullHandshakes: one.fullHandshakes,
      resumedHandshakes: one.resumedHandshakes,
    })),
  );
  const reused = same.reduce((sum, one) => sum + one.reuseRatio * one.replies, 0);
  const reuseRatio = replies === 0 ? 0 : reused / replies;
  return { ...latest, replies, repliesBy, failures, fullHandshakes, resumedHandshakes, reuseRatio };
}

/** An opening is the same in all; what went in clear is added up. */
export function mergePortals(reports: readonly WorkerReport[]): PortalStatus | undefined {
  const portals = reports.flatMap(({ portal }) => portal ?? []);
  const [first] = portals;
  if (first === undefined) return undefined;
  const openings = portals.flatMap(({ opening }) => opening ?? []);
  const [opening] = openings;
  const inClear = (all: readonly { readonly queriesInClear: number }[]): number =>
    all.reduce((sum, { queriesInClear }) => sum + queriesInClear, 0);
  return {
    ...first,
    opening: opening && { ...opening, queriesInClear: inClear(openings) },
    queriesInClear: inClear(portals),
  };
}

/** What is left of a worker that has died: its counts, but nothing that is open or under way. */
export function withoutGauges(report: WorkerReport): WorkerReport {
  const status = {
    ...report.status,
    connections: 0,
    handshakes: 0,
    inFlight: 0,
    bufferedOctets: 0,
    patience: 1,
    authorities: { ...report.status.authorities, known: NOTHING_KNOWN },
  };
  return {
    ...report,
    status,
    upstreams: [],
    portal: undefined,
    utilisation: 0,
    connectionsGiven: 0,
    connectionsTaken: 0,
    connectionsLost: 0,
  };
}

/** Adds numbers up wherever they stand; everything else is the first one's. */
function sumOf<T>(values: readonly T[]): T {
  // Objects of one type in, an object with the same keys out.
  return values.reduce((sum, value) => add(sum, value) as T);
}

function add(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) return a ?? b;
  const sum = new Map<string, unknown>(Object.entries(a));
  for (const [key, value] of Object.entries(b)) sum.set(key, sum.has(key) ? add(sum.get(key), value) : value);
  return Object.fromEntries(sum);
}

function leastAge(upstreams: readonly UpstreamStatus[]): number | undefined {
  return newest(upstreams, ({ lastReplyAgoMs }) => lastReplyAgoMs)?.lastReplyAgoMs;
}

/** The one of least age; the first when none has one. */
function newest<T>(all: readonly T[], ageOf: (one: T) => number | undefined): T | undefined {
  let best = all[0];
  for (const one of all) {
    const age = ageOf(one) ?? Number.POSITIVE_INFINITY;
    if (best !== undefined && age < (ageOf(best) ?? Number.POSITIVE_INFINITY)) best = one;
  }
  return best;
}

const NOTHING_KNOWN = { works: 0, fails: 0, probing: 0 };
