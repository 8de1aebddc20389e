/**
 * A map with an exact budget in bytes and with expiry: what is used least recently leaves first. The bytes are those
 * that entries declare, so the sum of declared bytes never exceeds the budget, not even for a moment.
 */

/** What an entry costs and how long it is good. */
export interface BudgetEntry {
  /** Declared size, including what the entry refers to. */
  readonly bytes: number;
  /** Monotonic milliseconds (`Clock.nowMs`) from which on the entry is not given out. */
  readonly expiresAtMs: number;
}

/** Counters of a {@link BudgetMap}. */
export interface BudgetUse {
  readonly entries: number;
  readonly bytes: number;
  /** Entries that had to leave for others since the start. */
  readonly evictions: number;
}

/** Bookkeeping of one entry: key, map slot and object headers, as measured on V8 and rounded up. */
export const ENTRY_OVERHEAD_BYTES = 200;

/** An entry, and whether it was used since it was last looked at for leaving. */
interface Slot<Entry> {
  entry: Entry;
  isUsed: boolean;
}

/**
 * String keys to entries. What was used since its turn came gets a second turn (CLOCK), so that finding something changes
 * no order: with 100 000 entries, moving each found one to the end was a sixth of a cold query.
 */
export class BudgetMap<Entry extends BudgetEntry> {
  readonly bytesMax: number;
  readonly #entries = new Map<string, Slot<Entry>>();
  /** Goes from the oldest entry on: a fresh one would step over all that have left since V8 last made the map anew. */
  #oldest: MapIterator<[string, Slot<Entry>]> | undefined = undefined;
  /** Entries that were stored since it moved. */
  #storedSince = 0;
  #bytes = 0;
  #evictions = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get use(): BudgetUse {
    return { entries: this.#entries.size, bytes: this.#bytes, evictions: this.#evictions };
  }

  /** The entry when it has not expired; it counts as used now. */
  find(key: string, nowMs: number): Entry | undefined {
    const slot = this.#entries.get(key);
    if (slot === undefined) return undefined;
    if (slot.entry.expiresAtMs > nowMs) {
      slot.isUsed = true;
      return slot.entry;
    }
    this.#entries.delete(key);
    this.#bytes -= slot.entry.bytes;
    return undefined;
  }

  /** Stores or replaces. False when the entry alone is over the budget: it is then not stored, nor is the old one kept. */
  store(key: string, entry: Entry): boolean {
    this.delete(key);
    if (entry.bytes > this.bytesMax) return false;
    if (this.#bytes + entry.bytes > this.bytesMax) this.#makeRoom(entry.bytes);
    else if (++this.#storedSince > this.#entries.size / STANDING_PART) this.#oldest = undefined;
    this.#entries.set(key, { entry, isUsed: false });
    this.#bytes += entry.bytes;
    return true;
  }

  /** Ends: each turn takes one entry away or the mark of one that is used. */
  #makeRoom(bytes: number): void {
    while (this.#bytes + bytes > this.bytesMax) {
      const [key, slot] = this.#takeOldest();
      this.#entries.delete(key);
      if (slot.isUsed) {
        slot.isUsed = false;
        this.#entries.set(key, slot);
        continue;
      }
      this.#bytes -= slot.entry.bytes;
      this.#evictions++;
    }
  }

  /** All that comes before it has left or stands behind it now. */
  #takeOldest(): readonly [string, Slot<Entry>] {
    this.#oldest ??= this.#entries.entries();
    this.#storedSince = 0;
    const { value } = this.#oldest.next();
    if (value !== undefined) return value;
    this.#oldest = undefined;
    return this.#takeOldest();
  }

  delete(key: string): void {
    const slot = this.#entries.get(key);
    if (slot === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= slot.entry.bytes;
  }

  /** Forgets every entry that `matches`, and tells how many; looks at all of them. */
  deleteWhere(matches: (entry: Entry) => boolean): number {
    const before = this.#entries.size;
    for (const [key, { entry }] of this.#entries) if (matches(entry)) this.delete(key);
    this.#oldest = undefined;
    return before - this.#entries.size;
  }

  /** The entries that have not expired; looking at them does not count as using them. */
  *values(nowMs: number): Generator<Entry> {
    for (const { entry } of this.#entries.values()) if (entry.expiresAtMs > nowMs) yield entry;
  }

  clear(): void {
    this.#entries.clear();
    this.#oldest = undefined;
    this.#bytes = 0;
  }
}

/**
 * While the iterator stands still it keeps all tables that V8 has made anew since, with what was in them. After an eighth of the entries has
 * been replaced it is given up, and a new one steps over what has left: some nanoseconds for each of those stores.
 */
const STANDING_PART = 8;
