/** Work that several wait for at once: done once, given up when nobody waits any more; each waits as long as it likes. */
import { type Clock, DnsError, SharedTimer, Stop, type StopSignal } from "@sotto/dns/runtime";

/** What work is known by. */
export interface FlightKey {
  /** Equal for keys that are the same, a small integer whose lower ten bits nobody else can choose. */
  readonly hash: number;
  isSame(other: this): boolean;
}

export interface Waiter {
  /** Monotonic milliseconds. */
  readonly deadlineMs: number;
  readonly signal: StopSignal | undefined;
  /** For the error: what is waited for. */
  readonly what: string;
}

/** One who waits and would begin the work. */
export interface FlightWork<R, T> extends Waiter {
  run(signal: StopSignal, deadlineMs: number): Promise<R>;
  /** Makes what is waited for of what the work brings, which costs less than work that does so itself. */
  finish(result: R): T;
}

/**
 * Work under way. It is empty once it is over: maps keep what went through them alive until the next full collection, and a
 * thousand answers a second are much.
 */
class Flight<K, T> {
  readonly deadlineMs: number;
  readonly key: K;
  /** The next with the same hash. */
  next: Flight<K, T> | undefined = undefined;
  /** Undefined once it is over or given up. */
  #giveUp: Stop | undefined;
  #waits: Wait<T>[] = [];

  constructor(key: K, deadlineMs: number, giveUp: Stop) {
    this.key = key;
    this.deadlineMs = deadlineMs;
    this.#giveUp = giveUp;
  }

  /** False once it is over or given up. */
  get isUnderWay(): boolean {
    return this.#giveUp !== undefined;
  }

