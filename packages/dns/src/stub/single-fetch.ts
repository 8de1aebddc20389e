/**
 * Finding something out that several wait for: one at a time, within a time of its own, and to its end although nobody waits any
 * more, because the next one will want it.
 */
import type { Clock, StopSignal } from "@sotto/dns/runtime";
import { type FlightKey, Flights } from "./flights.ts";

/** Who waits, and for how long. */
export interface Waiting {
  /** Monotonic milliseconds. */
  readonly deadlineMs: number;
  readonly signal: StopSignal | undefined;
}

export interface SingleFetchOptions<T> {
  /** For errors: what is waited for. */
  readonly what: string;
  readonly timeoutMs: number;
  run(signal: StopSignal, deadlineMs: number): Promise<T>;
}

export class SingleFetch<T> {
  readonly #options: SingleFetchOptions<T>;
  readonly #clock: Clock;
  readonly #flights: Flights<FlightKey, T>;
  /** The end of the one that is under way, monotonic milliseconds; undefined: none is. */
  #untilMs: number | undefined = undefined;

  constructor(options: SingleFetchOptions<T>, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#flights = new Flights(clock);
  }

  get isUnderWay(): boolean {
    return this.#untilMs !== undefined;
  }

  /** Begins unless one is under way; tells when that ends at the latest. */
  start(): number {
    if (this.#untilMs !== undefined) return this.#untilMs;
    const deadlineMs = this.#clock.nowMs() + this.#options.timeoutMs;
    this.#untilMs = deadlineMs;
    // Whoever waits is told by their own promise.
    this.#join({ deadlineMs, signal: undefined }).catch(() => undefined);
    return deadlineMs;
  }

  /** Rejects as the work does, or when the caller's time is over. */
  wait(waiting: Waiting): Promise<T> {
    const untilMs = this.start();
    return this.#join({ ...waiting, deadlineMs: Math.min(waiting.deadlineMs, untilMs) });
  }

  #join(waiting: Waiting): Promise<T> {
    const { what } = this.#options;
    return this.#flights.join(ONLY, {
      ...waiting,
      what,
      run: async (signal, deadlineMs) => {
        try {
          return await this.#options.run(signal, deadlineMs);
        } finally {
          this.#untilMs = undefined;
        }
      },
      finish: (result: T) => result,
    });
  }
}

/** Everybody waits for the same. */
const ONLY: FlightKey = { hash: 0, isSame: () => true };
