/** Work that several wait for at once: done once, given up when nobody waits any more; each waits as long as it likes. */
import { type Clock, DnsError } from "@sotto/dns/runtime";

export interface Waiter {
  /** Monotonic milliseconds. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
  /** For the error: what is waited for. */
  readonly what: string;
}

interface Flight<T> {
  readonly outcome: Promise<T>;
  readonly giveUp: AbortController;
  readonly deadlineMs: number;
  waiting: number;
}

export class Flights<T> {
  readonly #clock: Clock;
  readonly #flights = new Map<string, Flight<T>>();
  readonly #separate = new Set<AbortController>();

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
    if (known?.giveUp.signal.aborted === false && known.deadlineMs >= waiter.deadlineMs)
      return this.#wait(known, waiter);
    const giveUp = new AbortController();
    this.#separate.add(giveUp);
    const outcome = work(giveUp.signal, waiter.deadlineMs);
    const flight: Flight<T> = { outcome, giveUp, deadlineMs: waiter.deadlineMs, waiting: 0 };
    this.#flights.set(key, flight);
    const forget = (): void => {
      this.#separate.delete(giveUp);
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    outcome.then(forget, forget);
    return this.#wait(flight, waiter);
  }

  /** Gives everything up. */
  close(): void {
    for (const giveUp of this.#separate) giveUp.abort();
  }

  #wait(flight: Flight<T>, waiter: Waiter): Promise<T> {
    flight.waiting++;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const { signal, deadlineMs, what } = waiter;
    const timer = this.#clock.startTimer("stub query", Math.max(0, deadlineMs - this.#clock.nowMs()), () =>
      leave(new DnsError("ERR_TIMEOUT", `no answer for ${what} in time`, { stage: "query" })),
    );
    const onAbort = (): void => leave(aborted(waiter));
    let isSettled = false;
    const settle = (): boolean => {
      if (isSettled) return false;
      isSettled = true;
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
      flight.waiting--;
      return true;
    };
    const leave = (problem: DnsError): void => {
      if (!settle()) return;
      if (flight.waiting === 0) flight.giveUp.abort();
      reject(problem);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    flight.outcome.then(
      (value) => {
        if (settle()) resolve(value);
      },
      (problem: unknown) => {
        if (settle()) reject(problem);
      },
    );
    return promise;
  }
}

function aborted({ signal, what }: Waiter): DnsError {
  return new DnsError("ERR_ABORTED", `the question for ${what} was given up`, { cause: signal?.reason });
}
