/**
 * Who owns a descriptor that is on its way from one worker to another. Threads share descriptors, so that a number is all that travels,
 * and a message may never be received: its receiver has ended, or its giver before it was sent. So the descriptor stands in memory that all share,
 * and is whoever's takes it out, which succeeds once. Not here: closing.
 */

/** Shared by all; made by the supervisor. For each worker, so many places, and then the number of its last pass. */
export type DescriptorMemory = Int32Array;

/** What travels: where the descriptor stands, and the number that it stands there under. */
export interface DescriptorPass {
  readonly place: number;
  readonly number: number;
}

export function makeDescriptorMemory(count: number): DescriptorMemory {
  return new Int32Array(new SharedArrayBuffer(count * WORKER_CELLS * 4));
}

/** See the head of this file. */
export class DescriptorsUnderWay {
  readonly #cells: DescriptorMemory;

  constructor(memory: DescriptorMemory) {
    this.#cells = memory;
  }

  /** Gives it away: from here it is not the giver's. Undefined, and it still is, when as many are under way as there may be. */
  put(fd: number, giver: number, receiver: number): DescriptorPass | undefined {
    const cells = this.#cells;
    const first = giver * WORKER_CELLS;
    for (let place = first; place < first + UNDER_WAY_MAX * PLACE_CELLS; place += PLACE_CELLS) {
      if (Atomics.load(cells, place + NUMBER) !== FREE) continue;
      // Only the giver fills its places, and nobody else looks at what is free.
      cells[place + DESCRIPTOR] = fd;
      cells[place + RECEIVER] = receiver;
      // Odd and so never 0, and not the same again for two thousand million times: an old message must not fetch what stands here now.
      const number = Atomics.add(cells, first + LAST_NUMBER, 2) | 1;
      Atomics.store(cells, place + NUMBER, number);
      return { place, number };
    }
    return undefined;
  }

  /** The descriptor, which is the caller's now; undefined when somebody else has taken it. */
  take({ place, number }: DescriptorPass): number | undefined {
    const cells = this.#cells;
    const fd = cells[place + DESCRIPTOR];
    return Atomics.compareExchange(cells, place + NUMBER, number, FREE) === number ? fd : undefined;
  }

  /** All that are on their way to a worker, or from it; they are the caller's now. */
  takeAll(end: "giver" | "receiver", worker: number): { readonly fd: number; readonly receiver: number }[] {
    const cells = this.#cells;
    const taken: { fd: number; receiver: number }[] = [];
    for (let first = 0; first < cells.length; first += WORKER_CELLS) {
      if (end === "giver" && first !== worker * WORKER_CELLS) continue;
      for (let place = first; place < first + UNDER_WAY_MAX * PLACE_CELLS; place += PLACE_CELLS) {
        const number = Atomics.load(cells, place + NUMBER);
        const receiver = cells[place + RECEIVER] ?? 0;
        if (number === FREE || (end === "receiver" && receiver !== worker)) continue;
        const fd = this.take({ place, number });
        if (fd !== undefined) taken.push({ fd, receiver });
      }
    }
    return taken;
  }
}

/** What one worker may have given that nobody has taken yet; above, it keeps what comes. A receiver takes them within a turn or two. */
export const UNDER_WAY_MAX = 128;

const FREE = 0;
// Cells of a place.
const NUMBER = 0;
const DESCRIPTOR = 1;
const RECEIVER = 2;
const PLACE_CELLS = 3;
/** Behind the places of a worker. */
const LAST_NUMBER = UNDER_WAY_MAX * PLACE_CELLS;
const WORKER_CELLS = LAST_NUMBER + 1;
