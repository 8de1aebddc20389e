import { performance } from "node:perf_hooks";
import type { Clock, Timer } from "../clock.ts";

/** Node limits delays to a signed 32-bit number of milliseconds. */
const DELAY_MS_MAX = 0x7fff_ffff;

/** The system's time. All threads of a process have the same: `performance.now()` counts from the start of the process. */
export class NodeClock implements Clock {
  #afterArrivals: (() => void)[] = [];

  nowMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  startTimer(_name: string, delayMs: number, fire: () => void, background = false): Timer {
    const handle = setTimeout(fire, Math.min(Math.max(0, delayMs), DELAY_MS_MAX));
    if (background) handle.unref();
    return new NodeTimer(handle);
  }

  /** One immediate for all: they follow the reads of the same round of the event loop. */
  afterArrivals(run: () => void): void {
    if (this.#afterArrivals.push(run) === 1) setImmediate(this.#runAll);
  }

  readonly #runAll = (): void => {
    const all = this.#afterArrivals;
    this.#afterArrivals = [];
    let done = 0;
    try {
      for (; done < all.length; ) all[done++]?.();
    } finally {
      // Something has failed: what comes behind it comes in the next round.
      for (const run of all.slice(done)) this.afterArrivals(run);
    }
  };
}

class NodeTimer implements Timer {
  readonly #handle: NodeJS.Timeout;

  constructor(handle: NodeJS.Timeout) {
    this.#handle = handle;
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}
