/**
 * Whole replies, encoded, in one typed array with an exact budget (architecture §6). A hit is a copy and a few patched
 * octets: no object is made. Keyed by lower-cased qname, qtype, qclass, DO and CD under a secret hash, with a full
 * comparison of the key.
 *
 * Entries lie one behind the other in a ring. Room is made at its end, where the oldest are; one that was hit since it
 * was written gets another life at the front (CLOCK). What leaves the index stays in the ring, unreachable, until its
 * turn comes.
 *
 * One thread uses a cache today. Ring and index lie in one buffer, which may be shared: then one thread writes, and the
 * others check a sequence word in the entry's head before and after they copy, instead of taking locks.
 */
import type { Random } from "@sotto/dns/runtime";
import {
  HeaderFlag,
  lowerOctet,
  type MessageView,
  type Name,
  Rcode,
  tryFindTtls,
  uint16At,
} from "@sotto/dns/wire";
import { FoundMessage, type MessageHit } from "./message-hit.ts";
import { MessageIndex, PROBES_MAX } from "./message-index.ts";
import { KEY_TAIL_OCTETS, MessageKey } from "./message-key.ts";

export interface MessageCacheOptions {
  /** Memory for ring and index together. At least {@link MESSAGE_CACHE_BYTES_MIN}. */
  readonly bytesMax: number;
  /** Longest life of an entry, seconds. Default one day: RFC 8767 §4 allows a cap, and old answers are seldom right. */
  readonly ttlSecondsMax?: number;
  /** Longest life of NXDOMAIN and of replies without answers, seconds. Default one hour (RFC 2308 §5). */
  readonly negativeTtlSecondsMax?: number;
  /** Memory to use, zeros, at least `bytesMax` long; a SharedArrayBuffer when workers are to see it. Absent: own memory. */
  readonly buffer?: ArrayBuffer | SharedArrayBuffer;
}

/** Smaller than this a cache cannot hold the largest reply beside others. */
export const MESSAGE_CACHE_BYTES_MIN = 256 * 1024;
const TTL_SECONDS_MAX_DEFAULT = 86_400;
const NEGATIVE_TTL_SECONDS_MAX_DEFAULT = 3600;
/** RFC 9520 §3.2: failures are kept for at least one second; ages are whole seconds, so two are needed. */
const FAILURE_SECONDS = 2;

/** What a cache has done. */
export interface MessageCacheCounters {
  hits: number;
  misses: number;
  stored: number;
  /** Removed to make room. */
  evicted: number;
  /** Not stored because too many other keys have the same hash. */
  crowdedOut: number;
}

/** Words of an entry's head: octets in all, hash, stored at (s), life (s), key octets | hit flag, TTL count | reply octets. */
const HEAD_WORDS = 6;
const HEAD_BYTES = HEAD_WORDS * 4;
const ALIGN_BYTES = 8;
const HIT_FLAG = 0x1_0000;
/** The entry's last tenth has been told of. */
const AGING_TOLD_FLAG = 0x2_0000;
/** Renewing in the last tenth of the life costs little and is early enough (as in Unbound and Knot Resolver). */
const AGING_SHARE = 10;
/** In place of key octets: unused room at the end of the ring. */
const FILLER = 0xffff;
/** Entries that may be carried over while one is stored; keeps storing linear. */
const SECOND_LIVES_MAX = 8;
/** TTLs of one reply that can be aged; replies with more records are not cached. */
const TTLS_MAX = 2048;
/** The index gets a slot for each of so many bytes; an entry with one A record takes about 120. */
const BYTES_PER_SLOT = 128;

export class MessageCache {
  readonly counters: MessageCacheCounters = { hits: 0, misses: 0, stored: 0, evicted: 0, crowdedOut: 0 };
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #index: MessageIndex;
  readonly #key: MessageKey;
  readonly #ttlSecondsMax: number;
  readonly #negativeTtlSecondsMax: number;
  readonly #hit: FoundMessage;
  /** Where the next entry goes, and where the oldest is; equal when the ring is empty or full. */
  #head = 0;
  #tail = 0;
  #usedBytes = 0;
  /** Copies of entries that will be written again; empty between calls. */
  readonly #survivors: Uint8Array[] = [];
  #survivorBytes = 0;

