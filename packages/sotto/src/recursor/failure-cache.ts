/**
 * Resolutions that failed, so that they are not tried again at once (RFC 9520 §3.2): one second at first, twice as long
 * each time in a row, five minutes at most.
 */
import type { Clock } from "@sotto/dns/runtime";
import { EdeCode } from "@sotto/dns/wire";
import { type Outcome, type Sought, soughtKey } from "./outcome.ts";

type Failure = Outcome & { readonly kind: "failed" };
/** Told what could not be found out, and why. */
export type OnFailure = (sought: Sought, failure: Failure) => void;

export class FailureCache {
  readonly #clock: Clock;
  readonly #onNote: OnFailure;
  readonly #failures = new Map<string, { failure: Failure; untilMs: number; lifeMs: number }>();

  /** `onNote` hears of each failure when it happens. */
  constructor(clock: Clock, onNote: OnFailure = () => undefined) {
    this.#clock = clock;
    this.#onNote = onNote;
  }

  /** The failure to repeat, marked as cached (RFC 8914 §4.14); undefined when the question may be tried. */
  find(sought: Sought): Failure | undefined {
    if (this.#failures.size === 0) return undefined;
    const kept = this.#failures.get(soughtKey(sought));
    if (kept === undefined || kept.untilMs <= this.#clock.nowMs()) return undefined;
    const cached = { code: EdeCode.CachedError, text: "" };
    return { ...kept.failure, extendedErrors: [cached, ...kept.failure.extendedErrors] };
  }

  note(sought: Sought, failure: Failure): void {
    const key = soughtKey(sought);
    const nowMs = this.#clock.nowMs();
    const before = this.#failures.get(key);
    const isInARow = before !== undefined && nowMs - before.untilMs < FAILURE_LIFE_MS_MAX;
    const lifeMs = isInARow ? Math.min(before.lifeMs * 2, FAILURE_LIFE_MS_MAX) : FAILURE_LIFE_MS_MIN;
    this.#failures.delete(key);
    this.#failures.set(key, { failure, untilMs: nowMs + lifeMs, lifeMs });
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= FAILURES_MAX) break;
      this.#failures.delete(oldest);
    }
    this.#onNote(sought, failure);
  }

  /** The question was answered: the next failure starts small again. */
  forget(sought: Sought): void {
    if (this.#failures.size > 0) this.#failures.delete(soughtKey(sought));
  }

  get size(): number {
    return this.#failures.size;
  }

  clear(): void {
    this.#failures.clear();
  }
}

/** RFC 9520 §3.2: at least one second. */
const FAILURE_LIFE_MS_MIN = 1000;
/** RFC 9520 §3.2: at most five minutes. */
export const FAILURE_LIFE_MS_MAX = 300_000;
/** About 500 bytes each: 5 MB. */
export const FAILURES_MAX = 10_000;
