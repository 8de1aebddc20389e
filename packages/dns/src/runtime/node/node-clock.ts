import { performance } from "node:perf_hooks";
import type { Clock, Timer } from "../clock.ts";

/** Node limits delays to a signed 32-bit number of milliseconds. */
const DELAY_MS_MAX = 0x7fff_ffff;

/** The system's time. All threads of a process have the same, which what they share may rely on. */
export class NodeClock implements Clock {
  /** `performance.now()` is the cheapest clock, but counts from the start of each thread. */
  readonly #threadStartMs = findThreadStart();

  nowMs(): number {
    return this.#threadStartMs + performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  startTimer(_name: string, delayMs: number, fire: () => void, background = false): Timer {
    const handle = setTimeout(fire, Math.min(Math.max(0, delayMs), DELAY_MS_MAX));
    if (background) handle.unref();
    return new NodeTimer(handle);
  }
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

/** The start of this thread on the clock of the whole process, as precisely as the best of a few looks at both clocks. */
function findThreadStart(): number {
  let best = { startMs: 0, tookMs: Number.POSITIVE_INFINITY };
  for (let looks = 0; looks < LOOKS; looks++) {
    const beforeMs = Number(process.hrtime.bigint()) / 1e6;
    const hereMs = performance.now();
    const tookMs = Number(process.hrtime.bigint()) / 1e6 - beforeMs;
    if (tookMs < best.tookMs) best = { startMs: beforeMs + tookMs / 2 - hereMs, tookMs };
  }
  return best.startMs;
}

/** Some of them may be interrupted by the system. */
const LOOKS = 5;
