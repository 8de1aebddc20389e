/**
 * Token buckets for as many keys as strangers like, in a table of fixed size. A bucket is one number: the moment at which it will be
 * full again. When a table is full, the fullest bucket of the place gives way, which forgets least; its owner begins with a full one.
 * Threads may share a table: then a key has one bucket, whichever thread it comes to.
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

/** A table that threads share. Can be cloned (posted to a worker). */
export interface SharedBuckets {
  readonly buffer: SharedArrayBuffer;
  readonly seeds: readonly [HashSeed, HashSeed];
}

/** A table for all threads together; made once and given to each of them. */
export function shareBuckets(random: Random): SharedBuckets {
  const buffer = new SharedArrayBuffer(BUCKETS_MAX * BUCKET_BYTES + (BUCKETS_MAX / WAYS) * LOCK_BYTES);
  new Float64Array(buffer, 0, BUCKETS_MAX).fill(Number.NEGATIVE_INFINITY);
  return { buffer, seeds: drawSeeds(random) };
}

interface SharedView {
  /** The moments, as they lie in memory. */
  readonly bits: BigInt64Array;
  /** One for each place, 0 while nobody has it. */
  readonly locks: Int32Array;
  /** One moment, as a number and as it lies in memory. */
  readonly scratchMs: Float64Array;
  readonly scratchBits: BigInt64Array;
}

function drawSeeds(random: Random): [HashSeed, HashSeed] {
  return [makeHashSeed(random), makeHashSeed(random)];
}

/** See the head of this file. Keys are known by 64 bits of a seeded hash. */
export class TokenBuckets {
  readonly #rate: Rate;
  readonly #seeds: readonly [HashSeed, HashSeed];
  readonly #sets: number;
  readonly #keys: Uint32Array;
  /** Monotonic milliseconds at which the bucket is full; -Infinity where there is none. */
  readonly #fullAtMs: Float64Array;
  /** Undefined: no other thread has this table. */
  readonly #shared: SharedView | undefined;
  #first = 0;
  #second = 0;

  /** Of its own, with so many buckets at most, or in a table that is shared. */
  constructor(rate: Rate, random: Random, table: number | SharedBuckets = BUCKETS_MAX) {
    this.#rate = rate;
    if (typeof table === "number") {
      this.#seeds = drawSeeds(random);
      this.#sets = Math.max(1, Math.floor(table / WAYS));
      this.#keys = new Uint32Array(this.#sets * WAYS * 2);
      this.#fullAtMs = new Float64Array(this.#sets * WAYS).fill(Number.NEGATIVE_INFINITY);
      this.#shared = undefined;
      return;
    }
    const { buffer, seeds } = table;
    this.#seeds = seeds;
    this.#sets = BUCKETS_MAX / WAYS;
    this.#fullAtMs = new Float64Array(buffer, 0, BUCKETS_MAX);
    this.#keys = new Uint32Array(buffer, this.#fullAtMs.byteLength, BUCKETS_MAX * 2);
    const scratchMs = new Float64Array(1);
    this.#shared = {
      scratchMs,
      scratchBits: new BigInt64Array(scratchMs.buffer),
      bits: new BigInt64Array(buffer, 0, BUCKETS_MAX),
      locks: new Int32Array(buffer, BUCKETS_MAX * BUCKET_BYTES, this.#sets),
    };
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
    if (this.#shared !== undefined) return this.#takeShared(this.#shared, nowMs, factor);
    const slot = this.#slot();
    const next = this.#afterTaking(this.#fullAtMs[slot] ?? nowMs, nowMs, factor);
    if (next === 0) return false;
    this.#fullAtMs[slot] = next;
    return true;
  }

  /** When the bucket would be full again if a token were taken; 0: there is none. */
  #afterTaking(fullAt: number, nowMs: number, factor: number): number {
    const { perSecond, burst } = this.#rate;
    const tokenMs = 1000 / (perSecond * factor);
    const fullAtMs = Math.max(nowMs, fullAt);
    // Missing tokens must leave one of them.
    const isThere = fullAtMs - nowMs <= (most(burst, factor) - 1) * tokenMs + ROUNDING_MS;
    return isThere ? fullAtMs + tokenMs : 0;
  }

  /** A thread may be stopped anywhere: what others have taken meanwhile must stay taken. So the number changes only from what was seen. */
  #takeShared(shared: SharedView, nowMs: number, factor: number): boolean {
    const { bits, scratchMs, scratchBits } = shared;
    for (let tries = 0; tries < TAKE_TRIES; tries++) {
      const known = this.#find();
      const slot = known >= 0 ? known : this.#claim(shared);
      const seen = Atomics.load(bits, slot);
      scratchBits[0] = seen;
      const next = this.#afterTaking(scratchMs[0] ?? 0, nowMs, factor);
      if (next === 0) return false;
      scratchMs[0] = next;
      if (Atomics.compareExchange(bits, slot, seen, scratchBits[0]) === seen) return true;
    }
    return false;
  }

  /** One thread at a time makes places for keys; whoever holds the lock for too long was stopped, or has died, and goes unheeded. */
  #claim({ locks }: SharedView): number {
    const place = (this.#first >>> 0) % this.#sets;
    for (let tries = 0; tries < LOCK_TRIES; tries++)
      if (Atomics.compareExchange(locks, place, 0, 1) === 0) break;
    const slot = this.#slot();
    Atomics.store(locks, place, 0);
    return slot;
  }

  /** Tokens that the chosen key has, without taking one. */
  peek(nowMs: number, factor = 1): number {
    const slot = this.#find();
    const { perSecond, burst } = this.#rate;
    const tokens = most(burst, factor);
    if (slot < 0) return tokens;
    const missingMs = Math.max(0, (this.#fullAtMs[slot] ?? nowMs) - nowMs);
    return tokens - (missingMs / 1000) * perSecond * factor;
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
/** The moment at which it is full, and the key. */
const BUCKET_BYTES = 16;
const LOCK_BYTES = 4;
/** A lock is held for some 50 ns; this many tries take some microseconds. */
const LOCK_TRIES = 500;
/** Others take as well: whoever is beaten so often asks more than anybody should. */
const TAKE_TRIES = 100;
/** A moment before all others that are used. */
const FULL = Number.MIN_SAFE_INTEGER;
/** Sums of many small times are not exact. */
const ROUNDING_MS = 1e-6;
