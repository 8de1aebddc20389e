/** What a server knows that is one of several workers behind the same addresses. Not here: threads. */
import type { AdmissionLimits } from "@sotto/dns/transport";
import type { CertificatePair } from "../operations/index.ts";
import type { SharedClients } from "./shared-clients.ts";

/** The place of one worker. */
export interface WorkerPlace {
  /** From 0. The first alone writes state files and tells what all would tell. */
  readonly index: number;
  readonly count: number;
  /** The same for all of them, so that each takes what another has given out. */
  readonly secrets: SharedSecrets;
  /** What they count of clients together. */
  readonly clients: SharedClients;
  /** Memory for the counts of queries, which outlives the worker. */
  readonly cells: Float64Array;
  /** Ports that the system chose for listeners, by key of the listener; changed before a reload. */
  readonly ports: Map<string, number>;
  /** Certificates that were made because none is configured, by address; changed before a reload. */
  readonly certificates: Map<string, CertificatePair>;
}

/** Drawn once for all workers; used where none is configured. */
export interface SharedSecrets {
  readonly cookies: Uint8Array;
  readonly tickets: Uint8Array;
}

/** What one of `count` workers may have of so many: at least one. */
export function partOf(total: number, count: number): number {
  return Math.max(1, Math.ceil(total / count));
}

/**
 * What one of `count` workers may hold for clients of what the whole server may. Limits of one connection stay, and so do those of one client
 * and one subnet: the kernel spreads a client's connections, which all workers count together.
 */
export function shareOfLimits<Limits extends AdmissionLimits>(limits: Limits, count: number): Limits {
  return {
    ...limits,
    connectionsMax: partOf(limits.connectionsMax, count),
    handshakesMax: partOf(limits.handshakesMax, count),
    inFlightTotalMax: partOf(limits.inFlightTotalMax, count),
    bufferedOctetsMax: partOf(limits.bufferedOctetsMax, count),
  };
}
