/**
 * What is known about authoritative servers: how fast they answer, whether they understand EDNS, and for which zones
 * they are lame. Nothing here decides anything: `recursor/server-selection` does.
 */
import type { Clock } from "@sotto/dns/runtime";
import type { Name } from "@sotto/dns/wire";

export interface InfraCacheOptions {
  /** Server addresses remembered; the one not used longest leaves first. Default {@link SERVERS_MAX_DEFAULT}. */
  readonly serversMax?: number;
  /** Pairs of server and zone remembered as lame. Default {@link LAME_MAX_DEFAULT}. */
  readonly lameMax?: number;
}

/** `works`: it sent an OPT; `none`: it must be asked without; `unknown`: try with (RFC 6891 §6.2.2). */
export type EdnsSupport = "unknown" | "works" | "none";

/** Why a server is no use for a zone. `recursive`: it answers from elsewhere and not with authority. */
export type Lameness = "not authoritative" | "recursive";

/** Measurements by server address, with names in texts as people write them (`192.0.2.1`, `2001:db8::1`). */
export class InfraCache {
  readonly #clock: Clock;
  readonly #serversMax: number;
  readonly #lameMax: number;
  readonly #servers = new Map<string, ServerRecord>();
  readonly #lame = new Map<string, { readonly kind: Lameness; readonly untilMs: number }>();

  constructor(options: InfraCacheOptions, clock: Clock) {
    this.#clock = clock;
    this.#serversMax = options.serversMax ?? SERVERS_MAX_DEFAULT;
    this.#lameMax = options.lameMax ?? LAME_MAX_DEFAULT;
  }

  get serverCount(): number {
    return this.#servers.size;
  }

  /** True when a reply or a silence of this server is remembered. */
  isKnown(address: string): boolean {
    return this.#find(address, this.#clock.nowMs()) !== undefined;
  }

  /**
   * Expected milliseconds until a reply, for comparing servers: the smoothed round trip, times two for each silence in
   * a row. The penalty halves every {@link PENALTY_HALF_LIFE_MS}, so that a server that came back is tried again.
   */
  expectedMs(address: string): number {
    const nowMs = this.#clock.nowMs();
    const server = this.#find(address, nowMs);
    if (server === undefined) return RTT_UNKNOWN_MS;
    const ageMs = nowMs - server.usedAtMs;
    const silences = Math.max(0, server.silences - ageMs / PENALTY_HALF_LIFE_MS);
    return Math.min(server.srttMs * 2 ** silences, EXPECTED_MS_MAX);
  }

  /** How long to wait before turning to another server: smoothed round trip plus four deviations (RFC 6298 §2). */
  patienceMs(address: string): number {
    const server = this.#find(address, this.#clock.nowMs());
    if (server === undefined) return RTT_UNKNOWN_MS;
    const patienceMs = (server.srttMs + 4 * server.rttvarMs) * 2 ** Math.min(server.silences, SILENCES_MAX);
    return Math.min(Math.max(patienceMs, PATIENCE_MS_MIN), PATIENCE_MS_MAX);
  }

  /** A reply came after `rttMs` (RFC 6298 §2.2, §2.3). */
  noteReply(address: string, rttMs: number): void {
    const nowMs = this.#clock.nowMs();
    const server = this.#find(address, nowMs);
    if (server === undefined || !server.isMeasured) {
      this.#keep(address, nowMs, { srttMs: rttMs, rttvarMs: rttMs / 2, silences: 0, isMeasured: true });
      return;
    }
    const rttvarMs = 0.75 * server.rttvarMs + 0.25 * Math.abs(server.srttMs - rttMs);
    this.#keep(address, nowMs, { srttMs: 0.875 * server.srttMs + 0.125 * rttMs, rttvarMs, silences: 0 });
  }