  /** Throws a RangeError when the given buffer is too small. */
  constructor(options: MessageCacheOptions, random: Random) {
    const bytesMax = Math.max(options.bytesMax, MESSAGE_CACHE_BYTES_MIN);
    const slots = 2 ** Math.floor(Math.log2(bytesMax / BYTES_PER_SLOT));
    const indexBytes = slots * 8;
    const ringBytes = Math.floor((bytesMax - indexBytes) / ALIGN_BYTES) * ALIGN_BYTES;
    const buffer = options.buffer ?? new ArrayBuffer(ringBytes + indexBytes);
    if (buffer.byteLength < ringBytes + indexBytes) throw new RangeError("the cache's buffer is too small");
    this.#bytes = new Uint8Array(buffer, 0, ringBytes);
    this.#words = new Uint32Array(buffer, 0, ringBytes / 4);
    this.#index = new MessageIndex(new Uint32Array(buffer, ringBytes, slots * 2));
    this.#key = new MessageKey(random);
    this.#ttlSecondsMax = options.ttlSecondsMax ?? TTL_SECONDS_MAX_DEFAULT;
    this.#negativeTtlSecondsMax = options.negativeTtlSecondsMax ?? NEGATIVE_TTL_SECONDS_MAX_DEFAULT;
    this.#hit = new FoundMessage(this.#bytes);
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
    this.#key.set(view);
    const position = this.#locate();
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
    const lifeSeconds = this.#words[at + 3] ?? 0;
    const isOld = (lifeSeconds - ageSeconds) * AGING_SHARE <= lifeSeconds && lifeSeconds >= AGING_SHARE;
    this.#hit.isAging = isOld && (keyWord & AGING_TOLD_FLAG) === 0;
    this.#words[at + 4] = keyWord | HIT_FLAG | (isOld ? AGING_TOLD_FLAG : 0);
    const sizes = this.#words[at + 5] ?? 0;
    this.#hit.point(position + HEAD_BYTES + even(keyWord & 0xffff), sizes >>> 16, sizes & 0xffff, ageSeconds);
    return this.#hit;
  }

