/**
 * Entries one behind the other in a ring. Room is made at its end, where the oldest are; one that was hit since it was
 * written gets another life at the front (CLOCK). What leaves the index stays in the ring, unreachable, until its turn
 * comes. Only the thread that holds the shard's lock may call anything here but {@link MessageRing.floor} and
 * {@link MessageRing.forgetAll}.
 *
 * Entries are never changed. Before anything is written over, the floor is raised above it, which is how others notice
 * (as in the circular log of MICA, NSDI 2014; the floor is the sequence counter of a seqlock, one for all entries).
 */
import type { MessageCacheCounters } from "./message-cache-counters.ts";
import { replyStart } from "./message-hit.ts";
import type { MessageIndex } from "./message-index.ts";
import { keyWords, type MessageKey } from "./message-key.ts";
import { type CacheMemory, State, UNIT_BYTES, UNIT_WORDS } from "./message-memory.ts";
import { isBefore, nextLap } from "./ring-position.ts";

/** A reply to be kept, and all that is kept with it. */
export interface NewEntry {
  readonly reply: Uint8Array;
  /** Where its TTLs are. */
  readonly ttlOffsets: Uint16Array;
  readonly storedAtSeconds: number;
  readonly lifeSeconds: number;
}

/** Words of an entry's head; behind it come the key, the offsets of the TTLs and the reply. */
export const Head = {
  /** Of the whole entry. */
  Bytes: 0,
  Hash: 1,
  StoredAtSeconds: 2,
  LifeSeconds: 3,
  /** {@link FILLER} for room at the end of the ring that is not used. */
  KeyOctets: 4,
  /** How many TTLs in the upper half, octets of the reply in the lower. */
  Sizes: 5,
  /** How many words these are. */
  Words: 6,
} as const;

/** Set in an entry's index word when it has been hit. */
export const HIT_MARK = 0x4000_0000;

/** The ring of the selected shard. */
export class MessageRing {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly #memory: CacheMemory;
  readonly #index: MessageIndex;
  readonly #counters: MessageCacheCounters;
  readonly #unitMask: number;
  /** Copies of entries that will be written again; empty between calls. */
  readonly #survivors: Survivor[] = [];
  #survivorBytes = 0;

  constructor(memory: CacheMemory, index: MessageIndex, counters: MessageCacheCounters) {
    this.words = memory.words;
    this.bytes = memory.bytes;
    this.#memory = memory;
    this.#index = index;
    this.#counters = counters;
    this.#unitMask = 2 ** memory.unitBits - 1;
  }

  /** Entries before it are gone, or will be in a moment. A hint for readers: they ask again after they have read. */
  get floor(): number {
    return this.#stateOf(State.Floor);
  }

  get usedBytes(): number {
    return this.#used * UNIT_BYTES;
  }

