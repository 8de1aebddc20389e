/**
 * Token buckets for as many keys as strangers like, in a table of fixed size. A bucket is one number: the moment at which it will be
 * full again. When a table is full, the fullest bucket of the place gives way, which forgets least; its owner begins with a full one.
 * Threads may share a table: then each place has a lock, and a key has one bucket, whichever thread it comes to.
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
  /** One for each place, 0 while nobody has it; undefined: no other thread has this table. */
  readonly #locks: Int32Array | undefined;
  /** What the lock of a place says while this one has it. */
  readonly #owner: number;
  #first = 0;
  #second = 0;
  #takeSlot = 0;
  #takeFullAtMs = 0;

  /** Of its own, with so many buckets at most, or in a table that is shared. */
  constructor(rate: Rate, random: Random, table: number | SharedBuckets = BUCKETS_MAX) {
    this.#rate = rate;
    this.#owner = 1 + random.below(0x7fff_fffe);
    if (typeof table === "number") {
      this.#seeds = drawSeeds(random);
      this.#sets = Math.max(1, Math.floor(table / WAYS));
      this.#keys = new Uint32Array(this.#sets * WAYS * 2);
      this.#fullAtMs = new Float64Array(this.#sets * WAYS).fill(Number.NEGATIVE_INFINITY);
      this.#locks = undefined;
      return;
    }
    const { buffer, seeds } = table;
    this.#seeds = seeds;
    this.#sets = BUCKETS_MAX / WAYS;
    this.#fullAtMs = new Float64Array(buffer, 0, BUCKETS_MAX);
    this.#keys = new Uint32Array(buffer, this.#fullAtMs.byteLength, BUCKETS_MAX * 2);
    this.#locks = new Int32Array(buffer, BUCKETS_MAX * BUCKET_BYTES, this.#sets);
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
    const locks = this.#locks;
    if (locks === undefined) return this.#mayTake(nowMs, factor) && this.#takeNow();
    const place = (this.#first >>> 0) % this.#sets;
    for (let tries = 1; ; tries++) {
      this.#lock(locks, place);
      const isThere = this.#mayTake(nowMs, factor);
      // Whoever was stopped here, and lost the lock, would undo what others have taken meanwhile.
      const isWritable = Atomics.load(locks, place) === this.#owner || tries >= TAKE_TRIES;
      if (isThere && isWritable) this.#takeNow();
      Atomics.compareExchange(locks, place, this.#owner, 0);
      if (!isThere || isWritable) return isThere;
    }
  }

  /** Notes where the chosen key has its bucket, and when that would be full if a token were taken. False: there is none. */
  #mayTake(nowMs: number, factor: number): boolean {
    const slot = this.#slot();
    const { perSecond, burst } = this.#rate;
    const tokenMs = 1000 / (perSecond * factor);
    const fullAtMs = Math.max(nowMs, this.#fullAtMs[slot] ?? nowMs);
    this.#takeSlot = slot;
    this.#takeFullAtMs = fullAtMs + tokenMs;
    // Missing tokens must leave one of them.
    return fullAtMs - nowMs <= (tokensOf(burst, factor) - 1) * tokenMs + ROUNDING_MS;
  }

  #takeNow(): true {
    this.#fullAtMs[this.#takeSlot] = this.#takeFullAtMs;
    return true;
  }

  /** Whoever holds it for too long was stopped where it stood, or has died: its lock is taken away. */
  #lock(locks: Int32Array, place: number): void {
    let holder = 0;
    for (let tries = 0; tries < LOCK_TRIES; tries++) {
      holder = Atomics.compareExchange(locks, place, 0, this.#owner);
      if (holder === 0) return;
    }
    Atomics.compareExchange(locks, place, holder, this.#owner);
  }

  /** Tokens that the chosen key has, without taking one. */
  peek(nowMs: number, factor = 1): number {
    const slot = this.#find();
    const { perSecond, burst } = this.#rate;
    const tokens = tokensOf(burst, factor);
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

/** Of a full bucket: whoever may come less often than once a second may come once. */
function tokensOf(burst: number, factor: number): number {
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
/** Nobody is stopped so often in the same place. */
const TAKE_TRIES = 10;
/** A moment before all others that are used. */
const FULL = Number.MIN_SAFE_INTEGER;
/** Sums of many small times are not exact. */
const ROUNDING_MS = 1e-6;
