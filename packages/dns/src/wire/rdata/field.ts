/**
 * Fields: the pieces that rdata is made of. Each knows all directions: octets to value and back, value to text and back,
 * and how to check octets without making a value. A record type is a list of named fields (`types.ts`).
 */
import { octetsToHex, tryHexToOctets } from "../hex.ts";
import { addressToText, tryParseAddress } from "../ip-address.ts";
import type { Name } from "../name.ts";
import type { OctetReader, OctetWriter } from "../octets.ts";
import type { FormatProblem, Parsed } from "../parsed.ts";
import { escapeText, type TokenReader, tryUnescape } from "../text-token.ts";
import {
  octetsToBase32hex,
  octetsToBase64,
  tryBase32hexToOctets,
  tryBase64ToOctets,
} from "./base-encoding.ts";

/** One piece of rdata. */
export interface Field<T> {
  /** Reads a value; problems are noted in the reader. */
  read(reader: OctetReader): T;
  /** Like `read`, without making a value. */
  skip(reader: OctetReader): void;
  /** Writes a value; gives a problem, and may have written something, when the value cannot be written. */
  write(writer: OctetWriter, value: T): FormatProblem | undefined;
  /** Presentation text; empty when the field is left out. */
  toText(value: T): string;
  /** Reads presentation text; problems are noted in the reader. */
  parse(tokens: TokenReader, what: string): T;
  /** The value with names in canonical form (RFC 4034 §6.2); absent when there is nothing to change. */
  canonical?(value: T): T;
}

/** A number of `octets` octets (1, 2, 4 or 6) that is printed as such. */
function unsigned(octets: 1 | 2 | 4 | 6): Field<number> {
  const most = 2 ** (8 * octets) - 1;
  return {
    read: (reader) =>
      octets === 1
        ? reader.uint8()
        : octets === 2
          ? reader.uint16()
          : octets === 4
            ? reader.uint32()
            : reader.uint48(),
    skip: (reader) => reader.skip(octets),
    write(writer, value) {
      if (!Number.isInteger(value) || value < 0 || value > most)
        return `${value} is not a number from 0 to ${most}`;
      if (octets === 1) writer.uint8(value);
      else if (octets === 2) writer.uint16(value);
      else if (octets === 4) writer.uint32(value);
      else writer.uint48(value);
      return undefined;
    },
    toText: String,
    parse: (tokens, what) => tokens.number(what, most),
  };
}

export const uint8: Field<number> = unsigned(1);
export const uint16: Field<number> = unsigned(2);
export const uint32: Field<number> = unsigned(4);
export const uint48: Field<number> = unsigned(6);

/** A number for which some values have names that are understood, and printed when `isPrinted`. */
export function mnemonic(
  base: Field<number>,
  names: Readonly<Record<string, number>>,
  isPrinted: boolean,
): Field<number> {
  const byValue = new Map(Object.entries(names).map(([name, value]) => [value, name]));
  return {
    ...base,
    toText: (value) => (isPrinted ? (byValue.get(value) ?? String(value)) : String(value)),
    parse(tokens, what) {
      const text = tokens.peek()?.text.toUpperCase() ?? "";
      const known = Object.hasOwn(names, text) ? names[text] : undefined;
      if (known === undefined) return base.parse(tokens, what);
      tokens.next(what);
      return known;
    },
  };
}

/** Seconds since 1970 as `YYYYMMDDHHmmSS` (RFC 4034 §3.2); plain numbers are understood too. */
export const timestamp: Field<number> = {
  ...uint32,
  toText: timestampToText,
  parse(tokens, what) {
    const text = tokens.peek()?.text ?? "";
    if (!/^[0-9]{14}$/.test(text)) return uint32.parse(tokens, what);
    tokens.next(what);
    const [year, month, day, hour, minute, second] = [0, 4, 6, 8, 10, 12].map((at) =>
      Number(text.slice(at, at === 0 ? 4 : at + 2)),
    );
    const days = daysBefore(year ?? 0, month ?? 0) + (day ?? 0) - 1;
    const seconds = ((days * 24 + (hour ?? 0)) * 60 + (minute ?? 0)) * 60 + (second ?? 0);
    // RFC 4034 §3.1.5: serial number arithmetic, so times wrap at 2^32.
    if (timestampToText(seconds % 2 ** 32) !== text && seconds < 2 ** 32)
      tokens.fail(`${what} ${text} is not a time`);
    return seconds % 2 ** 32;
  },
};

const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

/** Days from 1970-01-01 to the first of a month. */
function daysBefore(year: number, month: number): number {
  const before = year - 1;
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400) - 477;
  const thisYear = (DAYS_BEFORE_MONTH[month - 1] ?? 0) + (month > 2 && isLeap(year) ? 1 : 0);
  return (year - 1970) * 365 + leapDays + thisYear;
}

