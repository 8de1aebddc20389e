/** What is known of zones: their validated keys, or why there are none; kept for as long as the records allow. */
import type { ExtendedError, Name } from "@sotto/dns/wire";
import type { Dnskey } from "./key.ts";

export type ZoneTrust =
  /** `apex`: the zone that the name belongs to; it is the name itself when that is a zone. */
  | {
      readonly kind: "secure";
      readonly apex: Name;
      readonly keys: readonly Dnskey[];
      /** Each has to have a right signature; absent: any one will do. */
      readonly algorithms: ReadonlySet<number> | undefined;
    }
  | { readonly kind: "insecure"; readonly errors: readonly ExtendedError[] }
  /** No anchor stands above it. */
  | { readonly kind: "indeterminate" }
  | { readonly kind: "bogus"; readonly errors: readonly ExtendedError[] };

/** What was found out, and for how long it is good. */
export interface TimedTrust {
  readonly trust: ZoneTrust;
  readonly ttlSeconds: number;
  /** Everything that could be tried again has been. */
  readonly isFinal?: boolean;
  /** Nobody said anything: what was heard before tells more. */
  readonly isUnheard?: boolean;
}

/** Trust by name, the oldest leaves first. */
export class ZoneTrustCache {
  readonly #entries = new Map<
    string,
    { readonly trust: ZoneTrust; readonly untilSeconds: number; readonly name: Name }
  >();

  get size(): number {
    return this.#entries.size;
  }

  find(name: Name, nowSeconds: number): TimedTrust | undefined {
    const entry = this.#entries.get(name.key);
    if (entry === undefined || entry.untilSeconds <= nowSeconds) return undefined;
    return { trust: entry.trust, ttlSeconds: entry.untilSeconds - nowSeconds };
  }

  keep(name: Name, { trust, ttlSeconds }: TimedTrust, nowSeconds: number): void {
    this.#entries.delete(name.key);
    if (ttlSeconds <= 0) return;
    this.#entries.set(name.key, { trust, name, untilSeconds: nowSeconds + ttlSeconds });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= ZONES_MAX) break;
      this.#entries.delete(oldest);
    }
  }

  /** Forgets a name and all below it. */
  flush(name: Name): void {
    for (const [key, entry] of this.#entries) if (entry.name.isAtOrBelow(name)) this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }
}

/** About 1 kB each with keys: 20 MB. */
const ZONES_MAX = 20_000;
