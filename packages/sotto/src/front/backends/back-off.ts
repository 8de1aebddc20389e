/** For how long no connection to a backend is tried after some have failed. */
import type { DnsError } from "@sotto/dns/runtime";

/** See the head of this file. Times are `Clock.nowMs`. */
export class BackOff {
  /** Why the last connection failed; undefined when it did not. */
  problem: DnsError | undefined = undefined;
  #failures = 0;
  #untilMs = Number.NEGATIVE_INFINITY;

  holds(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }

  noteFailure(problem: DnsError, nowMs: number): void {
    this.problem = problem;
    this.#untilMs = nowMs + Math.min(FIRST_MS * 2 ** this.#failures, MOST_MS);
    this.#failures++;
  }

  noteSuccess(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.problem = undefined;
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }
}

/** A server that restarts is back within some tenths of a second, and a refusal costs next to nothing. */
const FIRST_MS = 100;
/** Active checks come about as often. */
const MOST_MS = 3000;
