/**
 * Bounds-checked reading and growing writing of octets, network byte order (RFC 1035 §2.3.2).
 * Reading fails once and for all: after the first problem every read gives zero or nothing, so that codecs
 * need to look at `problem` only at their end.
 */
import { copyOctets, copyToSend } from "./copy-octets.ts";
import { measureName, Name, type NameReading, readNameInto } from "./name.ts";
import { NameTable } from "./name-table.ts";
import type { FormatProblem } from "./parsed.ts";

const NOTHING = new Uint8Array(0);

/** The 16-bit number at `offset`; octets past the end count as zero. */
export function uint16At(octets: Uint8Array, offset: number): number {
  return ((octets[offset] ?? 0) << 8) | (octets[offset + 1] ?? 0);
}

/** The unsigned 32-bit number at `offset`; octets past the end count as zero. */
export function uint32At(octets: Uint8Array, offset: number): number {
  return (uint16At(octets, offset) * 0x1_0000 + uint16At(octets, offset + 2)) >>> 0;
}

/** Writes a 16-bit number at `offset`. */
export function setUint16(octets: Uint8Array, offset: number, value: number): void {
  octets[offset] = value >>> 8;
  octets[offset + 1] = value;
}

/** Writes an unsigned 32-bit number at `offset`. */
export function setUint32(octets: Uint8Array, offset: number, value: number): void {
  octets[offset] = value >>> 24;
  octets[offset + 1] = value >>> 16;
  octets[offset + 2] = value >>> 8;
  octets[offset + 3] = value;
}

/** True when both have the same length and octets. */
export function octetsEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Joins pieces into one array. */
export function concatOctets(pieces: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const piece of pieces) {
    joined.set(piece, offset);
    offset += piece.length;
  }
  return joined;
}

/** Reads forward through octets from `offset` up to `end`; names may point back into the whole of `octets`. */
export class OctetReader {
  readonly octets: Uint8Array;
  offset: number;
  end: number;
  /** The first thing that was wrong, undefined while all is well. */
  problem: FormatProblem | undefined = undefined;
  readonly #reading: NameReading = { next: 0, problem: "" };

  constructor(octets: Uint8Array, offset = 0, end: number = octets.length) {
    this.octets = octets;
    this.offset = offset;
    this.end = end;
  }

  /** Octets not read yet. */
  get remaining(): number {
    return this.end - this.offset;
  }

  /** Notes a problem, unless there was one before, and skips to the end. */
  fail(problem: FormatProblem): void {
    this.problem ??= problem;
    this.offset = this.end;
  }

