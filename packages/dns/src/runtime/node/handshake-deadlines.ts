/**
 * The time limit of all handshakes of a listener, with one timer: most are over in a moment, and a timer for each costs more
 * than it is worth.
 */
import type { Clock } from "../clock.ts";

/** All wait equally long, so that the order in which they began is the one in which they are due. */
export class HandshakeDeadlines<T> {
  readonly #limitMs: number;
  readonly #expired: (item: T) => void;
  readonly #clock: Clock;
  /** When each is due, monotonic milliseconds; admission limits how many there are. */
  readonly #waiting = new Map<T, number>();
  #isArmed = false;

  constructor(limitMs: number, expired: (item: T) => void, clock: Clock) {
    this.#limitMs = limitMs;
    this.#expired = expired;
    this.#clock = clock;
  }

  add(item: T): void {
    this.#waiting.set(item, this.#clock.nowMs() + this.#limitMs);
    if (!this.#isArmed) this.#arm(this.#limitMs);
  }

  delete(item: T): void {
    this.#waiting.delete(item);
  }

  /** In the background: whoever shakes hands keeps the process by its socket. */
  #arm(delayMs: number): void {
    this.#isArmed = true;
    this.#clock.startTimer("handshake-deadlines", delayMs, () => this.#sweep(), true);
  }

  #sweep(): void {
    this.#isArmed = false;
    const nowMs = this.#clock.nowMs();
    for (const [item, dueMs] of this.#waiting) {
      if (dueMs > nowMs) {
        if (!this.#isArmed) this.#arm(dueMs - nowMs);
        return;
      }
      this.#waiting.delete(item);
      this.#expired(item);
    }
  }
}
