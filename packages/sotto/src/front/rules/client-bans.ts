/**
 * Clients that get nothing for a while. Each ban of a client is twice as long as the one before, up to a maximum, until it has
 * behaved for as long as that. What is full forgets the ban that ends first.
 */
import type { Random } from "@sotto/dns/runtime";
import { BanEnds, type Ending } from "./ban-ends.ts";
import { namesPrefix, prefixToText } from "./client-prefix.ts";
import { type HashSeed, hashOctets, makeHashSeed } from "./seeded-hash.ts";

/** How long bans last. */
export interface BanTerms {
  readonly forMs: number;
  readonly maxMs: number;
}

/** One ban, for people. */
export interface BanStatus {
  /** `192.0.2.0/24`. */
  readonly client: string;
  readonly remainingMs: number;
  /** Bans in a row. */
  readonly count: number;
}

/** A ban as threads tell each other; times are monotonic milliseconds, which count alike in all of them. */
export interface BanTold {
  readonly address: Uint8Array;
  readonly bits: number;
  readonly untilMs: number;
  readonly count: number;
  readonly forgottenAtMs: number;
}

interface Ban extends Ending {
  readonly key: number;
  readonly client: string;
  count: number;
  /** When it is as if nothing had been. */
  forgottenAtMs: number;
}

/** See the head of this file. Clients are prefixes. */
export class ClientBans {
  /** By 52 bits of a seeded hash: every query looks here while anybody is banned. */
  readonly #bans = new Map<number, Ban>();
  readonly #ends = new BanEnds<Ban>();
  readonly #seeds: readonly [HashSeed, HashSeed];
  /** Lengths of prefixes that are in the table: an address is looked for under each. */
  readonly #lengths = new Set<number>();
  /** Until when nobody can be banned any more. */
  #lastEndMs = Number.NEGATIVE_INFINITY;
  /** Bans since the start. */
  banned = 0;
  /** Whom the last one was for, as a prefix. */
  lastBanned = "";

  constructor(random: Random) {
    this.#seeds = [makeHashSeed(random), makeHashSeed(random)];
  }

  /** Bans the prefix of an address, and gives until when; who is banned already stays so. */
  ban(address: Uint8Array, bits: number, terms: BanTerms, nowMs: number): number {
    const key = this.#keyOf(address, bits);
    const known = this.#bans.get(key);
    if (known !== undefined && known.untilMs > nowMs) return known.untilMs;
    const count = known !== undefined && known.forgottenAtMs > nowMs ? known.count + 1 : 1;
    const lengthMs = Math.min(terms.maxMs, terms.forMs * 2 ** (count - 1));
    const untilMs = nowMs + lengthMs;
    const forgottenAtMs = untilMs + terms.maxMs;
    this.lastBanned = this.#put(key, { address, bits, untilMs, count, forgottenAtMs }).client;
    this.banned++;
    return untilMs;
  }

  /** A ban that another thread has begun; it is not counted here. The one that ends later counts. */
  adopt(told: BanTold): void {
    const key = this.#keyOf(told.address, told.bits);
    if ((this.#bans.get(key)?.untilMs ?? Number.NEGATIVE_INFINITY) < told.untilMs) this.#put(key, told);
  }

  /** What other threads have to know of a client's ban; undefined when it has none. */
  told(address: Uint8Array, bits: number): BanTold | undefined {
    const ban = this.#bans.get(this.#keyOf(address, bits));
    if (ban === undefined) return undefined;
    const { untilMs, count, forgottenAtMs } = ban;
    return { address, bits, untilMs, count, forgottenAtMs };
  }

  #put(key: number, { address, bits, untilMs, count, forgottenAtMs }: BanTold): Ban {
    const known = this.#bans.get(key);
    const ban = known ?? {
      key,
      client: prefixToText(address, bits),
      untilMs,
      count,
      forgottenAtMs,
      place: -1,
    };
    if (known === undefined) this.#add(ban);
    else {
      Object.assign(known, { untilMs, count, forgottenAtMs });
      this.#ends.delayed(known);
    }
    this.#lengths.add(lengthKey(address, bits));
    this.#lastEndMs = Math.max(this.#lastEndMs, untilMs);
    return ban;
  }

  /** Until when the address is banned, monotonic milliseconds; undefined when it is not. */
  bannedUntil(address: Uint8Array, nowMs: number): number | undefined {
    if (nowMs >= this.#lastEndMs) return undefined;
    for (const length of this.#lengths) {
      if (length >>> 8 !== address.length) continue;
      const ban = this.#bans.get(this.#keyOf(address, length & 0xff));
      if (ban !== undefined && ban.untilMs > nowMs) return ban.untilMs;
    }
    return undefined;
  }

  /** Lifts the ban of a prefix as `status` tells it, or of an address, and forgets that there was one; false when there was none. */
  lift(client: string): boolean {
    const lifted = [...this.#bans.values()].filter((ban) => namesPrefix(client, ban.client));
    for (const ban of lifted) this.#remove(ban);
    return lifted.length > 0;
  }

  /** Those that are banned now. */
  status(nowMs: number): BanStatus[] {
    const status: BanStatus[] = [];
    for (const { client, untilMs, count } of this.#bans.values())
      if (untilMs > nowMs) status.push({ client, remainingMs: untilMs - nowMs, count });
    return status;
  }

  #keyOf(address: Uint8Array, bits: number): number {
    const [a, b] = this.#seeds;
    const whole = bits >>> 3;
    const rest = bits & 7;
    const last = rest === 0 ? 0 : (address[whole] ?? 0) & (0xff << (8 - rest));
    const tail = (lengthKey(address, bits) << 8) | last;
    const first = Math.imul(hashOctets(address, 0, whole, a.start, a.multiplier) ^ tail, a.multiplier);
    const second = Math.imul(hashOctets(address, 0, whole, b.start, b.multiplier) ^ tail, b.multiplier);
    return (first >>> 0) * 0x10_0000 + (second >>> 12);
  }

  #add(ban: Ban): void {
    const first = this.#ends.first;
    if (this.#bans.size >= BANS_MAX && first !== undefined) this.#remove(first);
    this.#bans.set(ban.key, ban);
    this.#ends.add(ban);
  }

  #remove(ban: Ban): boolean {
    this.#ends.remove(ban);
    return this.#bans.delete(ban.key);
  }
}

/** Family and length of a prefix: IPv6 has 128 bits, which with the octets fit into one number. */
function lengthKey(address: Uint8Array, bits: number): number {
  return (address.length << 8) | bits;
}

/** Clients that are banned or have been lately. */
export const BANS_MAX = 10_000;
