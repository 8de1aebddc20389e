/**
 * The text of the names of a table, in lower case, one behind the other in segments. A name is its first labels and a link to
 * the text of the rest, which another name has: one or two octets for what many share, four for others. Nothing is ever moved or
 * taken out, so that a reference stays right.
 */
import { LOWER } from "./seeded-hash.ts";
import { SharedSuffixes } from "./shared-suffixes.ts";

/** See the head of this file. A reference is below 2^27; 0 is the root. */
export class NameText {
  #segments: Uint8Array[] = [new Uint8Array(FIRST_SEGMENT_OCTETS)];
  /** Octets used of the last segment. The first one of the first is the root's. */
  #used = 1;
  readonly #shared = new SharedSuffixes(CODES_MAX);

  /**
   * Whether the text at `ref` is the uncompressed name from `start` to `end`, whatever the case of its letters. From `known` on, it
   * is that at `knownRef`: who has a link there needs no look at it.
   */
  isAt(
    ref: number,
    octets: Uint8Array,
    start: number,
    end: number,
    known: number,
    knownRef: number,
  ): boolean {
    let text = ref;
    let i = start;
    for (;;) {
      const segment = this.#segments[text >>> SEGMENT_SHIFT] ?? NOTHING;
      let at = text & SEGMENT_MASK;
      while (i < end && segment[at] === LOWER[octets[i] ?? 0]) {
        at++;
        i++;
      }
      if (i === end) return true;
      const octet = segment[at] ?? 0;
      if (octet < LINK_MIN || octet > LINK_MAX) return false;
      text = this.#target(octet, segment, at);
      if (i === known && text === knownRef) return true;
    }
  }

  #target(first: number, segment: Uint8Array, at: number): number {
    if (first >= SHORT_LINK) return this.#shared.refOf(first - SHORT_LINK);
    if (first < CODE_LINK) return ((first - LONG_LINK) << 24) | (numberFrom(segment, at) & 0xff_ffff);
    return this.#shared.refOf(SHORT_CODES + (((first - CODE_LINK) << 8) | (segment[at + 1] ?? 0)));
  }

  /** Octets that a link takes. */
  linkOctets(ref: number): number {
    if (ref === ROOT) return 1;
    const code = this.#shared.codeOf(ref);
    return code < 0 ? LONG_LINK_OCTETS : code < SHORT_CODES ? 1 : 2;
  }

  /**
   * Writes whole labels, from `start` to `end`, and a link to the rest; `head` octets before them stay free. Gives the reference,
   * and undefined when there is no room.
   */
  append(head: number, wire: Uint8Array, start: number, end: number, rest: number): number | undefined {
    if (!this.#makeRoom(head + end - start + LONG_LINK_OCTETS)) return undefined;
    const last = this.#segments.length - 1;
    const segment = this.#segments[last] ?? NOTHING;
    const at = this.#used + head;
    let to = at;
    for (let i = start; i < end; i++) segment[to++] = LOWER[wire[i] ?? 0] ?? 0;
    this.#used = this.#link(segment, to, rest);
    return last * SEGMENT_OCTETS + at;
  }

  #link(segment: Uint8Array, at: number, ref: number): number {
    if (ref === ROOT) {
      segment[at] = 0;
      return at + 1;
    }
    const code = this.#shared.codeOf(ref);
    if (code < 0) {
      this.#shared.note(ref);
      writeNumber(segment, at, ref);
      segment[at] = LONG_LINK + (ref >>> 24);
      return at + LONG_LINK_OCTETS;
    }
    if (code < SHORT_CODES) {
      segment[at] = SHORT_LINK + code;
      return at + 1;
    }
    segment[at] = CODE_LINK + ((code - SHORT_CODES) >> 8);
    segment[at + 1] = code - SHORT_CODES;
    return at + 2;
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
    this.#used = 0;
    return true;
  }

  /** Writes the whole name at `ref` into `into`, which has room for 255 octets. */
  copy(ref: number, into: Uint8Array): void {
    let segment = this.#segments[ref >>> SEGMENT_SHIFT] ?? NOTHING;
    let at = ref & SEGMENT_MASK;
    let to = 0;
    for (;;) {
      const length = segment[at] ?? 0;
      if (length >= LINK_MIN) {
        const target = this.#target(length, segment, at);
        segment = this.#segments[target >>> SEGMENT_SHIFT] ?? NOTHING;
        at = target & SEGMENT_MASK;
        continue;
      }
      for (const end = at + length; at <= end; at++) into[to++] = segment[at] ?? 0;
      if (length === 0) return;
    }
  }

  /** The octet at `before` octets before a reference, and with `isLong` the three behind it, as a number. */
  numberBefore(ref: number, before: number, isLong: boolean): number {
    const segment = this.#segments[ref >>> SEGMENT_SHIFT] ?? NOTHING;
    const at = (ref & SEGMENT_MASK) - before;
    return isLong ? numberFrom(segment, at) : (segment[at] ?? 0);
  }

  /** The reverse of {@link numberBefore}. */
  writeBefore(ref: number, before: number, isLong: boolean, value: number): void {
    const segment = this.#segments[ref >>> SEGMENT_SHIFT] ?? NOTHING;
    const at = (ref & SEGMENT_MASK) - before;
    if (isLong) writeNumber(segment, at, value);
    else segment[at] = value;
  }

  /** Bytes of all typed arrays. */
  get bytes(): number {
    let bytes = this.#shared.bytes;
    for (const segment of this.#segments) bytes += segment.length;
    return bytes;
  }
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

/** The reference of the root. */
export const ROOT = 0;
const SEGMENT_SHIFT = 20;
const SEGMENT_OCTETS = 1 << SEGMENT_SHIFT;
const SEGMENT_MASK = SEGMENT_OCTETS - 1;
const FIRST_SEGMENT_OCTETS = 1024;
/** 128 MiB of text: more than four million names of usual length take. */
const SEGMENTS_MAX = 128;
/** Bits of a reference. */
export const REF_MASK = SEGMENTS_MAX * SEGMENT_OCTETS - 1;

/**
 * Links begin with an octet that the text of names has nowhere, neither as length (RFC 1035 §2.3.4) nor in labels: a capital letter.
 * From `A` on there are three bits of a reference in it, and 24 behind it; from `I` on three of a code, and eight behind it.
 */
const LINK_MIN = 0x41;
const LINK_MAX = 0x5a;
const LONG_LINK = LINK_MIN;
const CODE_LINK = LONG_LINK + 8;
const SHORT_LINK = CODE_LINK + 8;
/** Codes that are an octet by themselves. */
const SHORT_CODES = LINK_MAX + 1 - SHORT_LINK;
const CODES_MAX = SHORT_CODES + 8 * 256;
const LONG_LINK_OCTETS = 4;
const NOTHING = new Uint8Array(1);
