/** Bans by their end, the earliest first: a binary heap in which each one knows its place, so that it can be moved or taken out. */

/** What is in the heap. */
export interface Ending {
  untilMs: number;
  /** Of the heap. */
  place: number;
}

/** See the head of this file. Each change takes as many steps as the heap is deep. */
export class BanEnds<T extends Ending> {
  readonly #heap: T[] = [];

  get first(): T | undefined {
    return this.#heap[0];
  }

  add(one: T): void {
    this.#rise(one, this.#heap.push(one) - 1);
  }

  /** Its end has become a later one. */
  delayed(one: T): void {
    this.#sink(one, one.place);
  }

  remove(one: T): void {
    const last = this.#heap.pop();
    if (last === undefined || last === one) return;
    this.#rise(last, one.place);
    this.#sink(last, last.place);
  }

  #rise(one: T, from: number): void {
    let at = from;
    while (at > 0) {
      const above = (at - 1) >>> 1;
      const parent = this.#heap[above];
      if (parent === undefined || parent.untilMs <= one.untilMs) break;
      this.#put(parent, at);
      at = above;
    }
    this.#put(one, at);
  }

  #sink(one: T, from: number): void {
    const heap = this.#heap;
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      const [a, b] = [heap[left], heap[left + 1]];
      const isRight = a !== undefined && b !== undefined && b.untilMs < a.untilMs;
      const child = isRight ? b : a;
      if (child === undefined || child.untilMs >= one.untilMs) break;
      this.#put(child, at);
      at = isRight ? left + 1 : left;
    }
    this.#put(one, at);
  }

  #put(one: T, at: number): void {
    this.#heap[at] = one;
    one.place = at;
  }
}
