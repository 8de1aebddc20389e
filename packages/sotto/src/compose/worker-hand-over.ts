/**
 * When a worker gives a new connection to another. The kernel spreads connections by chance, and those of DNS over TLS stay: a
 * worker may have all the busy ones while its neighbour sleeps. Only what is new can move, before it has begun.
 */

/** How busy all workers are, in thousandths, one cell each; shared by all. */
export type WorkerLoads = Int32Array;

/** All of them count as busy until they have told otherwise. */
export function makeWorkerLoads(count: number): WorkerLoads {
  return new Int32Array(new SharedArrayBuffer(count * 4)).fill(LOAD_FULL);
}

/** One worker's decisions. */
export class HandOver {
  readonly #loads: WorkerLoads;
  readonly #index: number;
  #isGiving = false;
  #leftToGive = 0;

  constructor(loads: WorkerLoads, index: number) {
    this.#loads = loads;
    this.#index = index;
  }

  /** Tells the others how busy this one was since the last call, 0 to 1. */
  tell(utilisation: number): void {
    this.#loads[this.#index] = Math.round(utilisation * LOAD_FULL);
    this.#leftToGive = GIVEN_PER_REPORT_MAX;
  }

  /** Who should have the connection that has just come; undefined: this worker. */
  receiver(): number | undefined {
    const own = this.#loads[this.#index] ?? 0;
    if (own < (this.#isGiving ? GIVES_UNTIL : GIVES_FROM) || this.#leftToGive === 0) {
      if (own < GIVES_UNTIL) this.#isGiving = false;
      return undefined;
    }
    let idlest: number | undefined;
    let least = this.#isGiving ? TAKES_UNTIL : TAKES_FROM;
    for (const [i, load] of this.#loads.entries()) {
      if (i === this.#index || load > least) continue;
      idlest = i;
      least = load;
    }
    this.#isGiving = idlest !== undefined;
    if (idlest !== undefined) this.#leftToGive--;
    return idlest;
  }
}

export const LOAD_FULL = 1000;
/** Giving costs both some 100 µs: it begins when every query waits anyway, and ends with some room gained. */
const GIVES_FROM = 850;
const GIVES_UNTIL = 700;
/** It begins when the other has half of its time left, and ends before it is as busy. */
const TAKES_FROM = 500;
const TAKES_UNTIL = 650;
/** Between two looks at the loads, a quarter of a second: or all would rush to whoever was idle a moment ago. */
const GIVEN_PER_REPORT_MAX = 64;
