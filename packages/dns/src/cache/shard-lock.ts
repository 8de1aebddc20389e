/** Who may write to a shard: a word in shared memory, tried for a bounded time and never waited for. */
import { type CacheMemory, State } from "./message-memory.ts";

/** The lock of the selected shard as one thread sees it. Of memory that is not shared it is always free. */
export class ShardLock {
  readonly #memory: CacheMemory;
  readonly #owner: number;

  /** `workerId` must be of this thread only: it tells whose lock it is when the thread has died. */
  constructor(memory: CacheMemory, workerId: number) {
    this.#memory = memory;
    this.#owner = ownerOf(workerId);
  }

  /** False when another thread held it all the time. */
  take(tries: number): boolean {
    if (!this.#memory.isShared) return true;
    for (let left = tries; left > 0; left--) if (this.#exchange(FREE, this.#owner)) return true;
    return false;
  }

  /** True while any thread writes. */
  isTaken(): boolean {
    const { isShared, words, stateAt } = this.#memory;
    return isShared && Atomics.load(words, stateAt + State.Lock) !== FREE;
  }

  release(): void {
    const { isShared, words, stateAt } = this.#memory;
    if (isShared) Atomics.store(words, stateAt + State.Lock, FREE);
  }

  /** Takes the lock over from a thread that has ended; false when it did not hold it. */
  takeFrom(workerId: number): boolean {
    return this.#memory.isShared && this.#exchange(ownerOf(workerId), this.#owner);
  }

  #exchange(from: number, to: number): boolean {
    const { words, stateAt } = this.#memory;
    return Atomics.compareExchange(words, stateAt + State.Lock, from, to) === from;
  }
}

const FREE = 0;

function ownerOf(workerId: number): number {
  return workerId + 1;
}

/** Storing is optional: a few microseconds, several times what another store takes. */
export const STORE_TRIES = 256;
/** Forgetting is not: some milliseconds, as long as another may need to walk over its shard. */
export const FLUSH_TRIES = 500_000;
