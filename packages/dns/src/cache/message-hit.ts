/** A cached reply that was found: one object per cache, pointed at the entry, so that a hit makes no garbage. */
import { setUint32, uint16At, uint32At } from "@sotto/dns/wire";

/** An entry that was found: valid until the cache is used again. */
export interface MessageHit {
  /** Octets of the reply without OPT. */
  readonly replyOctets: number;
  /** Whole seconds since it was stored. */
  readonly ageSeconds: number;
  /** It is in the last tenth of its life; true once for an entry. */
  readonly isAging: boolean;
  /** Copies the reply with aged TTLs to `out` from `at`; the id is the stored reply's and must be set. */
  copyInto(out: Uint8Array, at: number): void;
}

/** Points into the octets of a cache: offsets of the TTLs, two octets each, and the reply behind them. */
export class FoundMessage implements MessageHit {
  replyOctets = 0;
  ageSeconds = 0;
  isAging = false;
  readonly #bytes: Uint8Array;
  #ttlStart = 0;
  #ttlCount = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  point(ttlStart: number, ttlCount: number, replyOctets: number, ageSeconds: number): void {
    this.#ttlStart = ttlStart;
    this.#ttlCount = ttlCount;
    this.replyOctets = replyOctets;
    this.ageSeconds = ageSeconds;
  }

  copyInto(out: Uint8Array, at: number): void {
    const bytes = this.#bytes;
    const start = this.#ttlStart + 2 * this.#ttlCount;
    const end = start + this.replyOctets;
    if (this.replyOctets > COPY_LOOP_OCTETS_MAX) out.set(bytes.subarray(start, end), at);
    else for (let i = start, to = at; i < end; i++, to++) out[to] = bytes[i] ?? 0;
    if (this.ageSeconds > 0) this.#ageTtls(out, at);
  }

  #ageTtls(out: Uint8Array, at: number): void {
    for (let i = this.#ttlStart, end = i + 2 * this.#ttlCount; i < end; i += 2) {
      const ttlAt = at + uint16At(this.#bytes, i);
      const ttl = uint32At(out, ttlAt);
      setUint32(out, ttlAt, ttl > this.ageSeconds ? ttl - this.ageSeconds : 0);
    }
  }
}

/** Below, a loop is faster than making a view for `set`. */
const COPY_LOOP_OCTETS_MAX = 200;
