/**
 * What is under way, in no order: whoever comes and goes costs a store. The array behind it never shrinks, because V8 would give it other
 * memory each time that it grows again, and the old one would keep alive what stood there.
 */

/** Each knows its place; -1: none. */
export interface Listed {
  index: number;
}

/** See the head of this file. How many there may be is the owner's limit. */
export class LiveList<T extends Listed> {
  readonly #places: (T | undefined)[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(one: T): void {
    one.index = this.#length;
    this.#places[this.#length++] = one;
  }

  /** The last one takes its place. */
  remove(one: T): void {
    const { index } = one;
    if (index < 0 || this.#places[index] !== one) return;
    one.index = -1;
    const end = --this.#length;
    const last = this.#places[end];
    this.#places[end] = undefined;
    if (last === undefined || last === one) return;
    last.index = index;
    this.#places[index] = last;
  }

  has(one: T): boolean {
    return one.index >= 0 && this.#places[one.index] === one;
  }

  /** As they are now; others may come and go while they are looked at. */
  values(): T[] {
    const all: T[] = [];
    for (const one of this.#places) {
      if (one === undefined) break;
      all.push(one);
    }
    return all;
  }
}
