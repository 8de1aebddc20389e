/** One timer for many waits that mostly end before their time: whoever comes and goes costs a comparison, and no timer. */
import type { Clock, Timer } from "./clock.ts";

export interface SharedTimerOptions {
  /** As for `Clock.startTimer`. */
  readonly name: string;
  /** Ends what is due at that time, and gives when the next one is: Infinity when none is. Walks over all of them. */
  readonly sweep: (nowMs: number) => number;
  /** As for `Clock.startTimer`. Default false. */
  readonly isBackground?: boolean;
}

/** Its owner keeps the waits; it knows only when the first of them may be due, which can be too early. */
export class SharedTimer {
  readonly #options: SharedTimerOptions;
  readonly #clock: Clock;
  #timer: Timer | undefined = undefined;
  /** Monotonic milliseconds. */
  #firesAtMs = Number.POSITIVE_INFINITY;

  constructor(options: SharedTimerOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  /** Something is due then (monotonic milliseconds). */
  expect(dueMs: number): void {
    if (dueMs < this.#firesAtMs) this.#arm(dueMs, this.#clock.nowMs());
  }

  /** Nobody waits any more: the process need not stay for it. */
  rest(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#firesAtMs = Number.POSITIVE_INFINITY;
  }

  #arm(dueMs: number, nowMs: number): void {
    this.#timer?.cancel();
    this.#firesAtMs = dueMs;
    const { name, isBackground } = this.#options;
    this.#timer = this.#clock.startTimer(name, Math.max(0, dueMs - nowMs), () => this.#fire(), isBackground);
  }

  #fire(): void {
    this.rest();
    const nowMs = this.#clock.nowMs();
    const nextMs = this.#options.sweep(nowMs);
    // What the sweep ended may have brought new ones.
    if (nextMs < this.#firesAtMs) this.#arm(nextMs, this.#clock.nowMs());
  }
}
