/**
 * Several attempts at one thing: the next begins when one has failed or takes long, the first that succeeds counts, and the
 * others are given up (the manner of RFC 8305 §5).
 */
import { type Clock, type StopSignal, stopWith, type Timer } from "@sotto/dns/runtime";

export interface Attempts<T> {
  /** At least one, in order; the signal tells that nobody waits any more. */
  readonly tries: readonly ((signal: StopSignal) => Promise<T>)[];
  /** Milliseconds after which the next one begins beside those that run. */
  readonly patienceMs: number;
  readonly signal: StopSignal;
  /** Called with each failure; false: none is begun any more, and it is the outcome. */
  mayGoOn(cause: unknown): boolean;
}

/** Rejects with the last failure. */
export function firstToSucceed<T>(
  { tries, patienceMs, signal, mayGoOn }: Attempts<T>,
  clock: Clock,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const own = stopWith(signal);
  const waiting = [...tries];
  let running = 0;
  let timer: Timer | undefined;
  let hasEnded = false;
  const end = (tell: () => void): void => {
    timer?.cancel();
    hasEnded = true;
    tell();
    own.abort();
  };
  const start = (): void => {
    timer?.cancel();
    const attempt = waiting.shift();
    if (attempt === undefined) return;
    running++;
    if (waiting.length > 0) timer = clock.startTimer("next attempt", patienceMs, start);
    attempt(own).then((value) => end(() => resolve(value)), lost);
  };
  const lost = (cause: unknown): void => {
    running--;
    if (hasEnded) return;
    if (!mayGoOn(cause) || (running === 0 && waiting.length === 0)) end(() => reject(cause));
    else start();
  };
  start();
  return promise;
}
