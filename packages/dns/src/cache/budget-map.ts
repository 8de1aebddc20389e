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

/** String keys to entries, least recently used first in the order of the map. */
export class BudgetMap<Entry extends BudgetEntry> {
  readonly bytesMax: number;
  readonly #entries = new Map<string, Entry>();
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
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.expiresAtMs > nowMs) {
      this.#entries.set(key, entry);
      return entry;
    }
    this.#bytes -= entry.bytes;
    return undefined;
  }

  /** Stores or replaces. False when the entry alone is over the budget: it is then not stored, nor is the old one kept. */
  store(key: string, entry: Entry): boolean {
    this.delete(key);
    if (entry.bytes > this.bytesMax) return false;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes + entry.bytes <= this.bytesMax) break;
      this.delete(oldest);
      this.#evictions++;
    }
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes;
    return true;
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }

  /** Forgets every entry that `matches`; looks at all of them. */
  deleteWhere(matches: (entry: Entry) => boolean): void {
    for (const [key, entry] of this.#entries) if (matches(entry)) this.delete(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}
