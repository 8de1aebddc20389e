/** Queries at a rate: when each is due, and those that are due and cannot be sent yet. */

/** Moments evenly in time, from the first time that it is asked. */
export class Schedule {
  /** Moments that were given. */
  count = 0;
  readonly #everyMs: number;
  #startMs: number | undefined;

  constructor(ratePerSecond: number) {
    this.#everyMs = 1000 / ratePerSecond;
  }

  /** The next moment that is not after `nowMs`. */
  next(nowMs: number): number | undefined {
    this.#startMs ??= nowMs;
    const dueMs = this.#startMs + this.count * this.#everyMs;
    if (dueMs > nowMs) return undefined;
    this.count++;
    return dueMs;
  }
}

/**
 * When each query that waits for a free slot was due, the first due first. A server that falls behind makes queries wait here, and
 * not vanish: who leaves out what could not be asked in time measures the good moments only.
 */
export class Backlog {
  readonly #dueMs: Float64Array;
  #first = 0;
  #count = 0;

  /** Throws at no room. */
  constructor(queriesMax: number) {
    if (queriesMax < 1) throw new Error("a backlog has room for one query at least");
    this.#dueMs = new Float64Array(queriesMax);
  }

  get count(): number {
    return this.#count;
  }

  /** False when it is full. */
  push(dueMs: number): boolean {
    if (this.#count === this.#dueMs.length) return false;
    this.#dueMs[(this.#first + this.#count) % this.#dueMs.length] = dueMs;
    this.#count++;
    return true;
  }

  /** The one that waits longest; it stays. */
  peek(): number | undefined {
    return this.#count === 0 ? undefined : this.#dueMs[this.#first];
  }

  /** Takes the one that waits longest. */
  shift(): number | undefined {
    const dueMs = this.peek();
    if (dueMs === undefined) return undefined;
    this.#first = (this.#first + 1) % this.#dueMs.length;
    this.#count--;
    return dueMs;
  }
}

/** More than come in the two seconds after which a query is lost anyway, at the highest rate that the load can send. */
export const BACKLOG_QUERIES_MAX = 400_000;
