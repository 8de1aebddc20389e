/** Work that several wait for at once: done once, given up when nobody waits any more; each waits as long as it likes. */
import { type Clock, DnsError, type Timer } from "@sotto/dns/runtime";

export interface Waiter {
  /** Monotonic milliseconds. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
  /** For the error: what is waited for; a function where it takes time to tell. */
  readonly what: string | (() => string);
}

/** Work under way. */
class Flight<T> {
  readonly giveUp = new AbortController();
  readonly deadlineMs: number;
  readonly #waits = new Set<Wait<T>>();

  constructor(deadlineMs: number) {
    this.deadlineMs = deadlineMs;
  }

  get takesMore(): boolean {
    return !this.giveUp.signal.aborted;
  }

  wait(waiter: Waiter, clock: Clock): Promise<T> {
    return new Promise((resolve, reject) => {
      const wait = new Wait(waiter, { resolve, reject }, clock, () => this.#left(wait));
      this.#waits.add(wait);
    });
  }

  #left(wait: Wait<T>): void {
    this.#waits.delete(wait);
    if (this.#waits.size === 0) this.giveUp.abort();
  }

  land(value: T): void {
    for (const wait of this.#waits) wait.land(value);
    this.#waits.clear();
  }

  fail(problem: unknown): void {
    for (const wait of this.#waits) wait.fail(problem);
    this.#waits.clear();
  }
}

interface Settle<T> {
  resolve(value: T): void;
  reject(problem: unknown): void;
}

/** One who waits. */
class Wait<T> {
  readonly #waiter: Waiter;
  readonly #promise: Settle<T>;
  readonly #timer: Timer;
  readonly #onAbort: (() => void) | undefined = undefined;

  constructor(waiter: Waiter, promise: Settle<T>, clock: Clock, onLeave: () => void) {
    this.#waiter = waiter;
    this.#promise = promise;
    const leave = (problem: DnsError): void => {
      this.fail(problem);
      onLeave();
    };
    const leftMs = Math.max(0, waiter.deadlineMs - clock.nowMs());
    this.#timer = clock.startTimer("stub query", leftMs, () =>
      leave(new DnsError("ERR_TIMEOUT", `no answer for ${textOf(waiter)} in time`, { stage: "query" })),
    );
    if (waiter.signal === undefined) return;
    this.#onAbort = () => leave(aborted(waiter));
    waiter.signal.addEventListener("abort", this.#onAbort);
  }

  land(value: T): void {
    this.#stop();
    this.#promise.resolve(value);
  }

  fail(problem: unknown): void {
    this.#stop();
    this.#promise.reject(problem);
  }

  #stop(): void {
    this.#timer.cancel();
    if (this.#onAbort !== undefined) this.#waiter.signal?.removeEventListener("abort", this.#onAbort);
  }
}

export class Flights<T> {
  readonly #clock: Clock;
  /** By key; those that others may join. */
  readonly #flights = new Map<string, Flight<T>>();
  readonly #all = new Set<Flight<T>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Waits for work by its key, which is started when nobody has. Rejects with ERR_ABORTED when the signal says so, with
   * ERR_TIMEOUT at the deadline, or as the work does.
   */
  join(
    key: string,
    waiter: Waiter,
    work: (signal: AbortSignal, deadlineMs: number) => Promise<T>,
  ): Promise<T> {
    if (waiter.signal?.aborted === true) return Promise.reject(aborted(waiter));
    const known = this.#flights.get(key);
    // Whoever may wait longer than those before is not served by work that ends with them.
    if (known?.takesMore === true && known.deadlineMs >= waiter.deadlineMs)
      return known.wait(waiter, this.#clock);
    const flight = new Flight<T>(waiter.deadlineMs);
    this.#all.add(flight);
    this.#flights.set(key, flight);
    work(flight.giveUp.signal, waiter.deadlineMs).then(
      (value) => {
        this.#forget(key, flight);
        flight.land(value);
      },
      (problem: unknown) => {
        this.#forget(key, flight);
        flight.fail(problem);
      },
    );
    return flight.wait(waiter, this.#clock);
  }

  /** Gives everything up. */
  close(): void {
    for (const { giveUp } of this.#all) giveUp.abort();
  }

  #forget(key: string, flight: Flight<T>): void {
    this.#all.delete(flight);
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }
}

function aborted(waiter: Waiter): DnsError {
  return new DnsError("ERR_ABORTED", `the question for ${textOf(waiter)} was given up`, {
    cause: waiter.signal?.reason,
  });
}

function textOf({ what }: Waiter): string {
  return typeof what === "string" ? what : what();
}
