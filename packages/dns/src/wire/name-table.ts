/**
 * Which names stand where in a message being written, for compression (RFC 1035 §4.1.4). A hash table of offsets
 * without strings: a candidate is compared with the octets of the message itself. Case does not matter (RFC 4343 §3).
 */
import { lowerOctet, type Name } from "./name.ts";

/** The outcome of {@link NameTable.measure}; one object per table, overwritten by the next call. */
interface Measured {
  /** Octets of the labels that have to be written. */
  octets: number;
  /** Number of those labels. */
  labels: number;
  /** Where the rest of the name stands already, -1 when the root follows. */
  pointer: number;
}

/**
 * Holds at most {@link SUFFIXES_MAX} suffixes; those that come later are written in full. Entries are removed only in
 * the reverse order of their insertion, so open addressing needs no tombstones.
 */
export class NameTable {
  /** Offset + 1 of a suffix, 0 for an empty slot. */
  readonly #slots = new Uint16Array(SLOTS);
  /** Used slots in the order of insertion, which is the order of offsets. */
  readonly #used = new Uint16Array(SUFFIXES_MAX);
  #usedCount = 0;
  readonly #measured: Measured = { octets: 0, labels: 0, pointer: -1 };
  /** Names written lately, found before anything is hashed. */
  readonly #recentWires: Uint8Array[] = [];
  readonly #recentOffsets: number[] = [];
  #recentNext = 0;
  #recentCount = 0;

  /** Where a name with these very octets was written lately, -1 when that is not remembered. */
  offsetOf(name: Name): number {
    const wire = name.wire;
    for (let i = 0; i < this.#recentCount; i++) {
      const recent = this.#recentWires[i];
      if (recent === wire || (recent !== undefined && octetsEqual(recent, wire)))
        return this.#recentOffsets[i] ?? -1;
    }
    return -1;
  }

  /** Remembers that `name` starts at `offset`, unless a pointer cannot reach it. */
  note(name: Name, offset: number): void {
    if (offset > POINTER_OFFSET_MAX) return;
    this.#recentWires[this.#recentNext] = name.wire;
    this.#recentOffsets[this.#recentNext] = offset;
    this.#recentNext = (this.#recentNext + 1) % RECENT_NAMES;
    if (this.#recentCount < RECENT_NAMES) this.#recentCount++;
  }

  /** How much of the name at `from` of `wire` is new to `message`; call {@link noteLabels} after writing it. */
  measure(message: Uint8Array, wire: Uint8Array, from: number): Measured {
    let labels = 0;
    let at = from;
    for (let octet = wire[at] ?? 0; octet !== 0; octet = wire[at] ?? 0) {
      starts[labels++] = at - from;
      at += octet + 1;
    }
    const measured = this.#measured;
    measured.octets = at - from;
    measured.labels = labels;
    measured.pointer = -1;
    let hash = HASH_SEED;
    for (let i = labels - 1; i >= 0; i--) {
      hash = addLabel(hash, wire, from + (starts[i] ?? 0));
      hashes[i] = hash;
    }
    for (let i = 0; i < labels; i++) {
      const offset = this.#find(message, wire, from + (starts[i] ?? 0), hashes[i] ?? 0);
      if (offset < 0) continue;
      measured.octets = starts[i] ?? 0;
      measured.labels = i;
      measured.pointer = offset;
      break;
    }
    return measured;
  }

  /** Remembers the first `count` suffixes of the name that was measured last, now written at `offset`. */
  noteLabels(count: number, offset: number): void {
    for (let i = 0; i < count && this.#usedCount < SUFFIXES_MAX; i++) {
      const suffixAt = offset + (starts[i] ?? 0);
      if (suffixAt > POINTER_OFFSET_MAX) return;
      let slot = slotOf(hashes[i] ?? 0);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
      this.#slots[slot] = suffixAt + 1;
      this.#used[this.#usedCount++] = slot;
    }
  }

  /** Forgets everything at and behind `length`. */
  truncate(length: number): void {
    // Remembered names are not worth sorting out.
    this.#recentCount = 0;
    this.#recentNext = 0;
    while (this.#usedCount > 0) {
      const slot = this.#used[this.#usedCount - 1] ?? 0;
      if ((this.#slots[slot] ?? 0) <= length) return;
      this.#slots[slot] = 0;
      this.#usedCount--;
    }
  }

  #find(message: Uint8Array, wire: Uint8Array, at: number, hash: number): number {
    let slot = slotOf(hash);
    for (let probes = 0; probes < PROBES_MAX; probes++) {
      const entry = this.#slots[slot] ?? 0;
      if (entry === 0) return -1;
      if (isSameName(message, entry - 1, wire, at)) return entry - 1;
      slot = (slot + 1) & (SLOTS - 1);
    }
    return -1;
  }
}

/** Compares a name in a message, pointers and all, with an uncompressed one. Our own pointers always go backwards. */
function isSameName(message: Uint8Array, offset: number, wire: Uint8Array, from: number): boolean {
  let at = from;
  let there = offset;
  for (;;) {
    let octet = message[there] ?? 0;
    while (octet >= 0xc0) {
      there = ((octet & 0x3f) << 8) | (message[there + 1] ?? 0);
      octet = message[there] ?? 0;
    }
    if (octet !== wire[at]) return false;
    if (octet === 0) return true;
    for (let i = 1; i <= octet; i++) {
      const mine = wire[at + i] ?? 0;
      const theirs = message[there + i] ?? 0;
      if (mine !== theirs && lowerOctet(mine) !== lowerOctet(theirs)) return false;
    }
    there += octet + 1;
    at += octet + 1;
  }
}

function octetsEqual(a: Uint8Array | undefined, b: Uint8Array): boolean {
  if (a === undefined || a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * Adds the label at `at` to the hash of what follows it. Length, first, middle and last octet are enough to spread real
 * names, and setting one bit makes letters of both cases alike; whatever else becomes alike only costs probes.
 */
function addLabel(hash: number, wire: Uint8Array, at: number): number {
  const length = wire[at] ?? 0;
  const octets =
    ((wire[at + 1] ?? 0) << 16) | ((wire[at + ((length + 1) >> 1)] ?? 0) << 8) | (wire[at + length] ?? 0);
  const mixed = Math.imul(hash ^ (length << 24) ^ (octets | 0x202020), HASH_FACTOR);
  return mixed ^ (mixed >>> 15);
}

function slotOf(hash: number): number {
  return hash & (SLOTS - 1);
}

/** Pointers have 14 bits (RFC 1035 §4.1.4). */
const POINTER_OFFSET_MAX = 0x3fff;
/** Enough for a message full of different names as far as pointers reach; a power of two. */
const SLOTS = 2048;
/** Half of the slots, so that probing stays short. */
const SUFFIXES_MAX = SLOTS / 2;
/** Names crafted to collide cost this much each, then they are simply not compressed. */
const PROBES_MAX = 16;
/** An answer alternates between few owners: its question, the end of a CNAME chain, its name servers. */
const RECENT_NAMES = 4;
const HASH_SEED = 0x811c9dc5 | 0;
/** Odd and full of bits (2 to the 32nd over the golden ratio). */
const HASH_FACTOR = 0x9e3779b1 | 0;

/** Of the name being measured: where its labels start, and the hash of each suffix. A name has at most 127 labels. */
const starts = new Uint8Array(128);
const hashes = new Int32Array(128);
