/**
 * When a worker gives a new connection to another. The kernel spreads connections by chance, and those of DNS over TLS stay: a
 * worker may have all the busy ones while its neighbour sleeps. Only what is new can move, before it has begun. What a new one will
 * ask nobody knows: so whoever has far more connections gives, too, before anybody is busy.
 */

/** How busy each worker is, in thousandths, then how many connections each has, and then how many are on their way to each; shared by all. */
export type WorkerLoads = Int32Array;

/** All of them count as busy until they have told otherwise, and give nothing. */
export function makeWorkerLoads(count: number): WorkerLoads {
  return new Int32Array(new SharedArrayBuffer(3 * count * 4)).fill(LOAD_FULL, 0, count);
}

/** One worker's decisions. */
export class HandOver {
  readonly #loads: WorkerLoads;
  readonly #count: number;
  readonly #index: number;
  #isGiving = false;
  #leftToGive = 0;
  /** In a row. */
  #saturatedReports = 0;

  constructor(loads: WorkerLoads, index: number) {
    this.#loads = loads;
    this.#count = loads.length / 3;
    this.#index = index;
  }

  /** Tells the others how busy this one was since the last call, 0 to 1. */
  tell(utilisation: number): void {
    const load = Math.min(LOAD_FULL - 1, Math.round(utilisation * LOAD_FULL));
    this.#loads[this.#index] = load;
    this.#saturatedReports =
      load < (this.#isGiving ? GIVES_UNTIL : GIVES_FROM) ? 0 : this.#saturatedReports + 1;
    this.#leftToGive = GIVEN_PER_REPORT_MAX;
    // Those that went elsewhere or nowhere were not taken off.
    Atomics.store(this.#loads, 2 * this.#count + this.#index, 0);
  }

  /** One that was on its way has arrived; not counted any more when this one has told its load meanwhile, or when it comes back. */
  took(): void {
    const onWay = 2 * this.#count + this.#index;
    // Nobody else takes off.
    if (Atomics.load(this.#loads, onWay) > 0) Atomics.sub(this.#loads, onWay, 1);
  }

  /** Tells the others how many connections this one has. */
  has(connections: number): void {
    Atomics.store(this.#loads, this.#count + this.#index, connections);
  }

  /** Who should have the connection that has just come to a worker with so many others; undefined: this one. */
  receiver(connections: number): number | undefined {
    this.has(connections);
    if (this.#leftToGive === 0) return undefined;
    const receiver = this.#choose(connections);
    if (receiver === undefined) return undefined;
    this.#leftToGive--;
    Atomics.add(this.#loads, 2 * this.#count + receiver, 1);
    return receiver;
  }

  #choose(connections: number): number | undefined {
    const own = this.#loads[this.#index] ?? 0;
    if (own >= (this.#isGiving ? GIVES_UNTIL : GIVES_FROM)) {
      const idlest = this.#least(
        this.#isGiving ? TAKES_UNTIL : TAKES_FROM,
        (i) => this.#loads[i] ?? LOAD_FULL,
      );
      this.#isGiving = idlest !== undefined;
      // A burst of handshakes saturates for a moment, and all of it must not end where there was nothing to do in that moment.
      if (
        idlest !== undefined &&
        (this.#saturatedReports >= LASTING_REPORTS || this.#isNotAhead(idlest, connections))
      )
        return idlest;
    } else if (own < GIVES_UNTIL) this.#isGiving = false;
    const few = connections - aheadOf(connections);
    const emptiest = this.#least(few, (i) => this.#connectionsOf(i));
    if (emptiest === undefined) return undefined;
    // Whoever has few connections may have the busy ones.
    const load = this.#loads[emptiest] ?? LOAD_FULL;
    return load <= own + BUSIER_MOST ? emptiest : undefined;
  }

  #isNotAhead(other: number, connections: number): boolean {
    return this.#connectionsOf(other) < connections + aheadOf(connections);
  }

  /** Infinity for one that has not told anything, or hangs. */
  #connectionsOf(worker: number): number {
    if (this.#loads[worker] === LOAD_FULL) return Number.POSITIVE_INFINITY;
    return (this.#loads[this.#count + worker] ?? 0) + (this.#loads[2 * this.#count + worker] ?? 0);
  }

  /** The other worker with the least of something, if that is at most so much. */
  #least(atMost: number, of: (worker: number) => number): number | undefined {
    let found: number | undefined;
    let least = atMost;
    for (let i = 0; i < this.#count; i++) {
      const value = of(i);
      if (i === this.#index || value > least) continue;
      found = i;
      least = value;
    }
    return found;
  }
}

/** Of a worker that nothing is known of; whoever tells has at most one less. */
export const LOAD_FULL = 1000;
/** Giving costs both some 100 µs: it begins when every query waits anyway, and ends with some room gained. */
const GIVES_FROM = 850;
const GIVES_UNTIL = 700;
/** It begins when the other has half of its time left, and ends before it is as busy. */
const TAKES_FROM = 500;
const TAKES_UNTIL = 650;
/** From so many reports on saturation is not a burst of new connections, but what the old ones ask. */
const LASTING_REPORTS = 2;
/** Between two looks at the loads, a quarter of a second: or all would rush to whoever was idle a moment ago. */
const GIVEN_PER_REPORT_MAX = 64;
/** A worker has too many when another has so many less, and so large a part of its own less: chance alone makes small differences again and again. */
function aheadOf(connections: number): number {
  return Math.max(AHEAD_LEAST, connections * AHEAD_SHARE);
}

const AHEAD_LEAST = 8;
const AHEAD_SHARE = 1 / 8;
/** Thousandths by which whoever takes for having few may be busier. */
const BUSIER_MOST = 100;