  /** Moves on by `count` octets and gives the old position, or -1 when fewer are left. */
  #advance(count: number): number {
    const start = this.offset;
    if (start + count > this.end) {
      this.fail("ends too early");
      return -1;
    }
    this.offset = start + count;
    return start;
  }

  uint8(): number {
    const at = this.#advance(1);
    return at < 0 ? 0 : (this.octets[at] ?? 0);
  }

  uint16(): number {
    const at = this.#advance(2);
    return at < 0 ? 0 : uint16At(this.octets, at);
  }

  uint32(): number {
    const at = this.#advance(4);
    return at < 0 ? 0 : uint32At(this.octets, at);
  }

  /** A 48-bit number (EUI-48, TSIG time). */
  uint48(): number {
    return this.uint16() * 0x1_0000_0000 + this.uint32();
  }

  /** A view, not a copy, of the next `count` octets. */
  take(count: number): Uint8Array {
    const at = this.#advance(count);
    return at < 0 ? NOTHING : this.octets.subarray(at, at + count);
  }

  /** Moves on by `count` octets. */
  skip(count: number): void {
    this.#advance(count);
  }

  /** Moves on over a name without compression. */
  skipPlainName(): void {
    const length = measureName(this.octets, this.offset, this.end, false, this.#reading);
    if (length < 0) this.fail(this.#reading.problem);
    else this.offset = this.#reading.next;
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.take(this.end - this.offset);
  }

  /** A name that may end in a compression pointer (RFC 1035 §4.1.4). */
  name(): Name {
    return this.#name(true);
  }

  /** A name in which a pointer is an error (RFC 3597 §4, RFC 4034 §3.1.7). */
  plainName(): Name {
    return this.#name(false);
  }

  #name(mayCompress: boolean): Name {
    const name = readNameInto(this.octets, this.offset, this.end, mayCompress, this.#reading);
    if (name === undefined) {
      this.fail(this.#reading.problem);
      return Name.root;
    }
    this.offset = this.#reading.next;
    return name;
  }
}

/** The most a DNS message can hold (RFC 1035 §4.2.2: a 16-bit length). */
export const MESSAGE_OCTETS_MAX = 65_535;

/** Writes octets, growing as needed, with name compression relative to the first octet. */
export class OctetWriter {
  #octets: Uint8Array;
  /** Octets written so far. */
  length = 0;
  #names: NameTable | undefined = undefined;

  constructor(capacity = 512) {
    this.#octets = new Uint8Array(capacity);
  }

  /** Starts again with an empty message and keeps the memory. */
  reset(): void {
    this.length = 0;
    this.#names?.truncate(0);
  }

  #room(count: number): number {
    const at = this.length;
    const needed = at + count;
    if (needed > this.#octets.length) this.#grow(needed);
    this.length = needed;
    return at;
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, this.#octets.length * 2));
    grown.set(this.#octets.subarray(0, this.length));
    this.#octets = grown;
  }

  uint8(value: number): void {
    const at = this.#room(1);
    this.#octets[at] = value;
  }

  uint16(value: number): void {
    const at = this.#room(2);
    setUint16(this.#octets, at, value);
  }

  uint32(value: number): void {
    const at = this.#room(4);
    setUint32(this.#octets, at, value);
  }

  uint48(value: number): void {
    this.uint16(Math.floor(value / 0x1_0000_0000));
    this.uint32(value % 0x1_0000_0000);
  }

  octets(octets: Uint8Array): void {
    const at = this.#room(octets.length);
    const target = this.#octets;
    // A loop beats set() for the short arrays that DNS is made of.
    if (octets.length > 64) target.set(octets, at);
    else for (let i = 0; i < octets.length; i++) target[at + i] = octets[i] ?? 0;
  }

  /** `count` octets of value zero. */
  zeros(count: number): void {
    const at = this.#room(count);
    this.#octets.fill(0, at, at + count);
  }

  /** Overwrites 16 bits written before. */
  setUint16(offset: number, value: number): void {
    setUint16(this.#octets, offset, value);
  }

  /** 16 bits written before. */
  uint16At(offset: number): number {
    return uint16At(this.#octets, offset);
  }

  /** What follows the owner of a record: type, class, TTL and a length of zero; gives the offset of the length. */
  recordHead(type: number, rrClass: number, ttl: number): number {
    const at = this.#room(10);
    const target = this.#octets;
    setUint16(target, at, type);
    setUint16(target, at + 2, rrClass);
    setUint32(target, at + 4, ttl);
    setUint16(target, at + 8, 0);
    return at + 8;
  }

  /** A name without compression. */
  plainName(name: Name): void {
    this.octets(name.wire);
  }

  /** A name that points to an earlier occurrence of its longest known suffix (RFC 1035 §4.1.4). */
  name(name: Name): void {
    this.#names ??= new NameTable();
    const known = this.#names.offsetOf(name);
    if (known >= 0) {
      this.uint16(POINTER | known);
      return;
    }
    const start = this.length;
    this.compressedName(name.wire, 0);
    if (name.wire.length > 1) this.#names.note(name, start);
  }

  /** The same for the uncompressed, well-formed name that starts at `from` of `wire`. */
  compressedName(wire: Uint8Array, from: number): void {
    this.#names ??= new NameTable();
    const own = this.#names.measure(this.#octets, wire, from);
    const at = this.#room(own.octets + (own.pointer < 0 ? 1 : 2));
    const target = this.#octets;
    for (let i = 0; i < own.octets; i++) target[at + i] = wire[from + i] ?? 0;
    if (own.pointer < 0) target[at + own.octets] = 0;
    else setUint16(target, at + own.octets, POINTER | own.pointer);
    this.#names.noteLabels(own.labels, at);
  }

  /** Goes back to an earlier length and forgets the names written since. */
  truncate(length: number): void {
    this.length = length;
    this.#names?.truncate(length);
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return copyOctets(this.#octets, 0, this.length);
  }

  /** The same for what is sent and forgotten; see {@link copyToSend}. */
  finishToSend(): Uint8Array {
    return copyToSend(this.#octets, 0, this.length);
  }

  /** A view of what was written, valid until the next write. */
  view(): Uint8Array {
    return this.#octets.subarray(0, this.length);
  }
}

/** The two upper bits of a compression pointer (RFC 1035 §4.1.4). */
const POINTER = 0xc000;
