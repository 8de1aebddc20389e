/**
 * Time as a parameter. Monotonic time measures durations and expiry; wall time is only for signatures, certificates
 * and people. A simulated clock jumps, so nothing here may be assumed to be close to real time.
 */

/** A timer that has been started; cancelling it twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/** Where the program learns what time it is, and how it asks to be called later. */
export interface Clock {
  /** Milliseconds, with fractions, since an arbitrary start; never goes backwards. */
  nowMs(): number;
  /** Milliseconds since 1970-01-01 UTC; may jump in both directions. */
  wallMs(): number;
  /**
   * Calls `fire` once after `delayMs`. The name is shown when a test finds the timer still running.
   * `background` timers do not keep the process alive.
   */
  startTimer(name: string, delayMs: number, fire: () => void, background?: boolean): Timer;
  /**
   * Calls `run` when all that has arrived by now was looked at, whosever it is: what many connections cause on one then leaves
   * together. Absent: at the end of this turn is as good. Nobody asks again before the call: as many wait as there are connections.
   */
  afterArrivals?(run: () => void): void;
}