  /** No reply within the patience, or the address cannot be reached. */
  noteSilence(address: string): void {
    const nowMs = this.#clock.nowMs();
    const silences = (this.#find(address, nowMs)?.silences ?? 0) + 1;
    this.#keep(address, nowMs, { silences: Math.min(silences, SILENCES_MAX) });
  }

  edns(address: string): EdnsSupport {
    const nowMs = this.#clock.nowMs();
    const server = this.#find(address, nowMs);
    return server === undefined || server.ednsUntilMs <= nowMs ? "unknown" : server.edns;
  }

  /** `memoryMs` is how long to believe it; absent: {@link EDNS_MEMORY_MS}. */
  noteEdns(address: string, edns: EdnsSupport, memoryMs: number = EDNS_MEMORY_MS): void {
    const nowMs = this.#clock.nowMs();
    this.#keep(address, nowMs, { edns, ednsUntilMs: nowMs + memoryMs });
  }

  /** Why the server is no use for the zone; undefined when nothing is known against it. */
  lameness(address: string, zone: Name): Lameness | undefined {
    if (this.#lame.size === 0) return undefined;
    const lame = this.#lame.get(`${address} ${zone.key}`);
    return lame === undefined || lame.untilMs <= this.#clock.nowMs() ? undefined : lame.kind;
  }

  noteLame(address: string, zone: Name, kind: Lameness): void {
    const key = `${address} ${zone.key}`;
    this.#lame.delete(key);
    this.#lame.set(key, { kind, untilMs: this.#clock.nowMs() + LAME_MEMORY_MS });
    dropOldest(this.#lame, this.#lameMax);
  }

  clear(): void {
    this.#servers.clear();
    this.#lame.clear();
  }

  #find(address: string, nowMs: number): ServerRecord | undefined {
    const server = this.#servers.get(address);
    if (server === undefined || nowMs - server.usedAtMs < SERVER_MEMORY_MS) return server;
    this.#servers.delete(address);
    return undefined;
  }

  #keep(address: string, usedAtMs: number, changes: Partial<ServerRecord>): void {
    const known = this.#find(address, usedAtMs);
    // A server that is asked all the time need not become the youngest each time.
    if (known !== undefined && usedAtMs - known.youngestAtMs < ORDER_MS) {
      Object.assign(known, changes, { usedAtMs });
      return;
    }
    this.#servers.delete(address);
    this.#servers.set(address, { ...(known ?? FRESH), ...changes, usedAtMs, youngestAtMs: usedAtMs });
    dropOldest(this.#servers, this.#serversMax);
  }
}

interface ServerRecord {
  srttMs: number;
  rttvarMs: number;
  /** False while `srttMs` is the guess for unknown servers. */
  isMeasured: boolean;
  /** Queries without a reply since the last reply. */
  silences: number;
  edns: EdnsSupport;
  ednsUntilMs: number;
  usedAtMs: number;
  /** When it was put behind all others that may leave before it. */
  youngestAtMs: number;
}

function dropOldest(map: Map<string, unknown>, max: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= max) return;
    map.delete(oldest);
  }
}

/** What an unknown server is taken for; Unbound's guess, between a near and a far server. */
export const RTT_UNKNOWN_MS = 376;
/** Waiting less would ask a second server whenever the first has to think; TCP stacks use the same floor. */
const PATIENCE_MS_MIN = 200;
/** After this long another server is asked in any case, or the client would give up first. */
const PATIENCE_MS_MAX = 1500;
/** Enough to put a dead server behind every living one; more would only delay its return. */
const SILENCES_MAX = 6;
/** A penalty of one doubling is forgotten in this time. */
const PENALTY_HALF_LIFE_MS = 60_000;
/** Two minutes, the longest useful comparison value, as in Unbound. */
const EXPECTED_MS_MAX = 120_000;
/** Unbound and BIND keep measurements for 15 and 30 minutes: routes change. */
const SERVER_MEMORY_MS = 900_000;
/** Servers get repaired: ask with EDNS again after this. */
const EDNS_MEMORY_MS = 900_000;
/** RFC 9520 §3.2: failures are kept for five minutes at most. */
const LAME_MEMORY_MS = 300_000;
/** So exact is the order in which servers leave, milliseconds. */
const ORDER_MS = 1000;
/** About 200 bytes each: 2 MB. */
const SERVERS_MAX_DEFAULT = 10_000;
/** About 300 bytes each: 3 MB. */
const LAME_MAX_DEFAULT = 10_000;

const FRESH: ServerRecord = {
  srttMs: RTT_UNKNOWN_MS,
  rttvarMs: 0,
  isMeasured: false,
  silences: 0,
  edns: "unknown",
  ednsUntilMs: 0,
  usedAtMs: 0,
  youngestAtMs: 0,
};
