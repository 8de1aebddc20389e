/**
 * One part of a message cache: index, ring and lock. Readers take no lock and write nothing but marks; one thread at a time
 * writes.
 *
 * Why readers get no wrong octet: an index word is empty or the position of an entry that was complete before the word was
 * set; entries do not change; and room is written over only after the floor has been raised above it. So a reader that
 * finds the floor at or below the entry's position *after* it has copied has copied that entry and nothing else, whatever
 * happened to the index meanwhile. A thread that dies at any point leaves all this true, and its lock taken.
 */
import type { MessageCacheCounters } from "./message-cache-counters.ts";
import { FoundMessage, type MessageHit } from "./message-hit.ts";
import { MessageIndex, PROBES_MAX } from "./message-index.ts";
import { KEY_TAIL_OCTETS, keyWords, type MessageKey } from "./message-key.ts";
import type { CacheMemory } from "./message-memory.ts";
import { Head, HIT_MARK, MessageRing, type NewEntry } from "./message-ring.ts";
import { isBefore, POSITION_MASK } from "./ring-position.ts";
import { FLUSH_TRIES, ShardLock, STORE_TRIES } from "./shard-lock.ts";

/** The selected shard as one thread sees it. */
export class MessageShard {
  readonly #index: MessageIndex;
  readonly #ring: MessageRing;
  readonly #lock: ShardLock;
  readonly #hit: FoundMessage;
  readonly #counters: MessageCacheCounters;
  /** What the index said of the entry that was found last. */
  #foundWord = 0;

  constructor(memory: CacheMemory, workerId: number, counters: MessageCacheCounters) {
    this.#index = new MessageIndex(memory);
    this.#ring = new MessageRing(memory, this.#index, counters);
    this.#lock = new ShardLock(memory, workerId);
    this.#hit = new FoundMessage(memory, counters);
    this.#counters = counters;
  }

  get count(): number {
    return this.#index.count;
  }

  get usedBytes(): number {
    return this.#ring.usedBytes;
  }

