/**
 * Token buckets for as many keys as strangers like, in a table of fixed size. A bucket is one number: the moment at which it will be
 * full again. When a table is full, the fullest bucket of the place gives way, which forgets least; its owner begins with a full one.
 */
import type { Random } from "@sotto/dns/runtime";
import { type HashSeed, hashLowered, hashOctets, makeHashSeed } from "./seeded-hash.ts";

/** How fast tokens come, and how many there can be. */
export interface Rate {
  readonly perSecond: number;
  /** Tokens of a full bucket, 1 or more. */
  readonly burst: number;
}

/** Buckets of one table; a million bytes. */
const BUCKETS_MAX = 65_536;

/** See the head of this file. Keys are known by 64 bits of a seeded hash. */
export class TokenBuckets {
  readonly #rate: Rate;
  readonly #seeds: readonly [HashSeed, HashSeed];
  readonly #sets: number;
  readonly #keys: Uint32Array;
  /** Monotonic milliseconds at which the bucket is full; -Infinity where there is none. */
  readonly #fullAtMs: Float64Array;
  #first = 0;
  #second = 0;

  constructor(rate: Rate, random: Random, bucketsMax: number = BUCKETS_MAX) {
    this.#rate = rate;
    this.#seeds = [makeHashSeed(random), makeHashSeed(random)];
    this.#sets = Math.max(1, Math.floor(bucketsMax / WAYS));
    this.#keys = new Uint32Array(this.#sets * WAYS * 2);
    this.#fullAtMs = new Float64Array(this.#sets * WAYS).fill(Number.NEGATIVE_INFINITY);
  }

  /** Bytes of the table. */
  get bytes(): number {
    return this.#keys.byteLength + this.#fullAtMs.byteLength;
  }

  /** Chooses the key of the next `take` or `peek`: some octets, of which the last may count in part. */
  key(octets: Uint8Array, start: number, bits: number): void {
    const whole = start + (bits >>> 3);
    const rest = bits & 7;
    const last = rest === 0 ? 0 : (octets[whole] ?? 0) & (0xff << (8 - rest));
    const [a, b] = this.#seeds;
    const first = hashOctets(octets, start, whole, a.start, a.multiplier);
    const second = hashOctets(octets, start, whole, b.start, b.multiplier);
    this.#first = mix(first ^ (last << 8) ^ bits, a.multiplier);
    this.#second = mix(second ^ (last << 8) ^ bits, b.multiplier);
  }

  /** The same for a name in wire form, whatever its case. */
  nameKey(octets: Uint8Array, start: number, end: number): void {
    const [a, b] = this.#seeds;
    this.#first = mix(hashLowered(octets, start, end, a.start, a.multiplier), a.multiplier);
    this.#second = mix(hashLowered(octets, start, end, b.start, b.multiplier), b.multiplier);
  }

  /** Takes a token of the chosen key; false when there is none. `factor`: so many times the rate and the burst. */
  take(nowMs: number, factor = 1): boolean {
    const slot = this.#slot();
    const { perSecond, burst } = this.#rate;
    const tokenMs = 1000 / (perSecond * factor);
    const fullAtMs = Math.max(nowMs, this.#fullAtMs[slot] ?? nowMs);
    // Missing tokens must leave one of them.
    const isThere = fullAtMs - nowMs <= (most(burst, factor) - 1) * tokenMs + ROUNDING_MS;
    if (isThere) this.#fullAtMs[slot] = fullAtMs + tokenMs;
    return isThere;
  }

  /** Tokens that the chosen key has, without taking one. */
  peek(nowMs: number, factor = 1): number {
    const slot = this.#find();
    const { perSecond, burst } = this.#rate;
    if (slot < 0) return most(burst, factor);
    const missingMs = Math.max(0, (this.#fullAtMs[slot] ?? nowMs) - nowMs);
    return most(burst, factor) - (missingMs / 1000) * perSecond * factor;
  }

  #find(): number {
    const start = ((this.#first >>> 0) % this.#sets) * WAYS;
    for (let slot = start; slot < start + WAYS; slot++)
      if (
        this.#keys[2 * slot] === this.#first >>> 0 &&
        this.#keys[2 * slot + 1] === this.#second >>> 0 &&
        this.#fullAtMs[slot] !== Number.NEGATIVE_INFINITY
      )
        return slot;
    return -1;
  }

  /** The place of the chosen key, made by the fullest bucket when it has none. */
  #slot(): number {
    const known = this.#find();
    if (known >= 0) return known;
    const start = ((this.#first >>> 0) % this.#sets) * WAYS;
    let fullest = start;
    for (let slot = start + 1; slot < start + WAYS; slot++)
      if ((this.#fullAtMs[slot] ?? 0) < (this.#fullAtMs[fullest] ?? 0)) fullest = slot;
    this.#keys[2 * fullest] = this.#first;
    this.#keys[2 * fullest + 1] = this.#second;
    this.#fullAtMs[fullest] = FULL;
    return fullest;
  }
}

/** Tokens of a full bucket: with less than one nothing would ever be allowed. */
function most(burst: number, factor: number): number {
  return Math.max(1, burst * factor);
}

/** Spreads what came last over all bits. */
function mix(hash: number, multiplier: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 13), multiplier);
  return mixed ^ (mixed >>> 16);
}

/** Places for one key; more give a truer choice of whom to forget, and take longer. */
const WAYS = 8;
/** A moment before all others that are used. */
const FULL = Number.MIN_SAFE_INTEGER;
/** Sums of many small times are not exact. */
const ROUNDING_MS = 1e-6;
