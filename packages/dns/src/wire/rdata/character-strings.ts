/** Fields of text: character-strings (RFC 1035 §3.3) and texts without a length in front. */
import type { OctetWriter } from "../octets.ts";
import type { FormatProblem } from "../parsed.ts";
import { escapeText, type TokenReader, tryUnescape } from "../text-token.ts";
import type { Field } from "./field.ts";

/** RFC 1035 §3.3: at most 255 octets behind their length. */
const STRING_OCTETS_MAX = 255;

function writeString(writer: OctetWriter, value: Uint8Array): FormatProblem | undefined {
  if (value.length > STRING_OCTETS_MAX) return "character-string is longer than 255 octets";
  writer.uint8(value.length);
  writer.octets(value);
  return undefined;
}

function parseString(tokens: TokenReader, what: string): Uint8Array {
  const octets = tryUnescape(tokens.next(what).text);
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
  skip(reader) {
    if (reader.remaining > 0) reader.skip(reader.uint8());
  },
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

/** The tag of CAA (RFC 8659 §4.1): a character-string of letters and digits, printed without quotes. */
export const propertyTag: Field<Uint8Array> = {
  read(reader) {
    const tag = characterString.read(reader);
    if (reader.problem === undefined && !isTag(tag)) reader.fail(NO_TAG);
    return tag;
  },
  skip: (reader) => void propertyTag.read(reader),
  write: (writer, value) => (isTag(value) ? writeString(writer, value) : NO_TAG),
  toText: (value) => String.fromCharCode(...value),
  parse(tokens, what) {
    const tag = parseString(tokens, what);
    if (tokens.problem === undefined && !isTag(tag)) tokens.fail(NO_TAG);
    return tag;
  },
};

const NO_TAG = "CAA tag is not letters and digits";

function isTag(tag: Uint8Array): boolean {
  for (const octet of tag) {
    const lower = octet | 0x20;
    const isLetter = lower >= 0x61 && lower <= 0x7a;
    if (!isLetter && !(octet >= 0x30 && octet <= 0x39)) return false;
  }
  return tag.length > 0;
}
