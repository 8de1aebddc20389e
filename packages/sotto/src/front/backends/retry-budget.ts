/**
 * How many queries may be asked twice: a share of all of them. When every backend is slow, asking each question of two of them
 * would make all slower; what failed for certain is not counted here.
 */

/** See the head of this file. */
export class RetryBudget {
  readonly #share: number;
  #tokens: number;

  /** `share` is from 0 to 1. */
  constructor(share: number) {
    this.#share = share;
    this.#tokens = share === 0 ? 0 : TOKENS_AT_FIRST;
  }

  /** A query came. */
  earn(): void {
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + this.#share);
  }

  /** True, and counted, when one more may be asked again. */
  spend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

/** So that the first queries of a quiet pool have their second chance. */
const TOKENS_AT_FIRST = 20;
/** What is spent at once when a backend stops that is not known to be down yet. */
const TOKENS_MAX = 200;