  /** The entry with the key, living, or dead for no longer than `graceSeconds`. */
  find(key: MessageKey, nowSeconds: number, graceSeconds: number): MessageHit | undefined {
    for (let tries = 0; tries < MOVING_TRIES; tries++) {
      const slot = this.#locate(key);
      if (slot >= 0) return this.#point(slot, key.length, nowSeconds, graceSeconds);
      if (slot === ABSENT || !this.#lock.isTaken()) return undefined;
    }
    return undefined;
  }

  /** The slot of the entry with the key, {@link ABSENT}, or {@link MOVING} when it may be on its way to a second life. */
  #locate(key: MessageKey): number {
    const { floor } = this.#ring;
    let otherwise = ABSENT;
    let slot = this.#index.firstSlot(key.hash);
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      const word = this.#index.wordAt(slot);
      if (word === 0) return otherwise;
      if (this.#index.hashAt(slot) === key.hash) {
        const position = word & POSITION_MASK;
        if (isBefore(position, floor)) otherwise = MOVING;
        else if (this.#hasKey(this.#ring.wordOf(position), key)) {
          this.#foundWord = word;
          return slot;
        }
      }
      slot = this.#index.nextSlot(slot);
    }
    return otherwise;
  }

  #hasKey(at: number, key: MessageKey): boolean {
    const { words } = this.#ring;
    return words[at + Head.KeyOctets] === key.length && key.standsAt(words, at + Head.Words);
  }

  #point(slot: number, keyOctets: number, nowSeconds: number, graceSeconds: number): MessageHit | undefined {
    const { words } = this.#ring;
    const word = this.#foundWord;
    const position = word & POSITION_MASK;
    const at = this.#ring.wordOf(position);
    const storedAt = words[at + Head.StoredAtSeconds] ?? 0;
    const lifeSeconds = words[at + Head.LifeSeconds] ?? 0;
    // Another thread may have looked at the clock a moment later.
    const ageSeconds = nowSeconds > storedAt ? nowSeconds - storedAt : 0;
    if (ageSeconds >= lifeSeconds + graceSeconds) return undefined;
    const ttlsAt = 2 * (at + Head.Words + keyWords(keyOctets));
    const hit = this.#hit;
    if (!hit.point(position, ttlsAt, words[at + Head.Sizes] ?? 0, ageSeconds)) return undefined;
    const isOld = (lifeSeconds - ageSeconds) * AGING_SHARE <= lifeSeconds && lifeSeconds >= AGING_SHARE;
    const marked = word | HIT_MARK | (isOld ? TOLD_MARK : 0);
    // A mark that is lost in a race is set by the next hit.
    hit.isAging =
      marked !== word && this.#index.mark(slot, word, marked) && isOld && (word & TOLD_MARK) === 0;
    return hit;
  }

  /** Keeps a reply in place of an older one with the key; false, and nothing changed, when that is not possible now. */
  store(key: MessageKey, entry: NewEntry): boolean {
    if (!this.#ring.fits(key, entry)) {
      this.forget(key);
      return false;
    }
    if (!this.#lock.take(STORE_TRIES)) {
      this.#counters.busy++;
      return false;
    }
    let isWhole = false;
    try {
      const isStored = this.#storeLocked(key, entry);
      isWhole = true;
      return isStored;
    } finally {
      this.#unlock(isWhole);
    }
  }

  #storeLocked(key: MessageKey, entry: NewEntry): boolean {
    const old = this.#locate(key) >= 0 ? this.#foundWord & POSITION_MASK : NONE;
    if (old === NONE && !this.#index.hasSlotFor(key.hash)) {
      this.#counters.crowdedOut++;
      return false;
    }
    const position = this.#ring.write(key, entry, old);
    // In one step, so that nobody misses it; unless the old one had to make way.
    if (old === NONE || !this.#index.replace(key.hash, old, position)) this.#index.add(key.hash, position);
    this.#counters.stored++;
    this.#ring.revive(entry.storedAtSeconds);
    return true;
  }

  /** After a mistake of ours nobody knows what is in the shard. */
  #unlock(isWhole: boolean): void {
    if (!isWhole) this.#ring.reset();
    this.#lock.release();
  }

  /** Removes the entry with the key; its room is used again when its turn comes. */
  forget(key: MessageKey): void {
    if (!this.#lock.take(STORE_TRIES)) {
      this.#counters.busy++;
      return;
    }
    try {
      if (this.#locate(key) >= 0) this.#index.remove(key.hash, this.#foundWord & POSITION_MASK);
    } finally {
      this.#lock.release();
    }
  }

  /**
   * Forgets the name (wire form, lower case), and what is beneath it when `isZone`; gives how many. When another thread
   * does not let the lock go, everything is forgotten instead, and not counted.
   */
  flush(name: Uint8Array, isZone: boolean): number {
    if (!this.#lock.take(FLUSH_TRIES)) {
      this.#ring.forgetAll();
      return 0;
    }
    try {
      return this.#flushLocked(name, isZone);
    } finally {
      this.#lock.release();
    }
  }

  #flushLocked(name: Uint8Array, isZone: boolean): number {
    const { words, bytes } = this.#ring;
    let flushed = 0;
    this.#ring.forEach((at, position) => {
      const nameOctets = (words[at + Head.KeyOctets] ?? 0) - KEY_TAIL_OCTETS;
      if (!isBelow(bytes, 4 * (at + Head.Words), nameOctets, name, isZone)) return;
      if (this.#index.remove(words[at + Head.Hash] ?? 0, position)) flushed++;
    });
    return flushed;
  }

  /** Forgets everything, at once for all threads. */
  clear(): void {
    this.#ring.forgetAll();
    if (!this.#lock.take(FLUSH_TRIES)) return;
    this.#ring.reset();
    this.#lock.release();
  }

  /** Frees the lock of a thread that has ended while it wrote, and forgets what it may have left half done. */
  recoverFrom(workerId: number): boolean {
    if (!this.#lock.takeFrom(workerId)) return false;
    this.#ring.reset();
    this.#lock.release();
    return true;
  }
}

function isBelow(
  bytes: Uint8Array,
  start: number,
  nameOctets: number,
  name: Uint8Array,
  isZone: boolean,
): boolean {
  let skip = nameOctets - name.length;
  if (skip < 0 || (skip > 0 && !isZone)) return false;
  let at = start;
  while (skip > 0) {
    const label = (bytes[at] ?? 0) + 1;
    at += label;
    skip -= label;
  }
  if (skip !== 0) return false;
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return false;
  return true;
}

/** No entry has this position. */
const NONE = 0;
/** Instead of a slot. */
const ABSENT = -1;
const MOVING = -2;
/** About a microsecond, as long as an entry is on its way. */
const MOVING_TRIES = 32;
/** Set in an entry's index word when its last tenth has been told of. */
const TOLD_MARK = 0x8000_0000 | 0;
/** Renewing in the last tenth of the life costs little and is early enough (as in Unbound and Knot Resolver). */
const AGING_SHARE = 10;
