/** Timers that are never early: those of Node may be, by a millisecond, and clients measure what a fixture promises. */
import type { Clock, Timer } from "@sotto/dns/runtime";

/** Fires once, not before `delayMs` have passed; keeps no process alive. */
export function startExactTimer(clock: Clock, name: string, delayMs: number, fire: () => void): Timer {
  const dueMs = clock.nowMs() + delayMs;
  let timer: Timer;
  const start = (leftMs: number): void => {
    timer = clock.startTimer(
      name,
      leftMs,
      () => {
        const stillMs = dueMs - clock.nowMs();
        if (stillMs > 0) start(Math.ceil(stillMs));
        else fire();
      },
      true,
    );
  };
  start(delayMs);
  return { cancel: () => timer.cancel() };
}
