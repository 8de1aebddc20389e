/**
 * What no client may do whatever it asks: queries per second of a prefix, and a ban for who does not stop. It stands before all
 * rules, and keeps the bans that rules make.
 */
import type { Runtime } from "@sotto/dns/runtime";
import { type BanTerms, type BanTold, ClientBans } from "./client-bans.ts";
import { ClientAddresses, ClientMasking, type ClientMasks } from "./client-prefix.ts";
import { makeBucketsIn } from "./rate-tables.ts";
import type { SharedBuckets, TokenBuckets } from "./token-buckets.ts";

/** What a client gets that asks too much: REFUSED, nothing, or over UDP a truncated answer, which sends it to TCP. */
export type OverLimit = "refuse" | "drop" | "truncate";

/** Limits of each client. */
export interface ClientGuardOptions {
  readonly masks: ClientMasks;
  /** Queries per second; Infinity: no limit. */
  readonly queriesPerSecond: number;
  /** Queries at once after a pause. */
  readonly burst: number;
  readonly overLimit: OverLimit;
  /** Queries over the limit within a minute after which the client is banned; Infinity: never. */
  readonly banAfter: number;
  readonly ban: BanTerms;
  /** What banned clients get. */
  readonly banned: "refuse" | "drop";
}

/** Why a query is not answered; `pass`: it is. */
export type GuardVerdict = "pass" | "over limit" | "banned";

/** What the guards of several threads have together. */
export interface SharedGuard {
  /** {@link GUARD_TABLES} of them: a client has one rate, whichever thread it comes to. */
  readonly tables: readonly SharedBuckets[];
  /** Is told of each ban that begins here, so that the others can {@link ClientGuard.adopt} it. */
  readonly onBanned: (ban: BanTold) => void;
}

/** See the head of this file. */
export class ClientGuard {
  readonly options: ClientGuardOptions;
  readonly bans: ClientBans;
  readonly masking: ClientMasking;
  readonly counters = { overLimit: 0, banned: 0 };
  readonly #addresses = new ClientAddresses();
  readonly #rate: TokenBuckets | undefined;
  readonly #patience: TokenBuckets | undefined;
  readonly #onBanned: ((ban: BanTold) => void) | undefined;
  readonly #runtime: Runtime;

  /** Throws a RangeError for masks that are no prefixes. */
  constructor(options: ClientGuardOptions, runtime: Runtime, shared?: SharedGuard) {
    this.options = options;
    this.#runtime = runtime;
    this.#onBanned = shared?.onBanned;
    this.bans = new ClientBans(runtime.random);
    this.masking = new ClientMasking(options.masks);
    const { queriesPerSecond: perSecond, burst, banAfter } = options;
    if (perSecond === Number.POSITIVE_INFINITY) return;
    const makeBuckets = makeBucketsIn(shared?.tables, runtime.random);
    this.#rate = makeBuckets({ perSecond, burst });
    if (banAfter === Number.POSITIVE_INFINITY) return;
    this.#patience = makeBuckets({ perSecond: banAfter / 60, burst: banAfter });
  }

  /** Octets of a client's address, remembered. */
  octetsOf(address: string): Uint8Array {
    return this.#addresses.octetsOf(address);
  }

  /** Counts one query of a client, given as `octetsOf` does; `nowMs` is monotonic. */
  judge(address: Uint8Array, nowMs: number): GuardVerdict {
    if (address.length === 0) return "pass";
    if (this.bans.bannedUntil(address, nowMs) !== undefined) {
      this.counters.banned++;
      return "banned";
    }
    const rate = this.#rate;
    if (rate === undefined) return "pass";
    const bits = this.masking.bits(address);
    const factor = this.masking.factor(address);
    rate.key(address, 0, bits);
    if (rate.take(nowMs, factor)) return "pass";
    this.counters.overLimit++;
    const patience = this.#patience;
    if (patience !== undefined) {
      patience.key(address, 0, bits);
      if (!patience.take(nowMs, factor))
        this.ban(address, bits, this.options.ban, nowMs, "queries per second");
    }
    return "over limit";
  }

  /** What `judge` would say, without counting anything. */
  foresee(address: Uint8Array, nowMs: number): GuardVerdict {
    if (address.length === 0) return "pass";
    if (this.bans.bannedUntil(address, nowMs) !== undefined) return "banned";
    this.#rate?.key(address, 0, this.masking.bits(address));
    const tokens = this.#rate?.peek(nowMs, this.masking.factor(address)) ?? 1;
    return tokens >= 1 ? "pass" : "over limit";
  }

  /** Bans a client, which is told as one event. */
  ban(address: Uint8Array, bits: number, terms: BanTerms, nowMs: number, why: string): void {
    const before = this.bans.banned;
    const untilMs = this.bans.ban(address, bits, terms, nowMs);
    if (this.bans.banned === before) return;
    if (this.#onBanned !== undefined) {
      const told = this.bans.told(address, bits);
      if (told !== undefined) this.#onBanned(told);
    }
    if (!this.#runtime.events.wants(BANNED)) return;
    const last = this.bans.lastBanned;
    this.#runtime.events.publish(BANNED, { client: last, forMs: Math.round(untilMs - nowMs), why });
  }

  /** Takes over bans of other threads, which are told by them. */
  adopt(bans: Iterable<BanTold>): void {
    for (const ban of bans) this.bans.adopt(ban);
  }
}

/** Tables that a guard needs. */
export const GUARD_TABLES = 2;

const BANNED = "front.client.banned";
