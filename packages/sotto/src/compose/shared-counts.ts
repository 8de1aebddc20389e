/**
 * How many connections each client has in all threads together. A table of fixed size lies in shared memory: a row has the key's hash and
 * a count of each thread, which only that thread changes, so that the counts of one that has died can be taken out. A row belongs to
 * a key while one of its counts is not 0. Who takes a row holds the lock of its place; nobody else needs one.
 */
import type { Random } from "@sotto/dns/runtime";
import type { ClientCounts } from "@sotto/dns/transport";
import { type HashSeed, hashOctets, makeHashSeed } from "../front/index.ts";

/** Can be cloned (posted to a thread). */
export interface SharedCountTable {
  readonly buffer: SharedArrayBuffer;
  readonly threads: number;
  readonly seeds: readonly [HashSeed, HashSeed];
}

/** Room for so many keys, and as many again, so that places are seldom full. */
export function makeCountTable(threads: number, keys: number, random: Random): SharedCountTable {
  const places = Math.ceil(Math.min(ROWS_MAX, 2 * keys) / WAYS);
  const words = places * (1 + WAYS * rowWords(threads));
  return {
    buffer: new SharedArrayBuffer(words * 4),
    threads,
    seeds: [makeHashSeed(random), makeHashSeed(random)],
  };
}

/** Takes out what a thread that has died had counted, and what it had locked. */
export function forgetThread({ buffer, threads }: SharedCountTable, thread: number): void {
  const { cells, places } = viewOf(buffer, threads);
  // Memory that nobody has used is not given by the system until somebody writes there.
  for (let place = 0; place < places; place++) {
    for (let way = 0; way < WAYS; way++) {
      const own = rowAt(place, way, threads) + KEY_WORDS + thread;
      if (Atomics.load(cells, own) !== 0) Atomics.store(cells, own, 0);
    }
    const lock = lockAt(place, threads);
    if (Atomics.load(cells, lock) === thread + 1) Atomics.store(cells, lock, 0);
  }
}

/** See the head of this file. The counts as one thread sees and changes them. */
export class SharedCounts implements ClientCounts {
  readonly #table: SharedCountTable;
  readonly #thread: number;
  readonly #cells: Int32Array;
  readonly #places: number;
  /** Connections of this thread that found no row: the others do not know of them. */
  readonly #overflow = new Map<string, number>();
  #first = 0;
  #second = 0;

  constructor(table: SharedCountTable, thread: number) {
    this.#table = table;
    this.#thread = thread;
    ({ cells: this.#cells, places: this.#places } = viewOf(table.buffer, table.threads));
  }

  of(key: string): number {
    return this.#sum(key, this.#hash(key));
  }

  add(key: string, change: 1 | -1): number {
    const place = this.#hash(key);
    if (change < 0 ? !this.#less(place) : !this.#more(place)) {
      const count = (this.#overflow.get(key) ?? 0) + change;
      if (count > 0) this.#overflow.set(key, count);
      else this.#overflow.delete(key);
    }
    return this.#sum(key, place);
  }

  #sum(key: string, place: number): number {
    const row = this.#find(place);
    let count = this.#overflow.get(key) ?? 0;
    if (row < 0) return count;
    for (let i = 0; i < this.#table.threads; i++) count += Atomics.load(this.#cells, row + KEY_WORDS + i);
    return count;
  }

  /** False: this thread has none there. */
  #less(place: number): boolean {
    const row = this.#find(place);
    const own = row + KEY_WORDS + this.#thread;
    // A row with one of ours is not given to anybody else.
    if (row < 0 || Atomics.load(this.#cells, own) === 0) return false;
    Atomics.sub(this.#cells, own, 1);
    return true;
  }

  /** False: there is no row for it. */
  #more(place: number): boolean {
    const cells = this.#cells;
    const { threads } = this.#table;
    const lock = lockAt(place, threads);
    for (let tries = 0; Atomics.compareExchange(cells, lock, 0, this.#thread + 1) !== 0; tries++)
      if (tries >= LOCK_TRIES) return false;
    let row = this.#find(place);
    for (let way = 0; way < WAYS && row < 0; way++) {
      const free = rowAt(place, way, threads);
      if (this.#isFree(free)) row = free;
    }
    if (row >= 0) {
      Atomics.store(cells, row, this.#first);
      Atomics.store(cells, row + 1, this.#second);
      Atomics.add(cells, row + KEY_WORDS + this.#thread, 1);
    }
    Atomics.store(cells, lock, 0);
    return row >= 0;
  }

  #isFree(row: number): boolean {
    for (let i = 0; i < this.#table.threads; i++)
      if (Atomics.load(this.#cells, row + KEY_WORDS + i) !== 0) return false;
    return true;
  }

  /** The row of the key that was hashed, whoever has connections there; -1 when there is none. */
  #find(place: number): number {
    const cells = this.#cells;
    for (let way = 0; way < WAYS; way++) {
      const row = rowAt(place, way, this.#table.threads);
      if (Atomics.load(cells, row) === this.#first && Atomics.load(cells, row + 1) === this.#second)
        return row;
    }
    return -1;
  }

  /** Where the key belongs. */
  #hash(key: string): number {
    const octets = Buffer.from(key, "utf8");
    const [a, b] = this.#table.seeds;
    this.#first = hashOctets(octets, 0, octets.length, a.start, a.multiplier);
    this.#second = hashOctets(octets, 0, octets.length, b.start, b.multiplier);
    return (this.#first >>> 0) % this.#places;
  }
}

function viewOf(buffer: SharedArrayBuffer, threads: number): { cells: Int32Array; places: number } {
  const cells = new Int32Array(buffer);
  return { cells, places: cells.length / (1 + WAYS * rowWords(threads)) };
}

function rowWords(threads: number): number {
  return KEY_WORDS + threads;
}

/** A place is its lock, and its rows behind it. */
function lockAt(place: number, threads: number): number {
  return place * (1 + WAYS * rowWords(threads));
}

function rowAt(place: number, way: number, threads: number): number {
  return lockAt(place, threads) + 1 + way * rowWords(threads);
}

const WAYS = 8;
const KEY_WORDS = 2;
/** Clients that have a connection at one time; some megabytes. */
const ROWS_MAX = 500_000;
/** A row is taken in some 100 ns; a thread that was stopped there makes others count by themselves for a moment. */
const LOCK_TRIES = 1000;
