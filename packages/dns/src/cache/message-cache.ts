/**
 * Whole replies, encoded, in one typed array with an exact budget (architecture §6). A hit is a copy and a few patched
 * octets: no object is made. Keyed by lower-cased qname, qtype, qclass, DO and CD under a seeded hash, with a full
 * comparison of the key.
 *
 * Entries lie one behind the other in a ring. Room is made at its end, where the oldest are; one that was hit since it
 * was written gets a second life at the front. One thread uses a cache today; the buffer may be shared later, when
 * sequence counters make reads safe without locks.
 */
import type { Random } from "@sotto/dns/runtime";
import {
  ageTtls,
  HEADER_OCTETS,
  HeaderFlag,
  lowerOctet,
  type MessageView,
  type Name,
  Rcode,
  tryFindTtls,
  uint16At,
} from "@sotto/dns/wire";
import { MessageIndex } from "./message-index.ts";

export interface MessageCacheOptions {
  /** Memory in all, ring and index. At least {@link MESSAGE_CACHE_BYTES_MIN}. */
  readonly bytesMax: number;
  /** Longest life of an entry, seconds. Default one day: RFC 8767 §4 allows a cap, and old answers are seldom right. */
  readonly ttlSecondsMax?: number;
}

/** Smaller than this a cache cannot hold the largest reply beside others. */
export const MESSAGE_CACHE_BYTES_MIN = 256 * 1024;
const TTL_SECONDS_MAX_DEFAULT = 86_400;

/** What a cache has done. */
export interface MessageCacheCounters {
  hits: number;
  misses: number;
  stored: number;
  /** Removed to make room. */
  evicted: number;
}

/** Words of an entry's head: octets in all, hash, stored at (s), life (s), key octets | hit flag, reply octets | TTL count. */
const HEAD_WORDS = 6;
const HEAD_BYTES = HEAD_WORDS * 4;
const ALIGN_BYTES = 8;
const HIT_FLAG = 0x1_0000;
/** In place of key octets: unused room at the end of the ring. */
const FILLER = 0xffff;
/** Entries that may be carried over while one is stored; keeps storing linear. */
const SECOND_LIVES_MAX = 2;
/** TTLs of one reply that can be aged; replies with more records are not cached. */
const TTLS_MAX = 2048;
/** The index gets a slot for each of so many bytes; an entry with one A record takes about 120. */
const BYTES_PER_SLOT = 128;
/** Longest key: a name, type, class and flags. */
const KEY_OCTETS_MAX = 255 + 5;

/** An entry that was found: valid until the cache is used again. */
export interface MessageHit {
  /** Octets of the reply without OPT. */
  readonly replyOctets: number;
  /** Whole seconds since it was stored. */
  readonly ageSeconds: number;
  /** Copies the reply with aged TTLs to `out` from `at`; the id is 0 and must be set. */
  copyInto(out: Uint8Array, at: number): void;
}

export class MessageCache {
  readonly counters: MessageCacheCounters = { hits: 0, misses: 0, stored: 0, evicted: 0 };
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #index: MessageIndex;
  readonly #seed: number;
  readonly #ttlSecondsMax: number;
  readonly #key = new Uint8Array(KEY_OCTETS_MAX);
  #keyOctets = 0;
  /** Where the next entry goes, and where the oldest is; equal when the ring is empty or full. */
  #head = 0;
  #tail = 0;
  #usedBytes = 0;
  readonly #hit: FoundEntry;

  constructor(options: MessageCacheOptions, random: Random) {
    const bytesMax = Math.max(options.bytesMax, MESSAGE_CACHE_BYTES_MIN);
    const slots = 2 ** Math.floor(Math.log2(bytesMax / BYTES_PER_SLOT));
    const indexBytes = slots * 8;
    const ringBytes = Math.floor((bytesMax - indexBytes) / ALIGN_BYTES) * ALIGN_BYTES;
    const buffer = new ArrayBuffer(ringBytes + indexBytes);
    this.#bytes = new Uint8Array(buffer, 0, ringBytes);
    this.#words = new Uint32Array(buffer, 0, ringBytes / 4);
    this.#index = new MessageIndex(new Uint32Array(buffer, ringBytes, slots * 2));
    this.#seed = (random.uint16() * 0x1_0000 + random.uint16()) | 0;
    this.#ttlSecondsMax = options.ttlSecondsMax ?? TTL_SECONDS_MAX_DEFAULT;
    this.#hit = new FoundEntry(this.#bytes);
  }

