/** What is counted of each client: its connections and its subnet's, and how often it comes. Several threads may count together. */
import { RateLimit } from "./rate-limit.ts";

/** Connections by key. */
export interface ClientCounts {
  of(key: string): number;
  /** One more or one less; how many there are then. */
  add(key: string, change: 1 | -1): number;
}

/** How often each key may come. */
export interface ClientRate {
  /** For all that comes from now on; Infinity: no limit. */
  set perSecondMax(value: number);
  /** Whether it may now; counts it then. `factor`: so many times as often. `nowMs` is monotonic. */
  take(key: string, nowMs: number, factor: number): boolean;
}

/** All that admission counts of clients. */
export interface ClientLedger {
  readonly perClient: ClientCounts;
  readonly perSubnet: ClientCounts;
  readonly connectionRate: ClientRate;
  readonly handshakeRate: ClientRate;
}

/** Of one thread. */
export function makeClientLedger(): ClientLedger {
  return {
    perClient: new LocalCounts(),
    perSubnet: new LocalCounts(),
    connectionRate: new RateLimit(Number.POSITIVE_INFINITY),
    handshakeRate: new RateLimit(Number.POSITIVE_INFINITY),
  };
}

class LocalCounts implements ClientCounts {
  readonly #counts = new Map<string, number>();

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  add(key: string, change: 1 | -1): number {
    const count = this.of(key) + change;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
    return count;
  }
}
