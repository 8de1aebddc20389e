/**
 * Domain names as wire octets (RFC 1035 §3.1), never as dotted strings inside the program: a label may hold any
 * octet, dots included. Text exists only at the edges (RFC 1035 §5.1, RFC 4343).
 */
import { newOctets } from "./copy-octets.ts";
import { type FormatProblem, type Parsed, parsed, problem } from "./parsed.ts";

/** RFC 1035 §2.3.4. */
export const NAME_OCTETS_MAX = 255;
/** RFC 1035 §2.3.4. */
export const LABEL_OCTETS_MAX = 63;
/** A name of 255 octets has at most 127 labels and the root, so no honest chain of pointers is longer. */
const POINTERS_MAX = 126;

/** Where reading a name ended, or why it failed; reused between calls so that reading makes no garbage. */
export interface NameReading {
  next: number;
  problem: FormatProblem;
}

/** What stands before a name in keys. */
const TAG_OCTETS = 3;
const scratch = new Uint8Array(TAG_OCTETS + NAME_OCTETS_MAX);

/** Lower-case form of every octet; only A to Z change (RFC 4343 §3). */
const LOWER = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet,
);

/** The lower-case form of an octet (RFC 4343 §3: ASCII letters only). */
export function lowerOctet(octet: number): number {
  return LOWER[octet] ?? 0;
}

/** A domain name: immutable, absolute, compared without regard to ASCII case. */
export class Name {
  /** Uncompressed wire form with the case it came in, ending in the zero octet of the root. */
  readonly wire: Uint8Array;
  #key: string | undefined = undefined;

  /** Takes octets that are known to be a well-formed name; others use {@link tryReadName} or {@link tryParseName}. */
  constructor(wire: Uint8Array) {
    this.wire = wire;
  }

  static readonly root: Name = new Name(new Uint8Array(1));

  /** Lower-case wire octets, one character each: the key for maps. Offsets equal those in `wire`. */
  get key(): string {
    this.#key ??= keyOf(this.wire, 0);
    return this.#key;
  }

  /**
   * The key of something that belongs to the name, behind three octets that tell it from others. It is one piece: a text that is put
   * together from pieces is copied when a map hashes it, which costs more than all the rest.
   */
  keyWith(first: number, second: number, third: number): string {
    scratch[0] = first;
    scratch[1] = second;
    scratch[2] = third;
    return keyOf(this.wire, TAG_OCTETS);
  }

  get isRoot(): boolean {
    return this.wire.length === 1;
  }

  /** Number of labels without the root. */
  get labelCount(): number {
    let count = 0;
    for (let at = 0; this.wire[at] !== 0 && at < this.wire.length; at += (this.wire[at] ?? 0) + 1) count++;
    return count;
  }

  /** The labels from left to right, without the root, as views. */
  labels(): Uint8Array[] {
    const labels: Uint8Array[] = [];
    for (let at = 0; at < this.wire.length - 1; ) {
      const octets = this.wire[at] ?? 0;
      labels.push(this.wire.subarray(at + 1, at + 1 + octets));
      at += octets + 1;
    }
    return labels;
  }

  equals(other: Name): boolean {
    return this === other || (this.wire.length === other.wire.length && this.#endsWith(other.wire));
  }

  /** The {@link key} of the last `count` labels, which is made faster than their name; the whole key when there are no more. */
  suffixKey(count: number): string {
    let at = 0;
    for (let drop = this.labelCount - count; drop > 0; drop--) at += (this.wire[at] ?? 0) + 1;
    return at === 0 ? this.key : this.key.substring(at);
  }

  /** True for the name itself and everything beneath `ancestor`. */
  isAtOrBelow(ancestor: Name): boolean {
    const skip = this.wire.length - ancestor.wire.length;
    if (skip < 0) return false;
    if (!this.#endsWith(ancestor.wire)) return false;
    // The match must begin at a label boundary.
    let at = 0;
    while (at < skip) at += (this.wire[at] ?? 0) + 1;
    return at === skip;
  }

  /** Octets are compared faster than keys are made. */
  #endsWith(end: Uint8Array): boolean {
    const { wire } = this;
    const skip = wire.length - end.length;
    for (let i = 0; i < end.length; i++) if (LOWER[wire[skip + i] ?? 0] !== LOWER[end[i] ?? 0]) return false;
    return true;
  }

  /** True for everything beneath `ancestor`, not for the name itself. */
  isBelow(ancestor: Name): boolean {
    return this.wire.length > ancestor.wire.length && this.isAtOrBelow(ancestor);
  }

  /** The name without its leftmost label; the root is its own parent. */
  parent(): Name {
    return this.isRoot ? this : this.#suffixAt((this.wire[0] ?? 0) + 1);
  }

  /** The last `count` labels; the whole name when it has no more. */
  suffix(count: number): Name {
    let drop = this.labelCount - count;
    if (drop <= 0) return this;
    let at = 0;
    for (; drop > 0; drop--) at += (this.wire[at] ?? 0) + 1;
    return this.#suffixAt(at);
  }

  #suffixAt(at: number): Name {
    if (at >= this.wire.length - 1) return Name.root;
    return new Name(this.wire.subarray(at));
  }

