/** What a server knows that is one of several workers behind the same addresses. Not here: threads. */
import type { SharedCacheMemory } from "@sotto/dns/cache";
import type { Config } from "../config/index.ts";
import type { CertificatePair } from "../operations/index.ts";

/** The place of one worker. */
export interface WorkerPlace {
  /** From 0. The first alone writes state files and tells what all would tell. */
  readonly index: number;
  readonly count: number;
  /** The same for all of them, so that each takes what another has given out. */
  readonly secrets: SharedSecrets;
  /** Memory for the counts of queries, which outlives the worker. */
  readonly cells: Float64Array;
  /** Ports that the system chose for listeners, by key of the listener; changed before a reload. */
  readonly ports: Map<string, number>;
  /** Replies of all workers; changed before a reload that makes them wrong. */
  cache: SharedCacheMemory;
  /** Certificates that were made because none is configured, by address; changed before a reload. */
  readonly certificates: Map<string, CertificatePair>;
}

/** Drawn once for all workers; used where none is configured. */
export interface SharedSecrets {
  readonly cookies: Uint8Array;
  readonly tickets: Uint8Array;
}

/**
 * What one of `count` workers may have of what the whole server may have; the size of the cache is then for what it does not
 * share. Limits of one client address, one subnet and one
 * connection stay: the kernel spreads a client's connections, and which worker gets the next one nobody knows.
 */
export function shareOf(config: Config, count: number): Config {
  const part = (total: number): number => Math.max(1, Math.ceil(total / count));
  const { limits, cache } = config;
  return {
    ...config,
    cache: { ...cache, sizeBytes: part(cache.sizeBytes) },
    limits: {
      ...limits,
      connectionsMax: part(limits.connectionsMax),
      handshakesMax: part(limits.handshakesMax),
      inFlightTotalMax: part(limits.inFlightTotalMax),
      bufferedOctetsMax: part(limits.bufferedOctetsMax),
    },
  };
}
