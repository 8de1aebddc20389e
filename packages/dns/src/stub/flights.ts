/** Work that several wait for at once: done once, given up when nobody waits any more; each waits as long as it likes. */
import { type Clock, DnsError, Stop, type StopSignal, type Timer } from "@sotto/dns/runtime";

export interface Waiter {
  /** Monotonic milliseconds. */
  readonly deadlineMs: number;
  readonly signal: StopSignal | undefined;
  /** For the error: what is waited for; a function where it takes time to tell. */
  readonly what: string | (() => string);
}

/**
 * Work under way. It is empty once it is over: maps keep what went through them alive until the next full collection, and a
 * thousand answers a second are much.
 */
class Flight<T> {
  readonly deadlineMs: number;
  /** Undefined once it is over or given up. */
  #giveUp: Stop | undefined;
  #waits: Wait<T>[] = [];

  constructor(deadlineMs: number, giveUp: Stop) {
    this.deadlineMs = deadlineMs;
    this.#giveUp = giveUp;
  }

  /** False once it is over or given up. */
  get isUnderWay(): boolean {
    return this.#giveUp !== undefined;
  }

  wait(waiter: Waiter, clock: Clock): Promise<T> {
    if (this.#waits.length >= WAITS_MAX) return Promise.reject(tooMany(waiter));
    return new Promise((resolve, reject) => {
      this.#waits.push(new Wait<T>(waiter, { flight: this, resolve, reject }, clock));
    });
  }

  leave(wait: Wait<T>): void {
    this.#waits = this.#waits.filter((one) => one !== wait);
    if (this.#waits.length === 0) this.abort();
  }

  abort(): void {
    const giveUp = this.#giveUp;
    this.#giveUp = undefined;
    giveUp?.abort();
  }

  land(value: T): void {
    for (const wait of this.#end()) wait.end()?.resolve(value);
  }

  fail(problem: unknown): void {
    for (const wait of this.#end()) wait.end()?.reject(problem);
  }

  #end(): readonly Wait<T>[] {
    const waits = this.#waits;
    this.#waits = [];
    this.#giveUp = undefined;
    return waits;
  }
}

interface Waited<T> {
  readonly flight: Flight<T>;
  resolve(value: T): void;
  reject(problem: unknown): void;
}

/** One who waits; empty afterwards, too. */
class Wait<T> {
  readonly #timer: Timer;
  #waited: Waited<T> | undefined;
  #signal: StopSignal | undefined = undefined;
  #onAbort: (() => void) | undefined = undefined;

  constructor(waiter: Waiter, waited: Waited<T>, clock: Clock) {
    this.#waited = waited;
    const leftMs = Math.max(0, waiter.deadlineMs - clock.nowMs());
    this.#timer = clock.startTimer("stub query", leftMs, () => this.#leave(tooLate(waiter)));
    if (waiter.signal === undefined) return;
    this.#signal = waiter.signal;
    this.#onAbort = () => this.#leave(aborted(waiter));
    this.#signal.addEventListener("abort", this.#onAbort);
  }

  #leave(problem: DnsError): void {
    const waited = this.end();
    waited?.reject(problem);
    waited?.flight.leave(this);
  }

  /** Whom to tell; undefined when that has happened already. */
  end(): Waited<T> | undefined {
    const waited = this.#waited;
    this.#waited = undefined;
    this.#timer.cancel();
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#onAbort = undefined;
    this.#signal = undefined;
    return waited;
  }
}

export class Flights<T> {
  readonly #clock: Clock;
  /** By key; those that others may join. */
  readonly #flights = new Map<string, Flight<T>>();
  /** Those that another one with more time has taken the place of. */
  readonly #replaced = new Set<Flight<T>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Waits for work by its key, which is started when nobody has. Rejects with ERR_ABORTED when the signal says so, with
   * ERR_TIMEOUT at the deadline, with ERR_QUOTA_EXCEEDED beyond {@link FLIGHTS_MAX} and {@link WAITS_MAX}, or as the work does.
   */
  join(
    key: string,
    waiter: Waiter,
    work: (signal: StopSignal, deadlineMs: number) => Promise<T>,
  ): Promise<T> {
    if (waiter.signal?.aborted === true) return Promise.reject(aborted(waiter));
    const known = this.#flights.get(key);
    // Whoever may wait longer than those before is not served by work that ends with them.
    if (known?.isUnderWay === true && known.deadlineMs >= waiter.deadlineMs)
      return known.wait(waiter, this.#clock);
    if (this.#flights.size >= FLIGHTS_MAX) return Promise.reject(tooMany(waiter));
    const stop = new Stop();
    const flight = new Flight<T>(waiter.deadlineMs, stop);
    if (known !== undefined) this.#replaced.add(known);
    this.#flights.set(key, flight);
    work(stop, waiter.deadlineMs).then(
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
    for (const flight of [...this.#flights.values(), ...this.#replaced]) flight.abort();
  }

  #forget(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
    else this.#replaced.delete(flight);
  }
}

function tooLate(waiter: Waiter): DnsError {
  return new DnsError("ERR_TIMEOUT", `no answer for ${textOf(waiter)} in time`, { stage: "query" });
}

function aborted(waiter: Waiter): DnsError {
  return new DnsError("ERR_ABORTED", `the question for ${textOf(waiter)} was given up`, {
    cause: waiter.signal?.reason,
  });
}

function textOf({ what }: Waiter): string {
  return typeof what === "string" ? what : what();
}

function tooMany(waiter: Waiter): DnsError {
  return new DnsError("ERR_QUOTA_EXCEEDED", `too many wait already to ask for ${textOf(waiter)}`, {
    stage: "query",
  });
}

/** Different questions under way: ten times what upstreams are asked at once before they refuse. */
const FLIGHTS_MAX = 10_000;
/** Who waits for the same: a program with more does not look at the answers. */
const WAITS_MAX = 10_000;
