/** What several workers tell, as if one server told it: what all programs have. */
import type { Clock } from "@sotto/dns/runtime";
import { Admission, SERVER_LIMITS_DEFAULT } from "@sotto/dns/transport";
import type { OutcomeCounters } from "../server/index.ts";
import type { OpenListener } from "./listeners.ts";
import type { AdmissionStatus } from "./listening.ts";
import type { WorkerReport } from "./worker-memory.ts";

/** How to make one of what only one program tells. */
export interface OwnReports<Own> {
  /** Of several; of none, what a program tells that has done nothing. Those that serve come before those that have died. */
  merge(all: readonly Own[]): Own;
  /** What is left of a worker that has died: its counts, but nothing that is open or under way. */
  left(own: Own): Own;
}

/** Of a server that has done nothing yet. */
export function nothingTold(clock: Clock): AdmissionStatus {
  const admission = new Admission(SERVER_LIMITS_DEFAULT, clock);
  const { connections, handshakes, inFlight, bufferedOctets, patience, counters } = admission;
  return { connections, handshakes, inFlight, bufferedOctets, patience, admission: counters };
}

/** Counts and gauges added up. `patience` is the least. */
export function mergeStatus(
  reports: readonly Pick<WorkerReport<unknown>, "status">[],
  nothing: AdmissionStatus,
): AdmissionStatus {
  const told = reports.map(({ status }) => status);
  return { ...sumOf([nothing, ...told]), patience: Math.min(1, ...told.map(({ patience }) => patience)) };
}

export function mergeQueries(counters: readonly OutcomeCounters[]): OutcomeCounters {
  return sumOf(counters);
}

/** Each open listener once, in the order of the first worker, with the counts of all that are and were. */
export function mergeListeners(
  reports: readonly Pick<WorkerReport<unknown>, "listeners">[],
  gone: readonly Pick<WorkerReport<unknown>, "listeners">[],
): OpenListener[] {
  const [first] = reports;
  const all = [...reports, ...gone];
  return (first?.listeners ?? []).map((listener) => {
    const same = all.flatMap(({ listeners }) => listeners.filter(({ key }) => key === listener.key));
    return { ...listener, counters: sumOf(same.map(({ counters }) => counters)) };
  });
}

/** What is left of a worker that has died: its counts, but nothing that is open or under way. */
export function withoutGauges<Own>(report: WorkerReport<Own>, leftOf: (own: Own) => Own): WorkerReport<Own> {
  return {
    ...report,
    status: {
      ...report.status,
      connections: 0,
      handshakes: 0,
      inFlight: 0,
      bufferedOctets: 0,
      patience: 1,
    },
    own: report.own && leftOf(report.own),
    utilisation: 0,
    connectionsGiven: 0,
    connectionsTaken: 0,
    connectionsLost: 0,
  };
}

/** Adds numbers up wherever they stand; everything else is the first one's. */
export function sumOf<T>(values: readonly T[]): T {
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