function timestampToText(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  let year = 1970 + Math.floor(days / 366);
  while (daysBefore(year + 1, 1) <= days) year++;
  let month = 1;
  while (month < 12 && daysBefore(year, month + 1) <= days) month++;
  const day = days - daysBefore(year, month) + 1;
  const rest = seconds % 86_400;
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${year}${two(month)}${two(day)}${two(Math.floor(rest / 3600))}${two(Math.floor(rest / 60) % 60)}${two(rest % 60)}`;
}

function nameField(isLowered: boolean): Field<Name> {
  const field: Field<Name> = {
    read: (reader) => reader.plainName(),
    skip: (reader) => reader.skipPlainName(),
    write(writer, value) {
      writer.plainName(value);
      return undefined;
    },
    toText: String,
    parse: (tokens, what) => tokens.name(what),
  };
  return isLowered ? { ...field, canonical: (value) => value.toLowerCase() } : field;
}

/** A name that the canonical form has in lower case (RFC 4034 §6.2). */
export const name: Field<Name> = nameField(true);
/** A name whose case counts in signatures (RFC 6840 §5.1, and all types after RFC 3597). */
export const nameAsIs: Field<Name> = nameField(false);

/** Names up to the end. */
export const namesRest: Field<readonly Name[]> = {
  read(reader) {
    const names: Name[] = [];
    while (reader.remaining > 0) names.push(reader.plainName());
    return names;
  },
  skip(reader) {
    while (reader.remaining > 0) reader.skipPlainName();
  },
  write(writer, values) {
    for (const value of values) writer.plainName(value);
    return undefined;
  },
  toText: (values) => values.join(" "),
  parse(tokens, what) {
    const names: Name[] = [];
    while (tokens.remaining > 0) names.push(tokens.name(what));
    return names;
  },
};

/** RFC 1035 §3.3: at most 255 octets behind their length. */
const STRING_OCTETS_MAX = 255;

function writeString(writer: OctetWriter, value: Uint8Array): FormatProblem | undefined {
  if (value.length > STRING_OCTETS_MAX) return "character-string is longer than 255 octets";
  writer.uint8(value.length);
  writer.octets(value);
  return undefined;
}

function parseString(tokens: TokenReader, what: string): Uint8Array {
  const { text } = tokens.next(what);
  return stringOf(text, tokens, what);
}

function stringOf(text: string, tokens: TokenReader, what: string): Uint8Array {
  const octets = tryUnescape(text);
  if (!octets.ok) {
    tokens.fail(`${what}: ${octets.problem}`);
    return new Uint8Array(0);
  }
  if (octets.value.length > STRING_OCTETS_MAX)
    tokens.fail(`${what}: character-string is longer than 255 octets`);
  return octets.value;
}

/** One character-string, always quoted in text. */
export const characterString: Field<Uint8Array> = {
  read: (reader) => reader.take(reader.uint8()),
  skip: (reader) => reader.skip(reader.uint8()),
  write: writeString,
  toText: (value) => `"${escapeText(value)}"`,
  parse: parseString,
};

/** Zero or one character-string at the end (ISDN's subaddress). */
export const optionalString: Field<Uint8Array | undefined> = {
  read: (reader) => (reader.remaining > 0 ? characterString.read(reader) : undefined),
  skip: (reader) => void (reader.remaining > 0 && reader.take(reader.uint8())),
  write: (writer, value) => (value === undefined ? undefined : writeString(writer, value)),
  toText: (value) => (value === undefined ? "" : characterString.toText(value)),
  parse: (tokens, what) => (tokens.remaining > 0 ? parseString(tokens, what) : undefined),
};

/** One or more character-strings up to the end. */
export const characterStrings: Field<readonly Uint8Array[]> = {
  read(reader) {
    const strings: Uint8Array[] = [];
    do strings.push(reader.take(reader.uint8()));
    while (reader.remaining > 0);
    return strings;
  },
  skip(reader) {
    do reader.skip(reader.uint8());
    while (reader.remaining > 0);
  },
  write(writer, values) {
    if (values.length === 0) return "there is no character-string";
    for (const value of values) {
      const wrong = writeString(writer, value);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  },
  toText: (values) => values.map(characterString.toText).join(" "),
  parse(tokens, what) {
    const strings: Uint8Array[] = [];
    do strings.push(parseString(tokens, what));
    while (tokens.remaining > 0);
    return strings;
  },
};

/** All that is left as one quoted text without a length in front (URI target, CAA value). */
export const textRest: Field<Uint8Array> = {
  read: (reader) => reader.rest(),
  skip: (reader) => reader.skip(reader.remaining),
  write(writer, value) {
    writer.octets(value);
    return undefined;
  },
  toText: (value) => `"${escapeText(value)}"`,
  parse(tokens, what) {
    const octets = tryUnescape(tokens.next(what).text);
    if (octets.ok) return octets.value;
    tokens.fail(`${what}: ${octets.problem}`);
    return new Uint8Array(0);
  },
};

/** Octets up to the end in some encoding; blanks in the text do not count. `emptyText` stands for none. */
function encodedRest(
  toText: (octets: Uint8Array) => string,
  parse: (text: string) => Parsed<Uint8Array>,
  emptyText = "",
): Field<Uint8Array> {
  return {
    read: (reader) => reader.rest(),
    skip: (reader) => reader.skip(reader.remaining),
    write(writer, value) {
      writer.octets(value);
      return undefined;
    },
    toText: (value) => (value.length === 0 ? emptyText : toText(value)),
    parse: (tokens, what) => tokens.joined(what, (text) => parse(text === emptyText ? "" : text)),
  };
}

export const base64Rest: Field<Uint8Array> = encodedRest(octetsToBase64, tryBase64ToOctets);
export const hexRest: Field<Uint8Array> = encodedRest(
  (octets) => octetsToHex(octets).toUpperCase(),
  tryHexToOctets,
);

/** Octets behind a length, as one token of hex or base32hex; `-` stands for none. */
function counted(
  toText: (octets: Uint8Array) => string,
  parse: (text: string) => Parsed<Uint8Array>,
): Field<Uint8Array> {
  return {
    read: (reader) => reader.take(reader.uint8()),
    skip: (reader) => reader.skip(reader.uint8()),
    write: writeString,
    toText: (value) => (value.length === 0 ? "-" : toText(value)),
    parse(tokens, what) {
      const { text } = tokens.next(what);
      const octets = parse(text === "-" ? "" : text);
      if (!octets.ok) {
        tokens.fail(`${what}: ${octets.problem}`);
        return new Uint8Array(0);
      }
      if (octets.value.length > STRING_OCTETS_MAX) tokens.fail(`${what} is longer than 255 octets`);
      return octets.value;
    },
  };
}

export const countedHex: Field<Uint8Array> = counted(
  (octets) => octetsToHex(octets).toUpperCase(),
  tryHexToOctets,
);
export const countedBase32hex: Field<Uint8Array> = counted(octetsToBase32hex, tryBase32hexToOctets);

/** Exactly `octets` octets printed and read as one token. */
function fixed(
  octets: number,
  toText: (value: Uint8Array) => string,
  parse: (text: string) => Uint8Array | undefined,
): Field<Uint8Array> {
  return {
    read: (reader) => reader.take(octets),
    skip: (reader) => reader.skip(octets),
    write(writer, value) {
      if (value.length !== octets) return `value is not ${octets} octets long`;
      writer.octets(value);
      return undefined;
    },
    toText,
    parse(tokens, what) {
      const { text } = tokens.next(what);
      const value = parse(text);
      if (value !== undefined && value.length === octets) return value;
      tokens.fail(`${what} ${JSON.stringify(text)} cannot be read`);
      return new Uint8Array(octets);
    },
  };
}

function addressOf(text: string): Uint8Array | undefined {
  const address = tryParseAddress(text);
  return address.ok ? address.value : undefined;
}

function hexOf(text: string, separator: RegExp): Uint8Array | undefined {
  const octets = tryHexToOctets(text.replace(separator, ""));
  return octets.ok ? octets.value : undefined;
}

function dashed(octets: Uint8Array): string {
  return (octetsToHex(octets).match(/../g) ?? []).join("-");
}

export const ipv4: Field<Uint8Array> = fixed(4, addressToText, addressOf);
export const ipv6: Field<Uint8Array> = fixed(16, addressToText, addressOf);
/** RFC 7043 §3.2: `00-00-5e-00-53-2a`. */
export const eui48: Field<Uint8Array> = fixed(6, dashed, (text) =>
  /^(..-){5}..$/.test(text) ? hexOf(text, /-/g) : undefined,
);
/** RFC 7043 §4.2. */
export const eui64: Field<Uint8Array> = fixed(8, dashed, (text) =>
  /^(..-){7}..$/.test(text) ? hexOf(text, /-/g) : undefined,
);
/** RFC 6742 §2.1.2: four groups of four hexadecimal digits, leading zeros may be left out. */
export const locator64: Field<Uint8Array> = fixed(
  8,
  (octets) => (octetsToHex(octets).match(/..../g) ?? []).join(":"),
  (text) => {
    const groups = text.split(":");
    const areGroups = groups.length === 4 && groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group));
    return areGroups ? hexOf(groups.map((group) => group.padStart(4, "0")).join(""), /-/g) : undefined;
  },
);
