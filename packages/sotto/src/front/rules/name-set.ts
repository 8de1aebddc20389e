/**
 * A set of names in which a name is found by itself or by a name above it; the longest entry counts. Exact: octets are
 * compared, whatever the hashes say. A name is walked from the right, no further than where the set has something below.
 */
import type { Random } from "@sotto/dns/runtime";
import { type Addition, NameTable } from "./name-table.ts";

/** Which names an entry stands for: itself, all beneath it, or both. */
export type NameReach = "exact" | "below" | "suffix";

/** The number of entries that say no more than that a name is listed. */
export const LISTED = 1;

/** See the head of this file. */
export class NameSet {
  readonly #table: NameTable;

  constructor(random: Random) {
    this.#table = new NameTable(random);
  }

  /** Names in the set; `example.` and `*.example.` are one. */
  get size(): number {
    return this.#table.size;
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#table.bytes;
  }

  /**
   * Puts in a well-formed name in wire form from `start` to `end`. `number`, 1 or more, is what `find` gives for it; the first
   * one that a name gets stays.
   */
  add(wire: Uint8Array, start: number, end: number, reach: NameReach, number: number = LISTED): Addition {
    const exact = reach === "below" ? "known" : this.#table.add(wire, start, end, "exact", number);
    if (reach === "exact" || exact === "full") return exact;
    const below = this.#table.add(wire, start, end, "below", number);
    return below === "known" ? exact : below;
  }

  /** The number of the longest entry for the uncompressed name that starts at `start`, 0 when there is none. */
  find(octets: Uint8Array, start: number): number {
    return this.#table.longest(octets, start);
  }
}
