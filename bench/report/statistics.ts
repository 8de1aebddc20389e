/** Figures of figures. */

/** The middle one, or the mean of both middle ones; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >>> 1] ?? Number.NaN;
  if (sorted.length % 2 === 1) return upper;
  return (upper + (sorted[(sorted.length >>> 1) - 1] ?? Number.NaN)) / 2;
}

/** Median, smallest and largest. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/** Counts durations in buckets 2 % apart, so that millions of them need no memory. */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #count = 0;

  add(ms: number): void {
    const bucket = ms <= LEAST_MS ? 0 : Math.log(ms / LEAST_MS) / STEP;
    const index = Math.min(BUCKETS - 1, Math.floor(bucket));
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#count++;
  }

  get count(): number {
    return this.#count;
  }

  /** Milliseconds that this share of all durations does not exceed; 0 of none. */
  quantile(share: number): number {
    const wanted = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (count > 0 && seen >= wanted) return LEAST_MS * Math.exp((bucket + 0.5) * STEP);
    }
    return 0;
  }
}

/** What two revisions differ in. */
export interface Difference {
  /** New by old, median of the rounds. */
  readonly ratio: Spread;
  /** Undefined: inside the noise. */
  readonly verdict: "better" | "worse" | undefined;
}

/**
 * Compares figures that were taken in pairs, where less is better. A difference counts when every round agrees on its direction,
 * by more than {@link NOISE_EACH}, and its median is above {@link NOISE}: three rounds agree on a direction by chance once in four.
 */
export function compare(ours: readonly number[], theirs: readonly number[]): Difference {
  const ratios = ours.flatMap((value, round) => {
    const other = theirs[round];
    return other === undefined ? [] : [value / other];
  });
  const ratio = spreadOf(ratios);
  const agree = ratio.most < 1 - NOISE_EACH || ratio.least > 1 + NOISE_EACH;
  const isClear = ratios.length >= ROUNDS_LEAST && agree && Math.abs(ratio.median - 1) > NOISE;
  return { ratio, verdict: isClear ? (ratio.median < 1 ? "better" : "worse") : undefined };
}

/** Differences below this share are never called ones. */
const NOISE = 0.03;
/** The same for a single round. */
const NOISE_EACH = 0.01;
/** Fewer rounds tell nothing. */
const ROUNDS_LEAST = 3;

const LEAST_MS = 0.001;
const STEP = 0.02;
/** Up to more than an hour. */
const BUCKETS = 1200;
