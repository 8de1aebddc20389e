/**
 * Names with two numbers each in typed arrays. Names lie one behind the other in segments, in lower case; 256 small open-addressed
 * tables lead to them, each of which grows by itself, so that no single insertion takes long. A table has an octet of the hash for
 * each place besides the offset: what is not there is mostly known from that octet alone. Names above those in the table have
 * marks, which point into the name below them: who walks down from the root may stop where there is neither entry nor mark.
 */
import type { Random } from "@sotto/dns/runtime";
import { type HashSeed, hashLowered, LOWER, makeHashSeed } from "./seeded-hash.ts";

/** Where the numbers of a name come from: the name itself, or one above it. */
export type Reach = "exact" | "below";

/** What became of a name that was added. `known`: it had a number already, which stays. `full`: a limit was reached. */
export type Addition = "added" | "known" | "full";

/** See the head of this file. */
export class NameTable {
  readonly #seed: HashSeed;
  readonly #shards: Shard[] = new Array<Shard>(SHARDS).fill(NO_SHARD);
  #segments: Uint8Array[] = [new Uint8Array(FIRST_SEGMENT_OCTETS)];
  /** Octets used of the last segment; offset 0 is nobody's. */
  #used = 1;
  /** Names, each counted once. */
  size = 0;
  /** False when a mark found no room: then nobody may stop early. */
  #hasAllMarks = true;
  readonly #starts = new Uint32Array(LABELS_MAX + 1);
  readonly #hashes = new Int32Array(LABELS_MAX + 1);

  constructor(random: Random) {
    this.#seed = makeHashSeed(random);
  }

  /**
   * The number of the longest entry for the uncompressed name at `start`: its own for reach `exact`, else that of the nearest
   * name above it for reach `below`; 0 when there is none.
   */
  longest(octets: Uint8Array, start: number): number {
    let labels = this.#noteLabels(octets, start);
    const { multiplier } = this.#seed;
    const starts = this.#starts;
    let labelEnd = starts[0] ?? 0;
    const end = labelEnd + 1;
    let hash = this.#seed.start;
    let found = 0;
    for (;;) {
      const place = this.#find(hash, octets, labelEnd, end);
      if (place > 0) found = this.numberAt(place, labels === 0 ? "exact" : "below") || found;
      else if (place === 0 && this.#hasAllMarks) return found;
      if (labels === 0) return found;
      const labelStart = starts[labels--] ?? 0;
      hash = hashLowered(octets, labelStart, labelEnd, hash, multiplier);
      labelEnd = labelStart;
    }
  }

  /** Notes where the labels begin, from 1 for the leftmost on, and under 0 where the root is; gives their number. */
  #noteLabels(octets: Uint8Array, start: number): number {
    const starts = this.#starts;
    let labels = 0;
    let at = start;
    for (let length = octets[at] ?? 0; length !== 0 && labels < LABELS_MAX; length = octets[at] ?? 0) {
      starts[++labels] = at;
      at += length + 1;
    }
    starts[0] = at;
    return labels;
  }

  /** The entry of the name from `start` to `end`, whose hash is known; 0 when there is nothing, -1 for a mark. */
  #find(hash: number, octets: Uint8Array, start: number, end: number): number {
    const shard = this.#shards[hash >>> SHARD_SHIFT] ?? NO_SHARD;
    const { fingerprints, mask } = shard;
    const wanted = fingerprintOf(hash);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const fingerprint = fingerprints[slot];
      // The tables have free places always, so that this ends.
      if (fingerprint === 0 || fingerprint === undefined) return 0;
      if (fingerprint !== wanted) continue;
      const offset = shard.offsets[slot] ?? 0;
      if (offset >= MARK) {
        if (this.#isAt(offset - MARK, octets, start, end)) return -1;
      } else if (this.#isAt(this.#wireOf(offset), octets, start, end)) return offset;
    }
  }