  /** Position of the entry with the current key, -1 when there is none. */
  #locate(): number {
    const { hash } = this.#key;
    let slot = this.#index.firstSlot(hash);
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      const position = this.#index.positionAt(slot);
      if (position < 0) return -1;
      if (this.#index.hashAt(slot) === hash && this.#hasKey(position * ALIGN_BYTES))
        return position * ALIGN_BYTES;
      slot = this.#index.nextSlot(slot);
    }
    return -1;
  }

  #hasKey(position: number): boolean {
    return (
      ((this.#words[position / 4 + 4] ?? 0) & 0xffff) === this.#key.length &&
      this.#key.standsAt(this.#bytes, position + HEAD_BYTES)
    );
  }

  /**
   * Keeps a reply (without OPT) for the view's question, for its smallest TTL and at most `lifeSecondsMax`; SERVFAIL for
   * {@link FAILURE_SECONDS}. Gives false, and keeps nothing, for replies that are truncated, malformed or too large, have
   * another response code, and whose life is 0. An older reply for the question is gone in any case.
   */
  store(
    view: MessageView,
    reply: Uint8Array,
    nowMs: number,
    lifeSecondsMax: number = Number.POSITIVE_INFINITY,
  ): boolean {
    this.#key.set(view);
    const old = this.#locate();
    if (old >= 0) this.#unlink(old);
    const ttls = tryFindTtls(reply);
    if (!ttls.ok || ttls.value.offsets.length > TTLS_MAX) return false;
    const lifeSeconds = Math.floor(
      Math.min(this.#lifeSeconds(reply, ttls.value.smallestTtl), lifeSecondsMax),
    );
    if (!(lifeSeconds > 0)) return false;
    const bytes = align(HEAD_BYTES + even(this.#key.length) + 2 * ttls.value.offsets.length + reply.length);
    if (bytes > this.#bytes.length / 4) return false;
    if (!this.#index.hasSlotFor(this.#key.hash)) {
      this.counters.crowdedOut++;
      return false;
    }
    const position = this.#makeRoom(bytes, nowMs);
    this.#write(position, bytes, reply, ttls.value.offsets, Math.floor(nowMs / 1000), lifeSeconds);
    this.#index.add(this.#key.hash, position / ALIGN_BYTES);
    this.counters.stored++;
    // The list grows while those who make way for survivors survive themselves.
    for (const survivor of this.#survivors) this.#giveSecondLife(survivor, nowMs);
    this.#survivors.length = 0;
    this.#survivorBytes = 0;
    return true;
  }

  /** 0 for what must not be kept. */
  #lifeSeconds(reply: Uint8Array, smallestTtl: number): number {
    const flags = uint16At(reply, 2);
    const rcode = flags & 0xf;
    if ((flags & HeaderFlag.Truncated) !== 0) return 0;
    if (rcode === Rcode.ServFail) return Math.min(smallestTtl, FAILURE_SECONDS);
    if (rcode !== Rcode.NoError && rcode !== Rcode.NXDomain) return 0;
    // Without a record there is no TTL to go by (RFC 2308 §5).
    if (smallestTtl === Number.POSITIVE_INFINITY) return 0;
    const isNegative = rcode === Rcode.NXDomain || uint16At(reply, 6) === 0;
    const capSeconds = isNegative
      ? Math.min(this.#negativeTtlSecondsMax, this.#ttlSecondsMax)
      : this.#ttlSecondsMax;
    // RFC 2181 §8: a TTL with the top bit set counts as 0.
    return smallestTtl > 0x7fff_ffff ? 0 : Math.min(smallestTtl, capSeconds);
  }

  #write(
    position: number,
    bytes: number,
    reply: Uint8Array,
    ttlOffsets: Uint16Array,
    storedAtSeconds: number,
    lifeSeconds: number,
  ): void {
    const word = position / 4;
    this.#words[word] = bytes;
    this.#words[word + 1] = this.#key.hash;
    this.#words[word + 2] = storedAtSeconds;
    this.#words[word + 3] = lifeSeconds;
    this.#words[word + 4] = this.#key.length;
    this.#words[word + 5] = (ttlOffsets.length << 16) | reply.length;
    let at = position + HEAD_BYTES;
    this.#bytes.set(this.#key.octets.subarray(0, this.#key.length), at);
    at += even(this.#key.length);
    for (const offset of ttlOffsets) {
      this.#bytes[at++] = offset >>> 8;
      this.#bytes[at++] = offset;
    }
    this.#bytes.set(reply, at);
  }

  /** Room of `bytes` in one piece at the head; copies of entries worth keeping go to the survivors. */
  #makeRoom(bytes: number, nowMs: number): number {
    if (this.#head + bytes > this.#bytes.length) this.#wrap(nowMs);
    while (this.#freeAtHead() < bytes || this.#index.count >= this.#index.countMax) this.#evictOldest(nowMs);
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
  #wrap(nowMs: number): void {
    while (this.#usedBytes > 0 && this.#tail >= this.#head && !(this.#tail === 0)) {
      const before = this.#tail;
      this.#evictOldest(nowMs);
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

  #evictOldest(nowMs: number): void {
    const position = this.#tail;
    const at = position / 4;
    const bytes = this.#words[at] ?? 0;
    const keyWord = bytes < HEAD_BYTES ? FILLER : (this.#words[at + 4] ?? 0);
    if ((keyWord & 0xffff) !== FILLER) {
      const wasListed = this.#index.remove(this.#words[at + 1] ?? 0, position / ALIGN_BYTES);
      const isAlive = Math.floor(nowMs / 1000) - (this.#words[at + 2] ?? 0) < (this.#words[at + 3] ?? 0);
      if (wasListed) this.counters.evicted++;
      if (wasListed && isAlive && (keyWord & HIT_FLAG) !== 0) this.#survive(position, bytes);
    }
    this.#usedBytes -= bytes;
    this.#tail = position + bytes >= this.#bytes.length ? 0 : position + bytes;
    if (this.#usedBytes === 0) {
      this.#head = 0;
      this.#tail = 0;
    }
  }

  #survive(position: number, bytes: number): void {
    // More than a quarter of the ring could reach round to the entry that is being stored.
    if (this.#survivors.length >= SECOND_LIVES_MAX) return;
    if (this.#survivorBytes + bytes > this.#bytes.length / 4) return;
    this.#survivorBytes += bytes;
    this.#survivors.push(this.#bytes.slice(position, position + bytes));
  }

  /** Writes an evicted entry again, without its hit flag. */
  #giveSecondLife(entry: Uint8Array, nowMs: number): void {
    const position = this.#makeRoom(entry.length, nowMs);
    this.#bytes.set(entry, position);
    const at = position / 4;
    this.#words[at + 4] = (this.#words[at + 4] ?? 0) & 0xffff;
    if (this.#index.add(this.#words[at + 1] ?? 0, position / ALIGN_BYTES)) this.counters.evicted--;
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
        this.#isBelow(position + HEAD_BYTES, (keyWord & 0xffff) - KEY_TAIL_OCTETS, wire, isZone)
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

function even(octets: number): number {
  return (octets + 1) & ~1;
}

function align(bytes: number): number {
  return (bytes + ALIGN_BYTES - 1) & ~(ALIGN_BYTES - 1);
}
