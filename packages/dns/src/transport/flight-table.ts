/**
 * Queries in flight by their message id. A `Map` that is filled and emptied all the time is made anew again and again, each one keeps
 * the next alive until the next full collection, and with it what stood there: under load that was most of what the collector had to do.
 */

/** What the table needs of a query in flight; all of it is the table's. */
export interface TableFlight<T> {
  id: number;
  /** Which of all that were ever added it is. */
  nth: number;
  /** Of the same chain; undefined at its end, and when it is not in the table. */
  next: T | undefined;
}

/** See the head of this file. How many it holds is its owner's business: as many as there are ids. */
export class FlightTable<T extends TableFlight<T>> {
  #heads: (T | undefined)[] = makeHeads(HEADS_MIN);
  #size = 0;
  #added = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    let flight = this.#heads[id & (this.#heads.length - 1)];
    while (flight !== undefined && flight.id !== id) flight = flight.next;
    return flight;
  }

  /** Nothing may have this id. */
  add(id: number, flight: T): void {
    if (this.#size >= this.#heads.length * CHAIN_MEAN_MAX) this.#grow();
    flight.id = id;
    flight.nth = this.#added++;
    this.#link(flight);
    this.#size++;
  }

  remove(flight: T): void {
    const at = flight.id & (this.#heads.length - 1);
    const first = this.#heads[at];
    if (first === flight) this.#heads[at] = flight.next;
    else {
      let before = first;
      while (before !== undefined && before.next !== flight) before = before.next;
      if (before === undefined) return;
      before.next = flight.next;
    }
    // What is dead and old must not keep what is younger.
    flight.next = undefined;
    this.#size--;
  }

  /** In the order in which they were added. */
  values(): T[] {
    const all: T[] = [];
    for (const head of this.#heads)
      for (let flight = head; flight !== undefined; flight = flight.next) all.push(flight);
    return all.sort((a, b) => a.nth - b.nth);
  }

  clear(): void {
    for (const flight of this.values()) flight.next = undefined;
    this.#heads.fill(undefined);
    this.#size = 0;
  }

  #link(flight: T): void {
    const at = flight.id & (this.#heads.length - 1);
    flight.next = this.#heads[at];
    this.#heads[at] = flight;
  }

  #grow(): void {
    const all = this.values();
    this.#heads = makeHeads(this.#heads.length * 2);
    for (const flight of all) this.#link(flight);
  }
}

function makeHeads<T>(count: number): (T | undefined)[] {
  return new Array<T | undefined>(count).fill(undefined);
}

/** A power of two; most connections of programs never have more under way. */
const HEADS_MIN = 16;
/** Above so many for each head the table doubles. */
const CHAIN_MEAN_MAX = 2;
