/**
 * Names with two numbers each in typed arrays: a million take about 32 MB. Names lie one behind the other in segments, in lower
 * case; 256 small open-addressed tables lead to them, each of which grows by itself, so that no single insertion takes long.
 * A table has an octet of the hash for each place besides the offset: a miss mostly looks at that octet alone.
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
  /** Labels of the longest name, without the root: nobody has to look for more. */
  labelsMax = 0;

  constructor(random: Random) {
    this.#seed = makeHashSeed(random);
  }

  /** Where a hash over labels from the right begins. */
  get hashStart(): number {
    return this.#seed.start;
  }

  /** Goes on with the label whose length octet is at `start`, up to, not including, `end`. */
  hashLabel(hash: number, octets: Uint8Array, start: number, end: number): number {
    return hashLowered(octets, start, end, hash, this.#seed.multiplier);
  }

  /** Offset of the entry of the name in wire form from `start` to `end`, whose hash is known; 0 when there is none. */
  find(hash: number, octets: Uint8Array, start: number, end: number): number {
    const shard = this.#shards[hash >>> SHARD_SHIFT] ?? NO_SHARD;
    const { fingerprints, mask } = shard;
    const wanted = fingerprintOf(hash);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const fingerprint = fingerprints[slot];
      // The tables have free places always, so that this ends.
      if (fingerprint === 0 || fingerprint === undefined) return 0;
      if (fingerprint !== wanted) continue;
      const offset = shard.offsets[slot] ?? 0;
      if (this.#isAt(offset, octets, start, end)) return offset;
    }
  }

  #isAt(offset: number, octets: Uint8Array, start: number, end: number): boolean {
    const segment = this.#segments[offset >>> SEGMENT_SHIFT] ?? NOTHING;
    const header = offset & SEGMENT_MASK;
    let at = header + ((segment[header] ?? 0) & IS_WIDE ? WIDE_OCTETS : 1);
    for (let i = start; i < end; i++, at++) if (segment[at] !== LOWER[octets[i] ?? 0]) return false;
    return true;
  }

  /** The number of an entry for one reach; 0 when it has none. */
  numberAt(offset: number, reach: Reach): number {
    const segment = this.#segments[offset >>> SEGMENT_SHIFT] ?? NOTHING;
    const at = offset & SEGMENT_MASK;
    const header = segment[at] ?? 0;
    const isExact = reach === "exact";
    if ((header & (isExact ? HAS_EXACT : HAS_BELOW)) === 0) return 0;
    return (header & IS_WIDE) === 0 ? 1 : numberFrom(segment, at + (isExact ? 1 : 5));
  }

  /**
   * Gives a number above 0 to a well-formed, uncompressed name in wire form; `exact` for the name itself, `below` for all
   * beneath it. Numbers other than 1 take eight octets more.
   */
  add(wire: Uint8Array, start: number, end: number, reach: Reach, number: number): Addition {
    const hash = this.#hashOf(wire, start, end);
    const offset = this.find(hash, wire, start, end);
    return offset === 0
      ? this.#insert(hash, wire, start, end, reach, number)
      : this.#extend(hash, offset, wire.subarray(start, end), reach, number);
  }

  #insert(
    hash: number,
    wire: Uint8Array,
    start: number,
    end: number,
    reach: Reach,
    number: number,
  ): Addition {
    if (this.size >= NAMES_MAX) return "full";
    const shard = this.#roomIn(hash);
    const exact = reach === "exact" ? number : 0;
    const offset = shard && this.#append(wire.subarray(start, end), exact, number - exact);
    if (shard === undefined || offset === undefined) return "full";
    shard.put(hash, offset);
    this.size++;
    this.labelsMax = Math.max(this.labelsMax, labelCount(wire, start));
    return "added";
  }

  /** The first number of a reach counts. */
  #extend(hash: number, offset: number, wire: Uint8Array, reach: Reach, number: number): Addition {
    if (this.numberAt(offset, reach) !== 0) return "known";
    const segment = this.#segments[offset >>> SEGMENT_SHIFT] ?? NOTHING;
    const at = offset & SEGMENT_MASK;
    const header = segment[at] ?? 0;
    const bit = reach === "exact" ? HAS_EXACT : HAS_BELOW;
    if ((header & IS_WIDE) !== 0) {
      segment[at] = header | bit;
      writeNumber(segment, at + (reach === "exact" ? 1 : 5), number);
      return "added";
    }
    if (number === 1) {
      segment[at] = header | bit;
      return "added";
    }
    // The narrow entry stays behind unused; that happens once for a name.
    const moved = this.#append(wire, reach === "exact" ? number : 1, reach === "exact" ? 1 : number);
    if (moved === undefined) return "full";
    this.#shards[hash >>> SHARD_SHIFT]?.move(hash, offset, moved);
    return "added";
  }

  /** Writes an entry and gives its offset; undefined when there is no room. A number of 0 is none. */
  #append(wire: Uint8Array, exact: number, below: number): number | undefined {
    const isWide = exact > 1 || below > 1;
    const needed = (isWide ? WIDE_OCTETS : 1) + wire.length;
    if (!this.#makeRoom(needed)) return undefined;
    const last = this.#segments.length - 1;
    const segment = this.#segments[last] ?? NOTHING;
    const at = this.#used;
    segment[at] =
      (exact > 0 ? HAS_EXACT : 0) | (below > 0 ? HAS_BELOW : 0) | (isWide ? IS_WIDE : 0);
    if (isWide) {
      writeNumber(segment, at + 1, exact);
      writeNumber(segment, at + 5, below);
    }
    const from = at + (isWide ? WIDE_OCTETS : 1);
    for (let i = 0; i < wire.length; i++) segment[from + i] = LOWER[wire[i] ?? 0] ?? 0;
    this.#used = at + needed;
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
    if ((shard.count + 1) * 4 <= places * 3) return shard;
    if (places >= SHARD_PLACES_MAX) return (shard.count + 1) * 10 <= places * 9 ? shard : undefined;
    const larger = new Shard(Math.max(SHARD_PLACES_MIN, places * 2));
    for (const offset of shard.offsets) if (offset !== 0) larger.put(this.#hashAt(offset), offset);
    this.#shards[index] = larger;
    return larger;
  }

  #hashAt(offset: number): number {
    const segment = this.#segments[offset >>> SEGMENT_SHIFT] ?? NOTHING;
    const header = offset & SEGMENT_MASK;
    const start = header + ((segment[header] ?? 0) & IS_WIDE ? WIDE_OCTETS : 1);
    return this.#hashOf(segment, start, nameEnd(segment, start));
  }

  #hashOf(wire: Uint8Array, start: number, end: number): number {
    const starts = this.#starts;
    let labels = 0;
    for (let at = start; at < end - 1; at += (wire[at] ?? 0) + 1) starts[labels++] = at;
    let hash = this.#seed.start;
    let labelEnd = end - 1;
    while (labels > 0) {
      const at = starts[--labels] ?? 0;
      hash = this.hashLabel(hash, wire, at, labelEnd);
      labelEnd = at;
    }
    return hash;
  }

  readonly #starts = new Uint32Array(128);

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
}

