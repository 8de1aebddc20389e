/**
 * A cached reply that was found: one object per cache, pointed at the entry, so that a hit makes no garbage.
 *
 * In shared memory another thread may write over the entry while it is copied. So every number that was read there is
 * checked before it is used, and after the copy the shard's floor tells whether all of it was still the entry's. The order
 * matters: the octets must have been read before the floor is. ECMAScript orders only atomic accesses and has no fence
 * (H.-J. Boehm, "Can seqlocks get along with programming language memory models?", 2012). An atomic store in between does
 * what is needed: earlier reads stay before a store that releases, and later atomic loads stay behind it (x86-64: `xchg`;
 * ARMv8: `stlr`, then `ldar`), and engines do not move reads over calls of Atomics.
 */
import { setUint32, uint32At } from "@sotto/dns/wire";
import type { MessageCacheCounters } from "./message-cache-counters.ts";
import { type CacheMemory, State, UNIT_WORDS } from "./message-memory.ts";
import { isBefore } from "./ring-position.ts";

/** An entry that was found: valid until the cache is used again. */
export interface MessageHit {
  /** Octets of the reply without OPT. */
  readonly replyOctets: number;
  /** Whole seconds since it was stored. */
  readonly ageSeconds: number;
  /** It is in the last tenth of its life; true once for an entry. */
  readonly isAging: boolean;
  /**
   * Copies the reply with aged TTLs, none below `ttlLeast` (default 0), to `out` from `at`, where it must have room; the id is the
   * stored reply's and must be set. False when another thread has taken the entry away meanwhile, which is as if it had not been found: what is in
   * `out` is then of no use.
   */
  copyInto(out: Uint8Array, at: number, ttlLeast?: number): boolean;
}

/** Points into the ring of the selected shard: offsets of the TTLs, two octets each, and the reply behind them. */
export class FoundMessage implements MessageHit {
  replyOctets = 0;
  ageSeconds = 0;
  isAging = false;
  readonly #memory: CacheMemory;
  readonly #counters: MessageCacheCounters;
  /** Of this object alone: what is written there has no meaning. */
  readonly #fence = new Int32Array(new SharedArrayBuffer(4));
  #position = 0;
  /** In halves of words. */
  #ttlsAt = 0;
  #ttlCount = 0;
  /** In words. */
  #replyAt = 0;

  constructor(memory: CacheMemory, counters: MessageCacheCounters) {
    this.#memory = memory;
    this.#counters = counters;
  }

  /** False, and not to be used, when the entry does not lie within the ring: what was read is of no entry. */
  point(position: number, ttlsAt: number, sizes: number, ageSeconds: number): boolean {
    this.#position = position;
    this.#ttlsAt = ttlsAt;
    this.#ttlCount = sizes >>> 16;
    this.#replyAt = replyStart(ttlsAt, this.#ttlCount);
    this.replyOctets = sizes & 0xffff;
    this.ageSeconds = ageSeconds;
    return this.#replyAt + this.replyOctets / 4 <= this.#memory.ringEnd;
  }

  copyInto(out: Uint8Array, at: number, ttlLeast = 0): boolean {
    const { bytes, isShared } = this.#memory;
    const start = 4 * this.#replyAt;
    const end = start + this.replyOctets;
    if (this.replyOctets > COPY_LOOP_OCTETS_MAX) out.set(bytes.subarray(start, end), at);
    else for (let i = start, to = at; i < end; i++, to++) out[to] = bytes[i] ?? 0;
    const isAged = this.ageSeconds === 0 || this.#ageTtls(out, at, ttlLeast);
    return !isShared || (this.#isStillThere() && isAged) || this.#takeBack();
  }

  /** False when an offset does not lie within the reply. */
  #ageTtls(out: Uint8Array, at: number, ttlLeast: number): boolean {
    const { halves } = this.#memory;
    for (let i = this.#ttlsAt, end = i + this.#ttlCount; i < end; i++) {
      const offset = halves[i] ?? 0;
      if (offset + 4 > this.replyOctets) return false;
      const ttl = uint32At(out, at + offset);
      setUint32(out, at + offset, ttl > this.ageSeconds + ttlLeast ? ttl - this.ageSeconds : ttlLeast);
    }
    return true;
  }

  #isStillThere(): boolean {
    const { words, stateAt } = this.#memory;
    Atomics.store(this.#fence, 0, 0);
    return !isBefore(this.#position, Atomics.load(words, stateAt + State.Floor));
  }

  #takeBack(): boolean {
    this.#counters.hits--;
    this.#counters.misses++;
    this.#counters.torn++;
    return false;
  }
}

/** The word where a reply starts: at the start of a unit, where copies are fastest. `ttlsAt` is in halves of words. */
export function replyStart(ttlsAt: number, ttlCount: number): number {
  return ((ttlsAt + ttlCount + 3) >>> 2) * UNIT_WORDS;
}

/** Below, a loop is faster than making a view for `set`. */
const COPY_LOOP_OCTETS_MAX = 200;