  /** Entries, also expired ones that nobody asked for again. */
  get count(): number {
    return this.#index.count;
  }

  /** Bytes of the ring in use. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** The reply for the view's question, DO and CD; undefined when there is none or it has expired. */
  find(view: MessageView, nowMs: number): MessageHit | undefined {
    const position = this.#locate(view);
    if (position < 0) {
      this.counters.misses++;
      return undefined;
    }
    const at = position / 4;
    const ageSeconds = Math.floor(nowMs / 1000) - (this.#words[at + 2] ?? 0);
    if (ageSeconds >= (this.#words[at + 3] ?? 0)) {
      this.counters.misses++;
      return undefined;
    }
    this.counters.hits++;
    const keyWord = this.#words[at + 4] ?? 0;
    this.#words[at + 4] = keyWord | HIT_FLAG;
    const sizes = this.#words[at + 5] ?? 0;
    this.#hit.point(position + HEAD_BYTES + even(keyWord & 0xffff), sizes >>> 16, sizes & 0xffff, ageSeconds);
    return this.#hit;
  }

  /** Position of the entry for a question, -1 when there is none. */
  #locate(view: MessageView): number {
    const hash = this.#setKey(view);
    for (let slot = this.#index.firstSlot(hash); ; slot = this.#index.nextSlot(slot)) {
      const position = this.#index.positionAt(slot);
      if (position < 0) return -1;
      if (this.#index.hashAt(slot) === hash && this.#hasKey(position * ALIGN_BYTES))
        return position * ALIGN_BYTES;
    }
  }

  #hasKey(position: number): boolean {
    if (((this.#words[position / 4 + 4] ?? 0) & 0xffff) !== this.#keyOctets) return false;
    const start = position + HEAD_BYTES;
    for (let i = 0; i < this.#keyOctets; i++) if (this.#bytes[start + i] !== this.#key[i]) return false;
    return true;
  }

  /** Writes the key of a question into `#key` and gives its hash (FNV-1a with a secret start and a final mix). */
  #setKey(view: MessageView): number {
    const key = this.#key;
    const { octets, qnameOctets } = view;
    let hash = this.#seed;
    for (let i = 0; i < qnameOctets; i++) {
      const octet = lowerOctet(octets[HEADER_OCTETS + i] ?? 0);
      key[i] = octet;
      hash = Math.imul(hash ^ octet, 0x0100_0193);
    }
    key[qnameOctets] = view.qtype >>> 8;
    key[qnameOctets + 1] = view.qtype;
    key[qnameOctets + 2] = view.qclass >>> 8;
    key[qnameOctets + 3] = view.qclass;
    key[qnameOctets + 4] = (view.dnssecOk ? 1 : 0) | (view.checkingDisabled ? 2 : 0);
    this.#keyOctets = qnameOctets + 5;
    hash = Math.imul(
      hash ^ (view.qtype << 16) ^ view.qclass ^ ((key[qnameOctets + 4] ?? 0) << 13),
      0x0100_0193,
    );
    hash ^= hash >>> 16;
    hash = Math.imul(hash, 0x45d9_f3b5);
    return (hash ^ (hash >>> 15)) >>> 0;
  }

  /**
   * Keeps a reply (without OPT) for the view's question. Gives false, and keeps nothing, for replies that are truncated,
   * have no TTL to go by or one of 0, are failures, or are too large.
   */
  store(view: MessageView, reply: Uint8Array, nowMs: number): boolean {
    const flags = uint16At(reply, 2);
    const rcode = flags & 0xf;
    if ((flags & HeaderFlag.Truncated) !== 0 || (rcode !== Rcode.NoError && rcode !== Rcode.NXDomain))
      return false;
    const ttls = tryFindTtls(reply);
    if (!ttls.ok || ttls.value.offsets.length === 0 || ttls.value.offsets.length > TTLS_MAX) return false;
    const lifeSeconds = Math.min(ttls.value.smallestTtl, this.#ttlSecondsMax);
    if (lifeSeconds === 0) return false;
    const old = this.#locate(view);
    if (old >= 0) this.#unlink(old);
    const hash = this.#setKey(view);
    const bytes = align(HEAD_BYTES + even(this.#keyOctets) + 2 * ttls.value.offsets.length + reply.length);
    if (bytes > this.#bytes.length / 4) return false;
    const survivors: Uint8Array[] = [];
    const position = this.#makeRoom(bytes, survivors, nowMs);
    this.#writeHead(
      position,
      bytes,
      hash,
      Math.floor(nowMs / 1000),
      lifeSeconds,
      reply.length,
      ttls.value.offsets.length,
    );
    let at = position + HEAD_BYTES;
    this.#bytes.set(this.#key.subarray(0, this.#keyOctets), at);
    at += even(this.#keyOctets);
    for (const offset of ttls.value.offsets) {
      this.#bytes[at++] = offset >>> 8;
      this.#bytes[at++] = offset;
    }
    this.#bytes.set(reply, at);
    this.#index.add(hash, position / ALIGN_BYTES);
    this.counters.stored++;
    for (const survivor of survivors) this.#giveSecondLife(survivor, nowMs);
    return true;
  }

  #writeHead(
    position: number,
    bytes: number,
    hash: number,
    storedAt: number,
    life: number,
    replyOctets: number,
    ttlCount: number,
  ): void {
    const at = position / 4;
    this.#words[at] = bytes;
    this.#words[at + 1] = hash;
    this.#words[at + 2] = storedAt;
    this.#words[at + 3] = life;
    this.#words[at + 4] = this.#keyOctets;
    this.#words[at + 5] = (ttlCount << 16) | replyOctets;
  }

  /** Room of `bytes` in one piece at the head; copies of entries worth keeping go to `survivors`. */
  #makeRoom(bytes: number, survivors: Uint8Array[], nowMs: number): number {
    if (this.#head + bytes > this.#bytes.length) this.#wrap(survivors, nowMs);
    while (this.#freeAtHead() < bytes || this.#index.count >= this.#index.countMax)
      this.#evictOldest(survivors, nowMs);
    const position = this.#head;
    this.#head = position + bytes === this.#bytes.length ? 0 : position + bytes;
    this.#usedBytes += bytes;
    return position;
  }

  #freeAtHead(): number {
    if (this.#usedBytes === 0) return this.#bytes.length - this.#head;
    return this.#head >= this.#tail && !(this.#head === this.#tail)
      ? this.#bytes.length - this.#head
      : this.#tail - this.#head;
  }

  /** Leaves the room behind the head unused and goes on at the start. */
  #wrap(survivors: Uint8Array[], nowMs: number): void {
    while (this.#usedBytes > 0 && this.#tail >= this.#head && !(this.#tail === 0)) {
      const before = this.#tail;
      this.#evictOldest(survivors, nowMs);
      if (this.#tail < before) break;
    }
    const gap = this.#bytes.length - this.#head;
    if (this.#usedBytes === 0) {
      this.#head = 0;
      this.#tail = 0;
      return;
    }
    this.#words[this.#head / 4] = gap;
    if (gap >= HEAD_BYTES) this.#words[this.#head / 4 + 4] = FILLER;
    this.#usedBytes += gap;
    this.#head = 0;
  }

  #evictOldest(survivors: Uint8Array[], nowMs: number): void {
    const position = this.#tail;
    const at = position / 4;
    const bytes = this.#words[at] ?? 0;
    const keyWord = bytes < HEAD_BYTES ? FILLER : (this.#words[at + 4] ?? 0);
    if ((keyWord & 0xffff) !== FILLER) {
      const wasListed = this.#index.remove(this.#words[at + 1] ?? 0, position / ALIGN_BYTES);
      const isAlive = Math.floor(nowMs / 1000) - (this.#words[at + 2] ?? 0) < (this.#words[at + 3] ?? 0);
      if (wasListed) this.counters.evicted++;
      if (wasListed && isAlive && (keyWord & HIT_FLAG) !== 0 && survivors.length < SECOND_LIVES_MAX) {
        survivors.push(this.#bytes.slice(position, position + bytes));
      }
    }
    this.#usedBytes -= bytes;
    this.#tail = position + bytes >= this.#bytes.length ? 0 : position + bytes;
    if (this.#usedBytes === 0) {
      this.#head = 0;
      this.#tail = 0;
    }
  }

  /** Writes an evicted entry again, without its hit flag; entries that this evicts are gone. */
  #giveSecondLife(entry: Uint8Array, nowMs: number): void {
    const full: Uint8Array[] = [entry, entry];
    const position = this.#makeRoom(entry.length, full, nowMs);
    this.#bytes.set(entry, position);
    const at = position / 4;
    this.#words[at + 4] = (this.#words[at + 4] ?? 0) & 0xffff;
    this.#index.add(this.#words[at + 1] ?? 0, position / ALIGN_BYTES);
    this.counters.evicted--;
  }

  /** Takes an entry out of the index; its room is used again when its turn comes. */
  #unlink(position: number): void {
    this.#index.remove(this.#words[position / 4 + 1] ?? 0, position / ALIGN_BYTES);
  }

  /** Forgets every reply at the name, and beneath it when `isZone`; gives how many. Walks over the whole ring. */
  flush(name: Name, isZone: boolean): number {
    const wire = name.wire.map(lowerOctet);
    let flushed = 0;
    let position = this.#tail;
    for (let left = this.#usedBytes; left > 0; ) {
      const at = position / 4;
      const bytes = this.#words[at] ?? 0;
      const keyWord = bytes < HEAD_BYTES ? FILLER : (this.#words[at + 4] ?? 0);
      if (
        (keyWord & 0xffff) !== FILLER &&
        this.#isBelow(position + HEAD_BYTES, (keyWord & 0xffff) - 5, wire, isZone)
      ) {
        if (this.#index.remove(this.#words[at + 1] ?? 0, position / ALIGN_BYTES)) flushed++;
      }
      left -= bytes;
      position = position + bytes >= this.#bytes.length ? 0 : position + bytes;
    }
    return flushed;
  }

  #isBelow(start: number, nameOctets: number, wire: Uint8Array, isZone: boolean): boolean {
    let skip = nameOctets - wire.length;
    if (skip < 0 || (skip > 0 && !isZone)) return false;
    let at = start;
    while (skip > 0) {
      const label = (this.#bytes[at] ?? 0) + 1;
      at += label;
      skip -= label;
    }
    if (skip !== 0) return false;
    for (let i = 0; i < wire.length; i++) if (this.#bytes[at + i] !== wire[i]) return false;
    return true;
  }

  /** Forgets everything. */
  clear(): void {
    this.#index.clear();
    this.#head = 0;
    this.#tail = 0;
    this.#usedBytes = 0;
  }
}

/** The one hit object of a cache, pointed at an entry. */
class FoundEntry implements MessageHit {
  replyOctets = 0;
  ageSeconds = 0;
  readonly #bytes: Uint8Array;
  readonly #offsets = new Uint16Array(TTLS_MAX);
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
    const start = this.#ttlStart + 2 * this.#ttlCount;
    const end = start + this.replyOctets;
    if (this.replyOctets > COPY_LOOP_OCTETS_MAX) out.set(this.#bytes.subarray(start, end), at);
    else for (let i = start, to = at; i < end; i++, to++) out[to] = this.#bytes[i] ?? 0;
    if (this.ageSeconds === 0) return;
    for (let i = 0; i < this.#ttlCount; i++) this.#offsets[i] = uint16At(this.#bytes, this.#ttlStart + 2 * i);
    ageTtls(out, at, this.#offsets.subarray(0, this.#ttlCount), this.ageSeconds);
  }
}

/** Below, a loop is faster than making a view for `set`. */
const COPY_LOOP_OCTETS_MAX = 160;

function even(octets: number): number {
  return (octets + 1) & ~1;
}

function align(bytes: number): number {
  return (bytes + ALIGN_BYTES - 1) & ~(ALIGN_BYTES - 1);
}