  /** Where the name of an entry begins. */
  #wireOf(entry: number): number {
    const segment = this.#segments[entry >>> SEGMENT_SHIFT] ?? NOTHING;
    return entry + (((segment[entry & SEGMENT_MASK] ?? 0) & IS_WIDE) === 0 ? 1 : WIDE_OCTETS);
  }

  #isAt(wireOffset: number, octets: Uint8Array, start: number, end: number): boolean {
    const segment = this.#segments[wireOffset >>> SEGMENT_SHIFT] ?? NOTHING;
    let at = wireOffset & SEGMENT_MASK;
    for (let i = start; i < end; i++, at++) if (segment[at] !== LOWER[octets[i] ?? 0]) return false;
    return true;
  }

  /** The number of an entry for one reach; 0 when it has none. */
  numberAt(entry: number, reach: Reach): number {
    const segment = this.#segments[entry >>> SEGMENT_SHIFT] ?? NOTHING;
    const at = entry & SEGMENT_MASK;
    const header = segment[at] ?? 0;
    const isExact = reach === "exact";
    if ((header & (isExact ? HAS_EXACT : HAS_BELOW)) === 0) return 0;
    return (header & IS_WIDE) === 0 ? 1 : numberFrom(segment, at + (isExact ? EXACT_AT : BELOW_AT));
  }

  /**
   * Gives a number above 0 to a well-formed, uncompressed name in wire form; `exact` for the name itself, `below` for all
   * beneath it. Numbers other than 1 take eight octets more.
   */
  add(wire: Uint8Array, start: number, end: number, reach: Reach, number: number): Addition {
    const labels = this.#noteLabels(wire, start);
    const hash = this.#hashAll(wire, labels);
    const place = this.#find(hash, wire, start, end);
    if (place > 0) return this.#extend(hash, place, wire, start, end, reach, number);
    const shard = this.size < NAMES_MAX ? this.#roomIn(hash) : undefined;
    const isExact = reach === "exact";
    const entry = shard && this.#append(wire, start, end, isExact ? number : 0, isExact ? 0 : number);
    if (shard === undefined || entry === undefined) return "full";
    // From here on the labels are those of the copy, which marks point into.
    if (place < 0) shard.replaceMark(hash, entry, (offset) => this.#isAt(offset, wire, start, end));
    else shard.put(hash, entry);
    this.size++;
    this.#mark(wire, start, end, labels, this.#wireOf(entry));
    return "added";
  }

  /** Hashes of all names from the root down to the whole one, which is given. */
  #hashAll(wire: Uint8Array, labels: number): number {
    const starts = this.#starts;
    const hashes = this.#hashes;
    let labelEnd = starts[0] ?? 0;
    let hash = this.#seed.start;
    for (let label = labels; label > 0; label--) {
      hashes[label] = hash;
      const labelStart = starts[label] ?? 0;
      hash = hashLowered(wire, labelStart, labelEnd, hash, this.#seed.multiplier);
      labelEnd = labelStart;
    }
    return hash;
  }

  /** Marks all names above one that was put in, whose copy is at `copy`. */
  #mark(wire: Uint8Array, start: number, end: number, labels: number, copy: number): void {
    for (let label = 1; label <= labels; label++) {
      // The name above is what follows this label.
      const above = label === labels ? end - 1 : (this.#starts[label + 1] ?? 0);
      const hash = this.#hashes[label] ?? 0;
      // Who is there has marks above already.
      if (this.#find(hash, wire, above, end) !== 0) return;
      const shard = this.#roomIn(hash);
      if (shard === undefined) this.#hasAllMarks = false;
      else shard.put(hash, MARK + copy + above - start);
    }
  }

  /** The first number of a reach counts. */
  #extend(
    hash: number,
    entry: number,
    wire: Uint8Array,
    start: number,
    end: number,
    reach: Reach,
    number: number,
  ): Addition {
    if (this.numberAt(entry, reach) !== 0) return "known";
    const segment = this.#segments[entry >>> SEGMENT_SHIFT] ?? NOTHING;
    const at = entry & SEGMENT_MASK;
    const header = segment[at] ?? 0;
    const isExact = reach === "exact";
    if ((header & IS_WIDE) !== 0 || number === 1) {
      segment[at] = header | (isExact ? HAS_EXACT : HAS_BELOW);
      if ((header & IS_WIDE) !== 0) writeNumber(segment, at + (isExact ? EXACT_AT : BELOW_AT), number);
      return "added";
    }
    // The narrow entry stays behind for marks that point into it; that happens once for a name.
    const moved = this.#append(wire, start, end, isExact ? number : 1, isExact ? 1 : number);
    if (moved === undefined) return "full";
    this.#shards[hash >>> SHARD_SHIFT]?.move(hash, entry, moved);
    return "added";
  }

  /** Writes an entry and gives its offset; undefined when there is no room. A number of 0 is none. */
  #append(wire: Uint8Array, start: number, end: number, exact: number, below: number): number | undefined {
    const isWide = exact > 1 || below > 1;
    const head = isWide ? WIDE_OCTETS : 1;
    if (!this.#makeRoom(head + end - start)) return undefined;
    const last = this.#segments.length - 1;
    const segment = this.#segments[last] ?? NOTHING;
    const at = this.#used;
    segment[at] = (exact > 0 ? HAS_EXACT : 0) | (below > 0 ? HAS_BELOW : 0) | (isWide ? IS_WIDE : 0);
    if (isWide) {
      writeNumber(segment, at + EXACT_AT, exact);
      writeNumber(segment, at + BELOW_AT, below);
    }
    let to = at + head;
    for (let i = start; i < end; i++) segment[to++] = LOWER[wire[i] ?? 0] ?? 0;
    this.#used = to;
    return last * SEGMENT_OCTETS + at;
  }

  #makeRoom(needed: number): boolean {
    const last = this.#segments.at(-1) ?? NOTHING;
    if (this.#used + needed <= last.length) return true;
    if (last.length < SEGMENT_OCTETS) {
      // Only the first one is ever smaller; sets of ten names are frequent.
      const larger = new Uint8Array(last.length * 2);
      larger.set(last);
      this.#segments = [larger];
      return this.#makeRoom(needed);
    }
    if (this.#segments.length >= SEGMENTS_MAX) return false;
    this.#segments.push(new Uint8Array(SEGMENT_OCTETS));
    this.#used = 1;
    return true;
  }

  /** The shard of a hash with a free place to spare; undefined when it cannot grow any more. */
  #roomIn(hash: number): Shard | undefined {
    const index = hash >>> SHARD_SHIFT;
    const shard = this.#shards[index] ?? NO_SHARD;
    const places = shard.fingerprints.length;
    if (shard.count + 1 <= places * fullnessOf(index)) return shard;
    if (places >= SHARD_PLACES_MAX) return (shard.count + 1) * 10 <= places * 9 ? shard : undefined;
    const larger = new Shard(Math.max(SHARD_PLACES_MIN, places * 2));
    for (const offset of shard.offsets) if (offset !== 0) larger.put(this.#hashAt(offset), offset);
    this.#shards[index] = larger;
    return larger;
  }

  /** The hash of what a place leads to; notes of labels stay as they are. */
  #hashAt(offset: number): number {
    const wire = offset >= MARK ? offset - MARK : this.#wireOf(offset);
    const segment = this.#segments[wire >>> SEGMENT_SHIFT] ?? NOTHING;
    const start = wire & SEGMENT_MASK;
    const starts = this.#otherStarts;
    let labels = 0;
    let labelEnd = start;
    for (let length = segment[labelEnd] ?? 0; length !== 0; length = segment[labelEnd] ?? 0) {
      starts[labels++] = labelEnd;
      labelEnd += length + 1;
    }
    let hash = this.#seed.start;
    while (labels > 0) {
      const labelStart = starts[--labels] ?? 0;
      hash = hashLowered(segment, labelStart, labelEnd, hash, this.#seed.multiplier);
      labelEnd = labelStart;
    }
    return hash;
  }

  readonly #otherStarts = new Uint32Array(LABELS_MAX + 1);

  /** Bytes of all typed arrays. */
  get bytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.length;
    for (const shard of this.#shards)
      if (shard !== NO_SHARD) bytes += shard.fingerprints.byteLength + shard.offsets.byteLength;
    return bytes;
  }
}

/** One of the small tables: places are found by the lower bits of the hash, then one after the other. */
class Shard {
  readonly fingerprints: Uint8Array;
  readonly offsets: Uint32Array;
  readonly mask: number;
  count = 0;

  constructor(places: number) {
    this.fingerprints = new Uint8Array(places);
    this.offsets = new Uint32Array(places);
    this.mask = places - 1;
  }

  put(hash: number, offset: number): void {
    let slot = hash & this.mask;
    while (this.fingerprints[slot] !== 0) slot = (slot + 1) & this.mask;
    this.fingerprints[slot] = fingerprintOf(hash);
    this.offsets[slot] = offset;
    this.count++;
  }

  move(hash: number, from: number, to: number): void {
    let slot = hash & this.mask;
    while (this.offsets[slot] !== from) slot = (slot + 1) & this.mask;
    this.offsets[slot] = to;
  }

  /** Puts an entry in the place of the mark that points to the same name. */
  replaceMark(hash: number, entry: number, isTheName: (wireOffset: number) => boolean): void {
    const wanted = fingerprintOf(hash);
    for (let slot = hash & this.mask; ; slot = (slot + 1) & this.mask) {
      const offset = this.offsets[slot] ?? 0;
      if (this.fingerprints[slot] !== wanted || offset < MARK || !isTheName(offset - MARK)) continue;
      this.offsets[slot] = entry;
      return;
    }
  }
}

/**
 * How full a shard gets before it grows. Names come evenly to all shards, and if all were to grow at the same time, a piece of a list
 * would take a hundred milliseconds.
 */
function fullnessOf(index: number): number {
  return FULLNESS_MIN + ((FULLNESS_MAX - FULLNESS_MIN) * index) / SHARDS;
}

/** Bits 16 to 23, never 0: the places are found by bits 0 to 15, the shards by bits 24 to 31. */
function fingerprintOf(hash: number): number {
  return (hash >>> 16) & 0xff || 1;
}

function numberFrom(octets: Uint8Array, at: number): number {
  return (
    (((octets[at] ?? 0) << 24) |
      ((octets[at + 1] ?? 0) << 16) |
      ((octets[at + 2] ?? 0) << 8) |
      (octets[at + 3] ?? 0)) >>>
    0
  );
}

function writeNumber(octets: Uint8Array, at: number, value: number): void {
  octets[at] = value >>> 24;
  octets[at + 1] = value >>> 16;
  octets[at + 2] = value >>> 8;
  octets[at + 3] = value;
}

const SHARDS = 256;
const SHARD_SHIFT = 24;
const FULLNESS_MIN = 0.5;
const FULLNESS_MAX = 0.85;
const SHARD_PLACES_MIN = 4;
/** As many as the bits of a hash that find a place. */
const SHARD_PLACES_MAX = 65_536;
/** A quarter of all places: each name may need a mark, too. */
const NAMES_MAX = 4_000_000;
/** Added to the offset of what is only above a name. */
const MARK = 0x8000_0000;
/** A name of 255 octets has no more (RFC 1035 §2.3.4). */
const LABELS_MAX = 127;

const SEGMENT_SHIFT = 20;
const SEGMENT_OCTETS = 1 << SEGMENT_SHIFT;
const SEGMENT_MASK = SEGMENT_OCTETS - 1;
const FIRST_SEGMENT_OCTETS = 1024;
/** 256 MiB of names: more than four million of usual length take. */
const SEGMENTS_MAX = 256;

/** The first octet of an entry says which numbers it has, and whether they stand behind it or both are 1. */
const HAS_EXACT = 1;
const HAS_BELOW = 2;
const IS_WIDE = 4;
/** Header and two numbers, and where these stand. */
const WIDE_OCTETS = 9;
const EXACT_AT = 1;
const BELOW_AT = 5;

const NOTHING = new Uint8Array(1);
/** Shared by all that have no names; nothing is ever put into it. */
const NO_SHARD = new Shard(1);
