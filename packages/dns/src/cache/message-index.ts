/** A hash index with open addressing in one typed array: hash and position per slot, linear probing, no tombstones. */

/** Words per slot: the hash, and the position plus one (0 marks an empty slot). */
const SLOT_WORDS = 2;

/** Maps 32-bit hashes to positions; several entries may have the same hash. */
export class MessageIndex {
  readonly #words: Uint32Array;
  readonly #mask: number;
  /** Entries now. */
  count = 0;
  /** Above this the owner must remove entries: long probes are slow. */
  readonly countMax: number;

  /** `words` must be all zeros and have a length of 2^n, n ≥ 2. */
  constructor(words: Uint32Array) {
    this.#words = words;
    this.#mask = words.length / SLOT_WORDS - 1;
    this.countMax = Math.floor((this.#mask + 1) * LOAD_MAX);
  }

  /** The first slot where `hash` may be; it is there or in one of the {@link PROBES_MAX} - 1 after it. */
  firstSlot(hash: number): number {
    return hash & this.#mask;
  }

  nextSlot(slot: number): number {
    return (slot + 1) & this.#mask;
  }

  /** Position of the entry in a slot, -1 when it is empty: then the search is over. */
  positionAt(slot: number): number {
    return (this.#words[slot * SLOT_WORDS + 1] ?? 0) - 1;
  }

  hashAt(slot: number): number {
    return this.#words[slot * SLOT_WORDS] ?? 0;
  }

  /** True when {@link add} would find a slot for this hash; removing other entries does not change that. */
  hasSlotFor(hash: number): boolean {
    return this.#freeSlot(hash) >= 0;
  }

  /** False, and nothing added, when too many others have the same or a near hash. */
  add(hash: number, position: number): boolean {
    const slot = this.#freeSlot(hash);
    if (slot < 0) return false;
    this.#set(slot, hash, position + 1);
    this.count++;
    return true;
  }

  #freeSlot(hash: number): number {
    let slot = this.firstSlot(hash);
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      if (this.positionAt(slot) < 0) return slot;
      slot = this.nextSlot(slot);
    }
    return -1;
  }

  /** Removes the entry with this hash and position; false when there is none. */
  remove(hash: number, position: number): boolean {
    let slot = this.firstSlot(hash);
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      const found = this.positionAt(slot);
      if (found < 0) return false;
      if (found === position) {
        this.#closeGap(slot);
        this.count--;
        return true;
      }
      slot = this.nextSlot(slot);
    }
    return false;
  }

  /** Moves later entries of the run back, never before their home, so that no search ends too early. */
  #closeGap(start: number): void {
    let gap = start;
    for (let slot = this.nextSlot(gap); this.positionAt(slot) >= 0; slot = this.nextSlot(slot)) {
      const home = this.firstSlot(this.hashAt(slot));
      // An entry may fill the gap when its home is not between the gap and its place.
      if (((slot - home) & this.#mask) >= ((slot - gap) & this.#mask)) {
        this.#set(gap, this.hashAt(slot), this.positionAt(slot) + 1);
        gap = slot;
      }
    }
    this.#set(gap, 0, 0);
  }

  #set(slot: number, hash: number, positionPlusOne: number): void {
    this.#words[slot * SLOT_WORDS] = hash;
    this.#words[slot * SLOT_WORDS + 1] = positionPlusOne;
  }

  clear(): void {
    this.#words.fill(0);
    this.count = 0;
  }
}

/** Linear probing gets slow above. */
const LOAD_MAX = 0.7;
/** Ten times what a good hash needs at this load; the bound is for hashes that somebody has guessed. */
export const PROBES_MAX = 128;
