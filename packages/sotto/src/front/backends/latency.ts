/** How long replies take: a mean that follows, and a histogram that forgets. Adding costs no memory and no logarithm. */

/** See the head of this file. */
export class Latency {
  /** Weighted mean of the latest replies, milliseconds; 0 before the first. */
  meanMs = 0;
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  note(ms: number): void {
    this.meanMs = this.meanMs === 0 ? ms : this.meanMs + (ms - this.meanMs) * NEW_SHARE;
    const bucket = bucketOf(ms);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    if (++this.#total >= FORGET_AT) this.#forgetHalf();
  }

  /** Replies that the histogram knows of. */
  get count(): number {
    return this.#total;
  }

  /** Milliseconds that this share of the replies took at most, rounded up to a bucket; undefined before the first. */
  quantileMs(share: number): number | undefined {
    if (this.#total === 0) return undefined;
    let left = share * this.#total;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket] ?? 0;
      if (left <= 0) return endOf(bucket);
    }
    return endOf(BUCKETS - 1);
  }

  #forgetHalf(): void {
    this.#total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const half = (this.#counts[bucket] ?? 0) >>> 1;
      this.#counts[bucket] = half;
      this.#total += half;
    }
  }
}

/** Four per doubling, from 1/64 ms on: powers of two with their next two bits. */
function bucketOf(ms: number): number {
  const units = Math.min(UNITS_MAX, Math.max(UNITS_MIN, Math.floor(ms * UNITS_PER_MS)));
  const power = 31 - Math.clz32(units);
  return (power - 2) * 4 + ((units >>> (power - 2)) & 3);
}

/** Where a bucket ends, milliseconds. */
function endOf(bucket: number): number {
  const power = (bucket >>> 2) + 2;
  return (2 ** power + ((bucket & 3) + 1) * 2 ** (power - 2)) / UNITS_PER_MS;
}

/** Of the mean: the latest eight or so replies count most. */
const NEW_SHARE = 1 / 8;
/** 1/64 ms each. */
const UNITS_PER_MS = 64;
const UNITS_MIN = 4;
/** 65 s: longer than any deadline. */
const UNITS_MAX = 2 ** 22 - 1;
const BUCKETS = 80;
/** Enough for a 99th percentile, and few enough that a change is seen after some seconds of traffic. */
const FORGET_AT = 2000;
