/** What all kinds of load have in common: waiting for connections, and the counted time. */
import type { Snapshot } from "../accounting.ts";
import type { Connection } from "./connection.ts";
import type { LoadWindow } from "./orders.ts";
import type { Poller } from "./poller.ts";

/** Waits until all are open; those that are not then are closed, and counted. */
export function allOpen(connections: readonly Connection[], poller: Poller): number {
  const limitMs = performance.now() + OPEN_MS;
  const isPending = (one: Connection): boolean => !one.isOpen && !one.isClosed;
  while (performance.now() < limitMs && connections.some(isPending))
    poller.wait(10, (place, events) => connections[place]?.progress(events));
  for (const one of connections.filter(isPending)) one.close();
  return connections.filter((one) => one.isClosed).length;
}

export function closeAll(connections: readonly Connection[]): void {
  for (const one of connections) one.close();
}

/** The lead-in, the counted time, and what was accounted at both ends of it. */
export class MeasuredWindow {
  readonly #snapshot: () => Snapshot;
  readonly #startMs: number;
  readonly #windowMs: number;
  readonly #isOpenEnded: boolean;
  #before: Snapshot | undefined;
  #after: Snapshot | undefined;

  /** An open-ended one has no lead-in, and ends when it is told that enough was done, or after a long time. */
  constructor({ leadMs, windowMs }: LoadWindow, snapshot: () => Snapshot, isOpenEnded = false) {
    this.#snapshot = snapshot;
    this.#isOpenEnded = isOpenEnded;
    this.#startMs = isOpenEnded ? 0 : performance.now() + leadMs;
    this.#windowMs = isOpenEnded ? OPEN_ENDED_MS : windowMs;
  }

  at(nowMs: number, isEnough = false): "leading" | "counting" | "over" {
    if (this.#before === undefined) {
      if (nowMs < this.#startMs) return "leading";
      this.#before = this.#snapshot();
      return "counting";
    }
    if (nowMs - this.#before.atMs < this.#windowMs && !(this.#isOpenEnded && isEnough)) return "counting";
    this.#after ??= this.#snapshot();
    return "over";
  }

  /** Whether a moment that has come is in the counted time. */
  holds(ms: number): boolean {
    return (
      this.#before !== undefined &&
      ms >= this.#before.atMs &&
      ms < (this.#after?.atMs ?? Number.POSITIVE_INFINITY)
    );
  }

  /** After it is over. */
  snapshots(): { readonly before: Snapshot; readonly after: Snapshot } {
    const after = this.#after ?? this.#snapshot();
    return { before: this.#before ?? after, after };
  }
}

/** For connections, with handshakes, until all of them are there. */
const OPEN_MS = 10_000;
/** Longest time to fill a cache. */
const OPEN_ENDED_MS = 20_000;
