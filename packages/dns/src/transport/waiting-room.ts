/**
 * Queries that nobody could be asked now, and whose clients still have time: they wait until it is worth trying again. When a
 * network comes back everybody who waits is let go at once, and the connection that is opened then is one for all.
 */
import type { Clock, StopSignal, Timer } from "@sotto/dns/runtime";

interface Waiter {
  readonly untilMs: number;
  readonly settle: (isWorthTrying: boolean) => void;
}

export class WaitingRoom {
  readonly #isWorthTrying: () => boolean;
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();
  #timer: Timer | undefined;

  /** `isWorthTrying` is asked ten times a second while somebody waits, and only then. */
  constructor(isWorthTrying: () => boolean, clock: Clock) {
    this.#isWorthTrying = isWorthTrying;
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** True: try again. False: the time is up, the query was given up, or too many wait already. */
  wait(untilMs: number, signal: StopSignal): Promise<boolean> {
    const isOver = signal.aborted || untilMs <= this.#clock.nowMs();
    if (isOver || this.#waiters.size >= WAITING_MAX) return Promise.resolve(false);
    return new Promise((resolve) => {
      const onAbort = (): void => waiter.settle(false);
      const waiter: Waiter = {
        untilMs,
        settle: (isWorthTrying) => {
          this.#waiters.delete(waiter);
          signal.removeEventListener("abort", onAbort);
          if (this.#waiters.size === 0) this.#timer?.cancel();
          resolve(isWorthTrying);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
      if (this.#waiters.size === 1) this.#lookLater();
    });
  }

  /** Somebody was answered. */
  letAllGo(): void {
    for (const waiter of [...this.#waiters]) waiter.settle(true);
  }

  #lookLater(): void {
    this.#timer = this.#clock.startTimer("waiting queries", LOOK_MS, () => {
      const nowMs = this.#clock.nowMs();
      for (const waiter of [...this.#waiters]) if (waiter.untilMs <= nowMs) waiter.settle(false);
      if (this.#waiters.size > 0 && this.#isWorthTrying()) this.letAllGo();
      if (this.#waiters.size > 0) this.#lookLater();
    });
  }
}

/** Nobody notices a tenth of a second, and a look costs microseconds. */
const LOOK_MS = 100;
/** As many as one connection queues; more would only wait for their time-out. */
const WAITING_MAX = 1000;
