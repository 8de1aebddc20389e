/** Virtual time for tests of this folder: timers fire in order, and promises settle in between. */
import { type Clock, type Runtime, silentEvents, type Timer } from "@sotto/dns/runtime";

export class VirtualClock implements Clock {
  #nowMs = 1000;
  #timers: { readonly atMs: number; readonly fire: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  get pendingTimers(): number {
    return this.#timers.length;
  }

  startTimer(_name: string, delayMs: number, fire: () => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, fire };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  /** Lets time pass until the promise settles; a test that needs more than `limitMs` fails. */
  async until<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    const endMs = this.#nowMs + limitMs;
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    for (;;) {
      await settleMicrotasks();
      if (isSettled) return promise;
      const next = this.#timers.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) throw new Error("nothing is left to wait for");
      if (next.atMs > endMs) throw new Error(`not settled after ${limitMs} ms`);
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
    }
  }

  async advance(ms: number): Promise<void> {
    await this.until(new Promise<void>((resolve) => this.startTimer("advance", ms, resolve)), ms);
  }
}

/** Waits until no promise has anything left to do, however long the chains are. */
function settleMicrotasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A runtime with virtual time, seeded chance, no network, and a list of what was published. */
export function virtualRuntime(seed = 1): {
  readonly clock: VirtualClock;
  readonly runtime: Runtime;
  readonly published: { name: string; details: Readonly<Record<string, unknown>> }[];
} {
  const clock = new VirtualClock();
  const published: { name: string; details: Readonly<Record<string, unknown>> }[] = [];
  let state = seed;
  const below = (bound: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  const refuse = (): never => {
    throw new Error("no network in this test");
  };
  const runtime: Runtime = {
    clock,
    random: { below, uint16: () => below(65_536), octets: (count) => new Uint8Array(count) },
    network: { connect: refuse, listen: refuse, bindDatagram: refuse },
    events: {
      ...silentEvents,
      wants: () => true,
      publish: (name, details) => published.push({ name, details }),
    },
  };
  return { clock, runtime, published };
}
