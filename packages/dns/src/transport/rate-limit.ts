/** Token buckets by client, for rates that are named per second. */

interface Bucket {
  tokens: number;
  filledMs: number;
}

/** Clients that are watched at once; beyond it the one seen least recently is forgotten, and starts with a full bucket. */
const CLIENTS_MAX = 10_000;

/** Lets each key through `perSecondMax` times a second, with a burst of as many, and at least one. */
export class RateLimit {
  #perSecondMax: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(perSecondMax: number) {
    this.#perSecondMax = perSecondMax;
  }

  /** For all that comes from now on; what clients have used up stays used. */
  set perSecondMax(value: number) {
    this.#perSecondMax = value;
  }

  /** Takes a token of a key that has `factor` times the rate; false when there is none. `nowMs` is monotonic. */
  take(key: string, nowMs: number, factor = 1): boolean {
    const perSecond = this.#perSecondMax * factor;
    if (perSecond === Number.POSITIVE_INFINITY) return true;
    // Less than one a second is one every so many.
    const most = Math.max(1, perSecond);
    const known = this.#buckets.get(key);
    const tokens =
      known === undefined
        ? most
        : Math.min(most, known.tokens + ((nowMs - known.filledMs) / 1000) * perSecond);
    const isFree = tokens >= 1;
    this.#buckets.delete(key);
    if (this.#buckets.size >= CLIENTS_MAX) this.#forgetOldest();
    this.#buckets.set(key, { tokens: isFree ? tokens - 1 : tokens, filledMs: nowMs });
    return isFree;
  }

  #forgetOldest(): void {
    for (const key of this.#buckets.keys()) {
      this.#buckets.delete(key);
      return;
    }
  }
}