  /** A name with one more label in front; fails over the limits of RFC 1035 §2.3.4. */
  tryPrepend(label: Uint8Array): Parsed<Name> {
    if (label.length === 0 || label.length > LABEL_OCTETS_MAX)
      return problem("label is not 1 to 63 octets long");
    if (label.length + 1 + this.wire.length > NAME_OCTETS_MAX)
      return problem("name is longer than 255 octets");
    const wire = new Uint8Array(label.length + 1 + this.wire.length);
    wire[0] = label.length;
    wire.set(label, 1);
    wire.set(this.wire, label.length + 1);
    return parsed(new Name(wire));
  }

  /** Replaces the suffix `from` by `to` (DNAME, RFC 6672 §2.2); undefined over 255 octets or without that suffix. */
  replaceSuffix(from: Name, to: Name): Name | undefined {
    if (!this.isAtOrBelow(from)) return undefined;
    const keep = this.wire.length - from.wire.length;
    if (keep + to.wire.length > NAME_OCTETS_MAX) return undefined;
    const wire = new Uint8Array(keep + to.wire.length);
    wire.set(this.wire.subarray(0, keep));
    wire.set(to.wire, keep);
    return new Name(wire);
  }

  /** Same name with all ASCII letters in lower case (canonical form, RFC 4034 §6.2). */
  toLowerCase(): Name {
    const { wire } = this;
    let upperAt = 0;
    while (upperAt < wire.length && LOWER[wire[upperAt] ?? 0] === wire[upperAt]) upperAt++;
    if (upperAt === wire.length) return this;
    const octets = newOctets(wire.length);
    for (let i = 0; i < wire.length; i++) octets[i] = LOWER[wire[i] ?? 0] ?? 0;
    const name = new Name(octets);
    name.#key = this.#key;
    return name;
  }

  /** Canonical order: by labels from the right, octets as unsigned, lower case (RFC 4034 §6.1). */
  compare(other: Name): number {
    const mine = this.labels();
    const others = other.labels();
    for (let i = 1; i <= Math.min(mine.length, others.length); i++) {
      const order = compareLabels(
        mine[mine.length - i] ?? this.wire,
        others[others.length - i] ?? other.wire,
      );
      if (order !== 0) return order;
    }
    return mine.length - others.length;
  }

  /** Presentation form, absolute, with escapes (RFC 1035 §5.1): `www.example.` */
  toString(): string {
    return this.isRoot ? "." : wireToText(this.wire);
  }

  toJSON(): string {
    return this.toString();
  }
}

