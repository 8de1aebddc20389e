/**
 * Virtual time: it passes only when a test says so, timers fire in order, and all promises settle in between. A
 * simulated hour takes no longer than the work that happens in it.
 */
import type { Clock, Timer } from "@sotto/dns/runtime";

interface PendingTimer {
  readonly name: string;
  readonly atMs: number;
  /** Order of starting, so that timers of one instant fire first come, first served. */
  readonly order: number;
  fire: (() => void) | undefined;
}

/** A clock that jumps from timer to timer. */
export class SimClock implements Clock {
  #nowMs = START_MS;
  #wallJumpMs = 0;
  #started = 0;
  /** Binary heap by time, then order; cancelled timers stay until they come up. */
  readonly #heap: PendingTimer[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return WALL_START_MS + this.#nowMs + this.#wallJumpMs;
  }

  /** Sets the wall clock on or back, as a machine that slept or was set does; no time passes. */
  jumpWall(ms: number): void {
    this.#wallJumpMs += ms;
  }

  /** Lets time pass as on a machine that sleeps: timers that become due fire when time goes on. */
  sleep(ms: number): void {
    this.#nowMs += ms;
  }

  startTimer(name: string, delayMs: number, fire: () => void): Timer {
    const timer: PendingTimer = {
      name,
      atMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#started++,
      fire,
    };
    pushHeap(this.#heap, timer);
    return {
      cancel: () => {
        timer.fire = undefined;
      },
    };
  }

  /** Names of the timers that have neither fired nor been cancelled, in the order in which they will fire. */
  get pendingTimers(): string[] {
    return this.#heap
      .filter((timer) => timer.fire !== undefined)
      .sort((a, b) => (isBefore(a, b) ? -1 : 1))
      .map((timer) => timer.name);
  }

  /** Lets `ms` milliseconds pass; what they set in motion has settled when the promise does. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    while (this.#fireNext(endMs)) await settle();
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  /** Lets time pass until the promise settles, and gives its outcome; throws after `limitMs` of virtual time. */
  async runUntil<T>(promise: Promise<T>, limitMs?: number): Promise<T>;
  /** Lets time pass until the condition holds; throws after `limitMs` of virtual time. */
  async runUntil(condition: () => boolean, limitMs?: number): Promise<void>;
  async runUntil<T>(goal: Promise<T> | (() => boolean), limitMs = RUN_LIMIT_MS): Promise<T | undefined> {
    const endMs = this.#nowMs + limitMs;
    let isSettled = false;
    const isReached = typeof goal === "function" ? goal : (): boolean => isSettled;
    if (typeof goal !== "function") {
      const note = (): void => {
        isSettled = true;
      };
      goal.then(note, note);
    }
    for (;;) {
      await settle();
      if (isReached()) return typeof goal === "function" ? undefined : goal;
      if (!this.#fireNext(endMs)) {
        const waiting = this.pendingTimers;
        const why = waiting.length === 0 ? "no timer is pending" : `pending are ${waiting.join(", ")}`;
        throw new Error(`not reached after ${limitMs} ms of virtual time: ${why}`);
      }
    }
  }

  /** Fires the first timer that is due by `endMs`; false when there is none. */
  #fireNext(endMs: number): boolean {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.atMs > endMs) {
        if (first !== undefined && first.fire === undefined) {
          popHeap(this.#heap);
          continue;
        }
        return false;
      }
      popHeap(this.#heap);
      const { fire } = first;
      if (fire === undefined) continue;
      first.fire = undefined;
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      fire();
      return true;
    }
  }
}

/** Waits until no promise has anything left to do, however long the chains are. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isBefore(a: PendingTimer, b: PendingTimer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function pushHeap(heap: PendingTimer[], timer: PendingTimer): void {
  let at = heap.push(timer) - 1;
  while (at > 0) {
    const parentAt = (at - 1) >>> 1;
    const parent = heap[parentAt];
    if (parent === undefined || isBefore(parent, timer)) break;
    heap[at] = parent;
    at = parentAt;
  }
  heap[at] = timer;
}

function popHeap(heap: PendingTimer[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let childAt = 2 * at + 1;
    let child = heap[childAt];
    if (child === undefined) break;
    const right = heap[childAt + 1];
    if (right !== undefined && isBefore(right, child)) {
      child = right;
      childAt++;
    }
    if (isBefore(last, child)) break;
    heap[at] = child;
    at = childAt;
  }
  heap[at] = last;
}

/** Not zero, so that a forgotten "never" of 0 shows. */
const START_MS = 1000;
/** 2026-01-01T00:00:00Z: signatures and certificates of the fake internet are valid then. */
const WALL_START_MS = 1_767_225_600_000;
/** Ten minutes: longer than any time-out that a test should wait for. */
const RUN_LIMIT_MS = 600_000;