  get #head(): number {
    return this.#stateOf(State.Head);
  }
  get #tail(): number {
    return this.#stateOf(State.Tail);
  }
  get #used(): number {
    return this.#stateOf(State.Used);
  }

  #stateOf(what: number): number {
    return this.words[this.#memory.stateAt + what] ?? 0;
  }

  #setState(what: number, value: number): void {
    this.words[this.#memory.stateAt + what] = value;
  }

  /** The first word of the entry at a position. */
  wordOf(position: number): number {
    return this.#memory.ringAt + (position & this.#unitMask) * UNIT_WORDS;
  }

  /** The position behind so many units, which end in the same lap. */
  #after(position: number, units: number): number {
    return (position & this.#unitMask) + units >= this.#memory.units
      ? nextLap(position, this.#memory.unitBits)
      : position + units;
  }

  /** True when an entry leaves room for others. */
  fits(key: MessageKey, entry: NewEntry): boolean {
    return entryUnits(key, entry) <= this.#memory.units / 4;
  }

  /** Writes an entry at the front and gives its position; `replaced` has its last life. It is not in the index yet. */
  write(key: MessageKey, entry: NewEntry, replaced: number): number {
    const units = entryUnits(key, entry);
    const position = this.#makeRoom(units, entry.storedAtSeconds, replaced);
    const { words, bytes } = this;
    const { halves } = this.#memory;
    const at = this.wordOf(position);
    words[at + Head.Bytes] = units * UNIT_BYTES;
    words[at + Head.Hash] = key.hash;
    words[at + Head.StoredAtSeconds] = entry.storedAtSeconds;
    words[at + Head.LifeSeconds] = entry.lifeSeconds;
    words[at + Head.KeyOctets] = key.length;
    words[at + Head.Sizes] = (entry.ttlOffsets.length << 16) | entry.reply.length;
    const keyAt = at + Head.Words;
    const keyLength = keyWords(key.length);
    for (let i = 0; i < keyLength; i++) words[keyAt + i] = key.words[i] ?? 0;
    const ttlsAt = 2 * (keyAt + keyLength);
    for (let i = 0; i < entry.ttlOffsets.length; i++) halves[ttlsAt + i] = entry.ttlOffsets[i] ?? 0;
    bytes.set(entry.reply, 4 * replyStart(ttlsAt, entry.ttlOffsets.length));
    return position;
  }

  /** Writes the entries again that were hit and had to make way. Those in whose way they are may survive themselves. */
  revive(nowSeconds: number): void {
    // The list grows meanwhile.
    for (const { entry, hash, position } of this.#survivors) {
      const to = this.#makeRoom(entry.length / UNIT_BYTES, nowSeconds, NONE);
      this.bytes.set(entry, this.wordOf(to) * 4);
      this.#index.replace(hash, position, to);
    }
    this.#survivors.length = 0;
    this.#survivorBytes = 0;
  }

  /** Room in one piece at the head, where nobody reads any more. */
  #makeRoom(units: number, nowSeconds: number, replaced: number): number {
    if ((this.#head & this.#unitMask) + units > this.#memory.units) this.#wrap(nowSeconds, replaced);
    while (this.#used > 0 && (this.#freeAtHead() < units || this.#index.count >= this.#index.countMax))
      this.#evictOldest(nowSeconds, replaced);
    this.#raiseFloor(this.#tail);
    const position = this.#head;
    this.#setState(State.Head, this.#after(position, units));
    this.#setState(State.Used, this.#used + units);
    return position;
  }

  #freeAtHead(): number {
    const head = this.#head & this.#unitMask;
    const tail = this.#tail & this.#unitMask;
    return this.#used === 0 || head > tail ? this.#memory.units - head : tail - head;
  }

  /** Leaves the room behind the head unused and goes on at the start. */
  #wrap(nowSeconds: number, replaced: number): void {
    const { units, unitBits } = this.#memory;
    while (this.#used > 0 && this.#tail >>> unitBits !== this.#head >>> unitBits)
      this.#evictOldest(nowSeconds, replaced);
    if (this.#used === 0) {
      this.#startLap();
      return;
    }
    this.#raiseFloor(this.#tail);
    const at = this.wordOf(this.#head);
    const gap = units - (this.#head & this.#unitMask);
    this.words[at + Head.Bytes] = gap * UNIT_BYTES;
    if (gap >= HEAD_UNITS) this.words[at + Head.KeyOctets] = FILLER;
    this.#setState(State.Used, this.#used + gap);
    this.#setState(State.Head, nextLap(this.#head, unitBits));
  }

  #evictOldest(nowSeconds: number, replaced: number): void {
    const position = this.#tail;
    const at = this.wordOf(position);
    const bytes = this.words[at + Head.Bytes] ?? 0;
    const units = bytes / UNIT_BYTES;
    if (this.#isDamaged(units)) {
      this.reset();
      return;
    }
    if (this.#isEntry(at)) {
      const hash = this.words[at + Head.Hash] ?? 0;
      const slot = this.#index.slotOf(hash, position);
      const isHit = slot >= 0 && (this.#index.wordAt(slot) & HIT_MARK) !== 0;
      const survives = isHit && position !== replaced && this.#isAlive(position, at, nowSeconds);
      // Whoever survives stays in the index: readers see by the floor that it is on its way.
      if (!(survives && this.#save(position, at, bytes)) && this.#index.remove(hash, position))
        this.#counters.evicted++;
    }
    this.#setState(State.Used, this.#used - units);
    this.#setState(State.Tail, this.#after(position, units));
    if (this.#used === 0) this.#startLap();
  }

  /** Never, unless a thread wrote without the lock: one that was said to be dead and was not. Then nothing can be trusted. */
  #isDamaged(units: number): boolean {
    return !(units > 0) || units > this.#used;
  }

  /** False for what fills the end of the ring. */
  #isEntry(at: number): boolean {
    return (
      (this.words[at + Head.Bytes] ?? 0) >= HEAD_UNITS * UNIT_BYTES &&
      this.words[at + Head.KeyOctets] !== FILLER
    );
  }

  #isAlive(position: number, at: number, nowSeconds: number): boolean {
    const ageSeconds = nowSeconds - (this.words[at + Head.StoredAtSeconds] ?? 0);
    return !isBefore(position, this.floor) && ageSeconds < (this.words[at + Head.LifeSeconds] ?? 0);
  }

  #save(position: number, at: number, bytes: number): boolean {
    // More than a quarter of the ring could reach round to the entry that is being stored.
    if (this.#survivors.length >= SECOND_LIVES_MAX) return false;
    if (this.#survivorBytes + bytes > (this.#memory.units * UNIT_BYTES) / 4) return false;
    this.#survivorBytes += bytes;
    const entry = this.bytes.slice(at * 4, at * 4 + bytes);
    this.#survivors.push({ entry, hash: this.words[at + Head.Hash] ?? 0, position });
    return true;
  }

  /** With nothing in the ring, all of it is room in one piece. */
  #startLap(): void {
    const start = nextLap(this.#head, this.#memory.unitBits);
    this.#setState(State.Head, start);
    this.#setState(State.Tail, start);
  }

  /**
   * What lies before `position` may be written over when this returns. The load is what keeps the writing behind it: no
   * later access passes an atomic load, and that no earlier atomic store (see message-hit.ts for the other half).
   */
  #raiseFloor(position: number): void {
    if (!this.#memory.isShared) {
      this.#setState(State.Floor, position);
      return;
    }
    const { words } = this;
    const at = this.#memory.stateAt + State.Floor;
    // Whoever forgets all may raise it at the same time: every failed try is one of theirs.
    for (;;) {
      const floor = Atomics.load(words, at);
      if (!isBefore(floor, position)) break;
      if (Atomics.compareExchange(words, at, floor, position) === floor) break;
    }
    Atomics.load(words, at);
  }

  /** No reader finds any more what is here now. Any thread may call this, also while another writes. */
  forgetAll(): void {
    this.#raiseFloor(this.#head);
  }

  /** Starts again with nothing, whatever state the index and the ring are in. */
  reset(): void {
    this.#survivors.length = 0;
    this.#survivorBytes = 0;
    this.#startLap();
    this.#setState(State.Used, 0);
    this.#raiseFloor(this.#head);
    this.#index.clear();
  }

  /** Calls `visit` with the first word and the position of every entry, also of those that are not in the index any more. */
  forEach(visit: (at: number, position: number) => void): void {
    let position = this.#tail;
    for (let left = this.#used; left > 0; ) {
      const at = this.wordOf(position);
      const units = (this.words[at + Head.Bytes] ?? 0) / UNIT_BYTES;
      if (this.#isDamaged(units)) return;
      if (this.#isEntry(at)) visit(at, position);
      left -= units;
      position = this.#after(position, units);
    }
  }
}

interface Survivor {
  /** All of it, head and reply. */
  readonly entry: Uint8Array;
  readonly hash: number;
  /** Where it was. */
  readonly position: number;
}

function entryUnits(key: MessageKey, entry: NewEntry): number {
  const ttlsAt = 2 * (Head.Words + keyWords(key.length));
  return Math.ceil((4 * replyStart(ttlsAt, entry.ttlOffsets.length) + entry.reply.length) / UNIT_BYTES);
}

/** No entry has this position. */
const NONE = 0;
const HEAD_UNITS = Head.Words / UNIT_WORDS;
/** In place of key octets: unused room at the end of the ring. */
const FILLER = 0xffff;
/** Entries that may be carried over while one is stored; keeps storing linear. */
const SECOND_LIVES_MAX = 8;