function compareLabels(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const order = lowerOctet(a[i] ?? 0) - lowerOctet(b[i] ?? 0);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Behind as many octets of the scratch memory, which are there already. */
function keyOf(wire: Uint8Array, tags: number): string {
  for (let i = 0; i < wire.length; i++) scratch[tags + i] = LOWER[wire[i] ?? 0] ?? 0;
  // As one piece (see `keyWith`), which takes a little longer than eight at a time and saves maps more.
  return Reflect.apply(String.fromCharCode, undefined, scratch.subarray(0, tags + wire.length));
}

/** The first `length` octets of the scratch memory, one character each. Eight at a time is twice as fast as `apply`. */
function scratchText(length: number): string {
  const s = scratch;
  let text = "";
  let i = 0;
  for (; i + 8 <= length; i += 8) {
    text += String.fromCharCode(
      s[i] ?? 0,
      s[i + 1] ?? 0,
      s[i + 2] ?? 0,
      s[i + 3] ?? 0,
      s[i + 4] ?? 0,
      s[i + 5] ?? 0,
      s[i + 6] ?? 0,
      s[i + 7] ?? 0,
    );
  }
  for (; i < length; i++) text += String.fromCharCode(s[i] ?? 0);
  return text;
}

/** The presentation form of each octet of a label (RFC 1035 §5.1). */
const OCTET_TEXT: readonly string[] = Array.from({ length: 256 }, (_, octet) => {
  const character = String.fromCharCode(octet);
  if ('.\\"();@$'.includes(character)) return `\\${character}`;
  return octet > 0x20 && octet < 0x7f ? character : `\\${String(octet).padStart(3, "0")}`;
});
/** 1 for the octets that stand for themselves. */
const IS_PLAIN = Uint8Array.from(OCTET_TEXT, (text) => Number(text.length === 1));

/** Presentation form of one label, without the final dot (RFC 1035 §5.1). */
export function labelToText(label: Uint8Array): string {
  let text = "";
  for (const octet of label) text += OCTET_TEXT[octet] ?? "";
  return text;
}

function wireToText(wire: Uint8Array): string {
  let at = 0;
  for (let octets = wire[0] ?? 0; octets !== 0; octets = wire[at] ?? 0) {
    const end = at + octets;
    while (at < end) {
      const octet = wire[++at] ?? 0;
      if (IS_PLAIN[octet] === 0) return escapedText(wire);
      scratch[at - 1] = octet;
    }
    scratch[at++] = 0x2e;
  }
  return scratchText(at);
}

function escapedText(wire: Uint8Array): string {
  let text = "";
  for (let at = 0; at < wire.length - 1; at += (wire[at] ?? 0) + 1)
    text += `${labelToText(wire.subarray(at + 1, at + 1 + (wire[at] ?? 0)))}.`;
  return text;
}

/**
 * Reads one name. Compression pointers must point to before the labels they end, and at most 126 are
 * followed (RFC 1035 §4.1.4). On failure gives undefined and tells why in `reading.problem`.
 */
export function readNameInto(
  octets: Uint8Array,
  offset: number,
  end: number,
  mayCompress: boolean,
  reading: NameReading,
): Name | undefined {
  const length = measureName(octets, offset, end, mayCompress, reading);
  if (length < 0) return undefined;
  if (length === 1) return Name.root;
  const wire = newOctets(length);
  copyName(octets, offset, wire, 0);
  return new Name(wire);
}

/** Checks the name that {@link readNameInto} would read and gives its length in uncompressed wire form, or -1. */
export function measureName(
  octets: Uint8Array,
  offset: number,
  end: number,
  mayCompress: boolean,
  reading: NameReading,
): number {
  let at = offset;
  let limit = end;
  let length = 0;
  let next = -1;
  let segment = offset;
  for (let pointers = 0; ; ) {
    if (at >= limit) return failReading(reading, "name runs past the end");
    const octet = octets[at] ?? 0;
    if (octet === 0) break;
    if (octet <= LABEL_OCTETS_MAX) {
      at += octet + 1;
      length += octet + 1;
      if (at > limit) return failReading(reading, "label runs past the end");
      if (length >= NAME_OCTETS_MAX) return failReading(reading, "name is longer than 255 octets");
      continue;
    }
    if (octet < 0xc0) return failReading(reading, "label type is unknown");
    if (!mayCompress) return failReading(reading, "compression pointer where none is allowed");
    if (at + 2 > limit) return failReading(reading, "compression pointer runs past the end");
    const target = ((octet & 0x3f) << 8) | (octets[at + 1] ?? 0);
    if (next < 0) next = at + 2;
    if (target >= segment) return failReading(reading, "compression pointer does not point backwards");
    if (++pointers > POINTERS_MAX) return failReading(reading, "too many compression pointers");
    segment = target;
    limit = at;
    at = target;
  }
  reading.next = next < 0 ? at + 1 : next;
  return length + 1;
}

/** Copies the uncompressed form of a name that {@link measureName} accepted to `out` at `outAt`; gives its end there. */
export function copyName(octets: Uint8Array, offset: number, out: Uint8Array, outAt: number): number {
  let at = offset;
  let to = outAt;
  for (;;) {
    const octet = octets[at] ?? 0;
    if (octet === 0) break;
    if (octet >= 0xc0) {
      at = ((octet & 0x3f) << 8) | (octets[at + 1] ?? 0);
      continue;
    }
    const labelEnd = at + octet + 1;
    while (at < labelEnd) out[to++] = octets[at++] ?? 0;
  }
  out[to] = 0;
  return to + 1;
}

function failReading(reading: NameReading, text: FormatProblem): -1 {
  reading.problem = text;
  return -1;
}

/** Reads one name at `offset`, following compression; also tells where it ends. */
export function tryReadName(octets: Uint8Array, offset: number): Parsed<{ name: Name; next: number }> {
  const reading: NameReading = { next: 0, problem: "" };
  const name = readNameInto(octets, offset, octets.length, true, reading);
  return name === undefined ? problem(reading.problem) : parsed({ name, next: reading.next });
}

/**
 * Where the name at `offset` ends, without decoding it: labels are walked, a pointer ends it. -1 when it runs past
 * `end` or has an unknown label type. The target of a pointer is not looked at.
 */
export function skipName(octets: Uint8Array, offset: number, end: number): number {
  let at = offset;
  while (at < end) {
    const octet = octets[at] ?? 0;
    if (octet === 0) return at + 1;
    if (octet > LABEL_OCTETS_MAX) return octet >= 0xc0 && at + 2 <= end ? at + 2 : -1;
    at += octet + 1;
  }
  return -1;
}

/** Where the uncompressed name at `start` ends; -1 when it is malformed. */
export function plainNameEnd(octets: Uint8Array, start: number): number {
  let at = start;
  while (at < octets.length) {
    const octet = octets[at] ?? 0;
    if (octet === 0) return at - start < NAME_OCTETS_MAX ? at + 1 : -1;
    if (octet > LABEL_OCTETS_MAX) return -1;
    at += octet + 1;
  }
  return -1;
}

/**
 * Parses presentation form with the escapes of RFC 1035 §5.1. A name without a final dot is relative to `origin`
 * (default: the root). `@` alone is the origin. Characters above U+007F are refused: use IDNA A-labels.
 */
export function tryParseName(text: string, origin: Name = Name.root): Parsed<Name> {
  if (text === "@") return parsed(origin);
  if (text === ".") return parsed(Name.root);
  if (text === "") return problem("name is empty");
  // Where the length of the label in hand stands; one octet behind the last of the text.
  let labelAt = 0;
  let at = 1;
  let isAbsolute = false;
  for (let i = 0; i < text.length; i++) {
    const character = text.charCodeAt(i);
    isAbsolute = character === 0x2e;
    if (isAbsolute) {
      if (at - labelAt === 1) return problem(`name ${JSON.stringify(text)} has an empty label`);
      if (at >= NAME_OCTETS_MAX) return tooLong(text);
      scratch[labelAt] = at - labelAt - 1;
      labelAt = at++;
      continue;
    }
    let octet = character;
    if (character === 0x5c) {
      const escaped = readEscape(text, i);
      if (escaped === undefined) return problem(`name ${JSON.stringify(text)} has a bad escape`);
      i += escaped.length - 1;
      octet = escaped.octet;
    }
    if (octet > 0xff || (character !== 0x5c && octet > 0x7e)) {
      return problem(`name ${JSON.stringify(text)} has a character outside ASCII, write it as an A-label`);
    }
    if (at - labelAt > LABEL_OCTETS_MAX)
      return problem(`name ${JSON.stringify(text)} has a label of more than 63 octets`);
    if (at >= NAME_OCTETS_MAX) return tooLong(text);
    scratch[at++] = octet;
  }
  scratch[labelAt] = at - labelAt - 1;
  const own = isAbsolute ? at - 1 : at;
  const tail = isAbsolute ? Name.root.wire : origin.wire;
  if (own + tail.length > NAME_OCTETS_MAX) return tooLong(text);
  const octets = newOctets(own + tail.length);
  for (let i = 0; i < own; i++) octets[i] = scratch[i] ?? 0;
  octets.set(tail, own);
  return parsed(new Name(octets));
}

function tooLong(text: string): Parsed<never> {
  return problem(`name ${JSON.stringify(text)} is longer than 255 octets`);
}

/** Reads `\DDD` or `\X` at `at`; undefined when it is neither. */
export function readEscape(text: string, at: number): { octet: number; length: number } | undefined {
  const first = text.charCodeAt(at + 1);
  if (Number.isNaN(first)) return undefined;
  if (first < 0x30 || first > 0x39) return first > 0x7e ? undefined : { octet: first, length: 2 };
  const digits = text.slice(at + 1, at + 4);
  if (!/^[0-9]{3}$/.test(digits) || Number(digits) > 255) return undefined;
  return { octet: Number(digits), length: 4 };
}

/** Like {@link tryParseName}, for names written in our own sources and for tests: throws a RangeError. */
export function parseName(text: string, origin: Name = Name.root): Name {
  const name = tryParseName(text, origin);
  if (!name.ok) throw new RangeError(name.problem);
  return name.value;
}
