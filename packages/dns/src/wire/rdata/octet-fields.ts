/** Fields of octets in some encoding: base64, hexadecimal, base32hex, addresses. */
import { octetsToHex, tryHexToOctets } from "../hex.ts";
import { addressToText, tryParseAddress } from "../ip-address.ts";
import { type Parsed, parsed, problem } from "../parsed.ts";
import {
  octetsToBase32hex,
  octetsToBase64,
  tryBase32hexToOctets,
  tryBase64ToOctets,
} from "./base-encoding.ts";
import type { Field } from "./field.ts";

/** A way to write octets as text. */
interface Encoding {
  readonly toText: (octets: Uint8Array) => string;
  readonly parse: (text: string) => Parsed<Uint8Array>;
}

const base64: Encoding = { toText: octetsToBase64, parse: tryBase64ToOctets };
const base32hex: Encoding = { toText: octetsToBase32hex, parse: tryBase32hexToOctets };
const hex: Encoding = { toText: (octets) => octetsToHex(octets).toUpperCase(), parse: tryHexToOctets };
/** RFC 1706 §7: after `0x`, with dots for the eye. */
const dottedHex: Encoding = {
  toText: (octets) => `0x${octetsToHex(octets)}`,
  parse: (text) =>
    /^0x/i.test(text)
      ? tryHexToOctets(text.slice(2).replaceAll(".", ""))
      : problem("it does not begin with 0x"),
};

/** Octets up to the end, at least `octetsMin`; blanks in the text do not count. */
function encodedRest({ toText, parse }: Encoding, octetsMin: number): Field<Uint8Array> {
  const tooShort = octetsMin === 1 ? "it is empty" : `it is shorter than ${octetsMin} octets`;
  return {
    read(reader) {
      if (reader.remaining < octetsMin) reader.fail("ends too early");
      return reader.rest();
    },
    skip(reader) {
      if (reader.remaining < octetsMin) reader.fail("ends too early");
      reader.skip(reader.remaining);
    },
    write(writer, value) {
      if (value.length < octetsMin) return tooShort;
      writer.octets(value);
      return undefined;
    },
    toText: (value) => (value.length === 0 ? "" : toText(value)),
    parse: (tokens, what) =>
      tokens.joined(what, (text) => {
        const octets = text === "" ? parsed(new Uint8Array(0)) : parse(text);
        return octets.ok && octets.value.length < octetsMin ? problem(tooShort) : octets;
      }),
  };
}

/** Base64 that may be empty: keys that are absent (RFC 2535 §3.1.2, RFC 4025 §2.6) and signatures to be made. */
export const base64Rest: Field<Uint8Array> = encodedRest(base64, 0);
export const base64Some: Field<Uint8Array> = encodedRest(base64, 1);
export const hexSome: Field<Uint8Array> = encodedRest(hex, 1);
/** RFC 8976 §2.2.4: a digest of a zone has at least 12 octets. */
export const zoneDigest: Field<Uint8Array> = encodedRest(hex, 12);
export const nsapAddress: Field<Uint8Array> = encodedRest(dottedHex, 1);

/** At least `octetsMin` octets behind their length, as one token; `-` stands for none. */
function counted({ toText, parse }: Encoding, octetsMin: 0 | 1): Field<Uint8Array> {
  return {
    read(reader) {
      const octets = reader.take(reader.uint8());
      if (octets.length < octetsMin) reader.fail("a hash is empty");
      return octets;
    },
    skip(reader) {
      const length = reader.uint8();
      if (length < octetsMin) reader.fail("a hash is empty");
      reader.skip(length);
    },
    write(writer, value) {
      if (value.length < octetsMin || value.length > COUNTED_OCTETS_MAX)
        return `it has not ${octetsMin} to ${COUNTED_OCTETS_MAX} octets`;
      writer.uint8(value.length);
      writer.octets(value);
      return undefined;
    },
    toText: (value) => (value.length === 0 ? "-" : toText(value)),
    parse(tokens, what) {
      const { text } = tokens.next(what);
      const octets = text === "-" && octetsMin === 0 ? parsed(new Uint8Array(0)) : parse(text);
      if (octets.ok) return octets.value;
      tokens.fail(`${what}: ${octets.problem}`);
      return new Uint8Array(0);
    },
  };
}

const COUNTED_OCTETS_MAX = 255;

/** The salt of NSEC3 (RFC 5155 §3.3). */
export const countedHex: Field<Uint8Array> = counted(hex, 0);
/** The next hashed owner name of NSEC3 (RFC 5155 §3.1.7). */
export const countedBase32hex: Field<Uint8Array> = counted(base32hex, 1);

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
/** RFC 6742 §2.1.2: four groups of four hexadecimal digits; Knot reads them only with their leading zeros, BIND leaves them out. */
export const locator64: Field<Uint8Array> = fixed(
  8,
  (octets) => (octetsToHex(octets).match(/..../g) ?? []).join(":"),
  (text) => {
    const groups = text.split(":");
    const areGroups = groups.length === 4 && groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group));
    return areGroups ? hexOf(groups.map((group) => group.padStart(4, "0")).join(""), /-/g) : undefined;
  },
);