/** Bits 16 to 23, never 0: the places are found by bits 0 to 15, the shards by bits 24 to 31. */
function fingerprintOf(hash: number): number {
  return (hash >>> 16) & 0xff || 1;
}

function labelCount(wire: Uint8Array, start: number): number {
  let count = 0;
  for (let at = start, octets = wire[at] ?? 0; octets !== 0; octets = wire[at] ?? 0) {
    count++;
    at += octets + 1;
  }
  return count;
}

function nameEnd(wire: Uint8Array, start: number): number {
  let at = start;
  for (let octets = wire[at] ?? 0; octets !== 0; octets = wire[at] ?? 0) at += octets + 1;
  return at + 1;
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
const SHARD_PLACES_MIN = 4;
/** As many as the bits of a hash that find a place. */
const SHARD_PLACES_MAX = 65_536;
/** Half of all places. */
export const NAMES_MAX = 8_000_000;

const SEGMENT_SHIFT = 20;
const SEGMENT_OCTETS = 1 << SEGMENT_SHIFT;
const SEGMENT_MASK = SEGMENT_OCTETS - 1;
const FIRST_SEGMENT_OCTETS = 1024;
/** 512 MiB of names: twice what eight million of them take. */
const SEGMENTS_MAX = 512;

/** The first octet of an entry says which numbers it has, and whether they stand behind it or both are 1. */
const HAS_EXACT = 1;
const HAS_BELOW = 2;
const IS_WIDE = 4;
/** Header and two numbers. */
const WIDE_OCTETS = 9;

const NOTHING = new Uint8Array(1);
/** Shared by all that have no names; nothing is ever put into it. */
const NO_SHARD = new Shard(1);
