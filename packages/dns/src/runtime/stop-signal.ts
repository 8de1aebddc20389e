/** That nobody wants something any more: what an `AbortSignal` tells, and a light one of our own for what each query needs. */

/** As much of an `AbortSignal` as whoever obeys one needs. */
export interface StopSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** Stops once, and is its own signal. An `AbortController` with one listener that comes and goes takes 0.3 µs, and this nearly nothing. */
export class Stop implements StopSignal {
  aborted = false;
  reason: unknown = undefined;
  /** Undefined: none. A list that is made with its first element is small. */
  #listeners: (() => void)[] | undefined = undefined;

  addEventListener(_type: "abort", listener: () => void): void {
    if (this.#listeners === undefined) this.#listeners = [listener];
    else this.#listeners.push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    const listeners = this.#listeners ?? [];
    const at = listeners.indexOf(listener);
    // Nearly always the only one, for which no list of what was removed is made.
    if (at >= 0 && at === listeners.length - 1) listeners.pop();
    else if (at >= 0) listeners.splice(at, 1);
  }

  abort(reason?: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    const listeners = this.#listeners ?? [];
    // Whoever is removed by one that is called before is not called.
    for (let next = listeners.shift(); next !== undefined; next = listeners.shift()) next();
  }
}

/** Stops with another signal, too, which knows of it until it stops: somebody has to stop it in the end. */
export function stopWith(signal: StopSignal): Stop {
  const stop = new Stop();
  const follow = (): void => stop.abort(signal.reason);
  if (signal.aborted) follow();
  else {
    signal.addEventListener("abort", follow);
    stop.addEventListener("abort", () => signal.removeEventListener("abort", follow));
  }
  return stop;
}
