/** The time limit of all handshakes of a listener with one timer: most are over in a moment, and a timer for each would cost more than its wait. */

/** All wait equally long, so that the order in which they began is the one in which they are due. */
export class HandshakeDeadlines<T> {
  readonly #limitMs: number;
  readonly #expired: (item: T) => void;
  /** When each is due, monotonic milliseconds; its owner limits how many there are. */
  readonly #waiting = new Map<T, number>();
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(limitMs: number, expired: (item: T) => void) {
    this.#limitMs = limitMs;
    this.#expired = expired;
  }

  add(item: T): void {
    this.#waiting.set(item, performance.now() + this.#limitMs);
    this.#timer ??= this.#wake(this.#limitMs);
  }

  delete(item: T): void {
    this.#waiting.delete(item);
  }

  #wake(delayMs: number): NodeJS.Timeout {
    // unref: whoever shakes hands keeps the process by its socket.
    return setTimeout(() => this.#sweep(), delayMs).unref();
  }

  #sweep(): void {
    this.#timer = undefined;
    const nowMs = performance.now();
    for (const [item, dueMs] of this.#waiting) {
      if (dueMs > nowMs) {
        this.#timer ??= this.#wake(dueMs - nowMs);
        return;
      }
      this.#waiting.delete(item);
      this.#expired(item);
    }
  }
}
