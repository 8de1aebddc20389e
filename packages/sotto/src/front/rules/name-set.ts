/**
 * A set of names in which a name is found by itself or by a name above it; the longest entry counts. Exact: octets are
 * compared, whatever the hashes say. Names with many labels cost no more than the longest name of the set has.
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
  readonly #starts = new Uint32Array(LABELS_MAX + 1);

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
    const table = this.#table;
    const starts = this.#starts;
    let labels = 0;
    let at = start;
    for (let length = octets[at] ?? 0; length !== 0 && labels < LABELS_MAX; length = octets[at] ?? 0) {
      starts[labels++] = at;
      at += length + 1;
    }
    const end = at + 1;
    let hash = table.hashStart;
    let found = this.#numberOf(hash, octets, at, end, labels === 0);
    let labelEnd = at;
    const last = Math.max(0, labels - table.labelsMax);
    for (let i = labels - 1; i >= last; i--) {
      const labelStart = starts[i] ?? 0;
      hash = table.hashLabel(hash, octets, labelStart, labelEnd);
      labelEnd = labelStart;
      found = this.#numberOf(hash, octets, labelStart, end, i === 0) || found;
    }
    return found;
  }

  #numberOf(hash: number, octets: Uint8Array, start: number, end: number, isWhole: boolean): number {
    const offset = this.#table.find(hash, octets, start, end);
    return offset === 0 ? 0 : this.#table.numberAt(offset, isWhole ? "exact" : "below");
  }
}

/** A name of 255 octets has no more (RFC 1035 §2.3.4). */
const LABELS_MAX = 127;
