/**
 * A hash index with open addressing in one typed array: hash and position per slot, linear probing, no tombstones. The
 * position's word also has the marks that readers leave.
 *
 * One thread writes at a time. Others may read meanwhile and may then miss an entry that is being moved, or find the hash
 * of one entry with the position of another: they compare keys, so they lose a hit and nothing else. A slot's word is
 * always empty or the position of an entry that was written completely before.
 */
import { type CacheMemory, SLOT_WORDS, State } from "./message-memory.ts";
import { POSITION_MASK } from "./ring-position.ts";

/** Maps 32-bit hashes to positions, in the selected shard; several entries may have the same hash. */
export class MessageIndex {
  /** Above this the owner must remove entries: long probes are slow. */
  readonly countMax: number;
  readonly #memory: CacheMemory;
  readonly #words: Int32Array;
  readonly #mask: number;

  constructor(memory: CacheMemory) {
    this.#memory = memory;
    this.#words = memory.words;
    this.#mask = memory.slotCount - 1;
    this.countMax = Math.floor((this.#mask + 1) * LOAD_MAX);
  }

  /** Entries now. */
  get count(): number {
    return this.#words[this.#memory.stateAt + State.Count] ?? 0;
  }

  /** The first slot where `hash` may be; it is there or in one of the {@link PROBES_MAX} - 1 after it. */
  firstSlot(hash: number): number {
    return hash & this.#mask;
  }

  nextSlot(slot: number): number {
    return (slot + 1) & this.#mask;
  }

  /** Position and marks of the entry in a slot; 0 when it is empty: then the search is over. */
  wordAt(slot: number): number {
    return this.#words[this.#memory.slotsAt + slot * SLOT_WORDS + 1] ?? 0;
  }

  hashAt(slot: number): number {
    return this.#words[this.#memory.slotsAt + slot * SLOT_WORDS] ?? 0;
  }

  /**
   * Changes the marks of the entry that was seen in a slot; false when something else is there by now. Not for the one
   * who writes alone: any reader may. The exchange can only succeed for the very same entry, since positions do not come
   * again, and it changes no position: so no race can harm.
   */
  mark(slot: number, seen: number, marked: number): boolean {
    const at = this.#memory.slotsAt + slot * SLOT_WORDS + 1;
    if (this.#memory.isShared) return Atomics.compareExchange(this.#words, at, seen, marked) === seen;
    this.#words[at] = marked;
    return true;
  }

  /** True when {@link add} would find a slot for this hash; removing other entries does not change that. */
  hasSlotFor(hash: number): boolean {
    return this.#freeSlot(hash) >= 0;
  }

  /** False, and nothing added, when too many others have the same or a near hash. */
  add(hash: number, position: number): boolean {
    const slot = this.#freeSlot(hash);
    if (slot < 0) return false;
    this.#set(slot, hash, position);
    this.#words[this.#memory.stateAt + State.Count] = this.count + 1;
    return true;
  }

  #freeSlot(hash: number): number {
    let slot = this.firstSlot(hash);
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      if (this.wordAt(slot) === 0) return slot;
      slot = this.nextSlot(slot);
    }
    return -1;
  }

  /** The slot of the entry with this hash and position, -1 when there is none. */
  slotOf(hash: number, position: number): number {
    let slot = this.firstSlot(hash);
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      const word = this.wordAt(slot);
      if (word === 0) return -1;
      if ((word & POSITION_MASK) === position) return slot;
      slot = this.nextSlot(slot);
    }
    return -1;
  }

  /** Puts a newer entry in the place of one with the same key, in one step, without marks. False when the old one is gone. */
  replace(hash: number, from: number, to: number): boolean {
    const slot = this.slotOf(hash, from);
    if (slot < 0) return false;
    this.#set(slot, hash, to);
    return true;
  }

  /** Removes the entry with this hash and position; false when there is none. */
  remove(hash: number, position: number): boolean {
    const slot = this.slotOf(hash, position);
    if (slot < 0) return false;
    this.#closeGap(slot);
    this.#words[this.#memory.stateAt + State.Count] = this.count - 1;
    return true;
  }

  /** Moves later entries of the run back, never before their home, so that no search ends too early. */
  #closeGap(start: number): void {
    let gap = start;
    for (
      let slot = this.nextSlot(gap);
      slot !== start && this.wordAt(slot) !== 0;
      slot = this.nextSlot(slot)
    ) {
      const home = this.firstSlot(this.hashAt(slot));
      // An entry may fill the gap when its home is not between the gap and its place.
      if (((slot - home) & this.#mask) >= ((slot - gap) & this.#mask)) {
        this.#set(gap, this.hashAt(slot), this.wordAt(slot));
        gap = slot;
      }
    }
    this.#set(gap, 0, 0);
  }

  /** The position last: what it leads to is then there for every thread that sees it. */
  #set(slot: number, hash: number, word: number): void {
    const at = this.#memory.slotsAt + slot * SLOT_WORDS;
    this.#words[at] = hash;
    if (this.#memory.isShared) Atomics.store(this.#words, at + 1, word);
    else this.#words[at + 1] = word;
  }

  /** Word by word, not by `fill`, which may leave parts of words for others to see. */
  clear(): void {
    const { slotsAt, ringAt } = this.#memory;
    for (let i = slotsAt; i < ringAt; i++) this.#words[i] = 0;
    this.#words[this.#memory.stateAt + State.Count] = 0;
  }
}

/** Linear probing gets slow above. */
const LOAD_MAX = 0.7;
/** Ten times what a good hash needs at this load; the bound is for hashes that somebody has guessed. */
export const PROBES_MAX = 128;