  wait(waiter: Waiter): Promise<T> {
    if (this.#waits.length >= WAITS_MAX) return Promise.reject(tooMany(waiter));
    return new Promise((resolve, reject) => {
      this.#waits.push(new Wait<T>(waiter, { flight: this, resolve, reject }));
    });
  }

  leave(wait: Wait<T>): void {
    this.#waits = this.#waits.filter((one) => one !== wait);
    if (this.#waits.length === 0) this.abort();
  }

  /** Ends the waits whose time is over; gives when the next one's is. */
  endDue(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const wait of this.#waits) {
      if (wait.deadlineMs > nowMs) nextMs = Math.min(nextMs, wait.deadlineMs);
      else wait.timeOut();
    }
    return nextMs;
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
  readonly flight: { leave(wait: Wait<T>): void };
  resolve(value: T): void;
  reject(problem: unknown): void;
}

/** One who waits; empty afterwards, too. */
class Wait<T> {
  readonly deadlineMs: number;
  #waiter: Waiter | undefined;
  #waited: Waited<T> | undefined;
  #onAbort: (() => void) | undefined = undefined;

  constructor(waiter: Waiter, waited: Waited<T>) {
    this.deadlineMs = waiter.deadlineMs;
    this.#waiter = waiter;
    this.#waited = waited;
    if (waiter.signal === undefined) return;
    this.#onAbort = () => this.#leave(aborted(waiter));
    waiter.signal.addEventListener("abort", this.#onAbort);
  }

  timeOut(): void {
    if (this.#waiter !== undefined) this.#leave(tooLate(this.#waiter));
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
    if (this.#onAbort !== undefined) this.#waiter?.signal?.removeEventListener("abort", this.#onAbort);
    this.#onAbort = undefined;
    this.#waiter = undefined;
    return waited;
  }
}

export class Flights<K extends FlightKey, T> {
  /**
   * By hash; those that others may join. A `Map` is made anew again and again as things come and go, and what was in the old one lives
   * until the next full collection.
   */
  readonly #flights: (Flight<K, T> | undefined)[] = Array.from({ length: ROWS });
  /** Those that nobody joins, because another one with more time has taken their place. */
  readonly #alone = new Set<Flight<K, T>>();
  readonly #deadlines: SharedTimer;
  #underWay = 0;

  constructor(clock: Clock) {
    this.#deadlines = new SharedTimer({ name: "stub query", sweep: (nowMs) => this.#endDue(nowMs) }, clock);
  }

  /**
   * Waits for work by its key, which is started when nobody has. Rejects with ERR_ABORTED when the signal says so, with
   * ERR_TIMEOUT at the deadline, with ERR_QUOTA_EXCEEDED beyond {@link FLIGHTS_MAX} and {@link WAITS_MAX}, or as the work does.
   */
  join<R>(key: K, work: FlightWork<R, T>): Promise<T> {
    if (work.signal?.aborted === true) return Promise.reject(aborted(work));
    const known = this.#find(key);
    // Whoever may wait longer than those before is not served by work that ends with them.
    if (known?.isUnderWay === true && known.deadlineMs >= work.deadlineMs) return this.#wait(known, work);
    if (this.#underWay >= FLIGHTS_MAX) return Promise.reject(tooMany(work));
    const stop = new Stop();
    const flight = new Flight<K, T>(key, work.deadlineMs, stop);
    if (known !== undefined) {
      this.#unlist(known);
      this.#alone.add(known);
    }
    this.#list(flight);
    work.run(stop, work.deadlineMs).then(
      (result) => {
        this.#forget(flight);
        try {
          flight.land(work.finish(result));
        } catch (problem) {
          flight.fail(problem);
        }
      },
      (problem: unknown) => {
        this.#forget(flight);
        flight.fail(problem);
      },
    );
    return this.#wait(flight, work);
  }

  #wait(flight: Flight<K, T>, waiter: Waiter): Promise<T> {
    this.#deadlines.expect(waiter.deadlineMs);
    return flight.wait(waiter);
  }

  #find(key: K): Flight<K, T> | undefined {
    let flight = this.#flights[key.hash & (ROWS - 1)];
    while (flight !== undefined && !flight.key.isSame(key)) flight = flight.next;
    return flight;
  }

  #list(flight: Flight<K, T>): void {
    this.#underWay++;
    const row = flight.key.hash & (ROWS - 1);
    flight.next = this.#flights[row];
    this.#flights[row] = flight;
  }

  /** False when it was not listed. */
  #unlist(flight: Flight<K, T>): boolean {
    const row = flight.key.hash & (ROWS - 1);
    let before: Flight<K, T> | undefined;
    let one = this.#flights[row];
    while (one !== undefined && one !== flight) {
      before = one;
      one = one.next;
    }
    if (one === undefined) return false;
    if (before === undefined) this.#flights[row] = flight.next;
    else before.next = flight.next;
    flight.next = undefined;
    return true;
  }

  /** Gives everything up. */
  close(): void {
    for (const flight of this.#all()) flight.abort();
  }

  #forget(flight: Flight<K, T>): void {
    this.#underWay--;
    if (!this.#unlist(flight)) this.#alone.delete(flight);
    if (this.#underWay === 0) this.#deadlines.rest();
  }

  #endDue(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const flight of this.#all()) nextMs = Math.min(nextMs, flight.endDue(nowMs));
    return nextMs;
  }

  #all(): Flight<K, T>[] {
    const all = [...this.#alone];
    for (const first of this.#flights) for (let one = first; one !== undefined; one = one.next) all.push(one);
    return all;
  }
}

function tooLate(waiter: Waiter): DnsError {
  return new DnsError("ERR_TIMEOUT", `no answer for ${waiter.what} in time`, { stage: "query" });
}

function aborted(waiter: Waiter): DnsError {
  return new DnsError("ERR_ABORTED", `the question for ${waiter.what} was given up`, {
    cause: waiter.signal?.reason,
  });
}

function tooMany(waiter: Waiter): DnsError {
  return new DnsError("ERR_QUOTA_EXCEEDED", `too many wait already to ask for ${waiter.what}`, {
    stage: "query",
  });
}

/** Different questions under way: ten times what upstreams are asked at once before they refuse. */
const FLIGHTS_MAX = 10_000;
/** Who waits for the same: a program with more does not look at the answers. */
const WAITS_MAX = 10_000;
/** A power of two; with all that may be under way ten are in a row. */
const ROWS = 1024;
