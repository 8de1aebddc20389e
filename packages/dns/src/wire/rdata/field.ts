/**
 * Fields: the pieces that rdata is made of. Each knows all directions: octets to value and back, value to text and back,
 * and how to check octets without making a value. A record type is a list of named fields (`types.ts`). Here are the
 * shape, numbers and names.
 */
import type { Name } from "../name.ts";
import type { OctetReader, OctetWriter } from "../octets.ts";
import type { FormatProblem } from "../parsed.ts";
import type { TokenReader } from "../text-token.ts";

/** One piece of rdata. */
export interface Field<T> {
  /** Reads a value; problems are noted in the reader. */
  read(reader: OctetReader): T;
  /** Like `read`, without making a value; accepts forms that only a later version of the type's RFC would explain. */
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

/** A number that has names: all that `fromText` knows are understood, and what `toText` gives is printed. */
export function mnemonic(
  base: Field<number>,
  fromText: (text: string) => number | undefined,
  toText: (value: number) => string = String,
): Field<number> {
  return {
    ...base,
    toText,
    parse(tokens, what) {
      const known = fromText(tokens.peek()?.text ?? "");
      if (known === undefined) return base.parse(tokens, what);
      tokens.next(what);
      return known;
    },
  };
}

/** A number that has few names, understood without regard to case and printed. */
export function named(base: Field<number>, values: Readonly<Record<string, number>>): Field<number> {
  const byName = new Map(Object.entries(values));
  const byValue = new Map(Object.entries(values).map(([name, value]) => [value, name]));
  return mnemonic(
    base,
    (text) => byName.get(text.toUpperCase()),
    (value) => byValue.get(value) ?? String(value),
  );
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
