/** Lists of address prefixes (RFC 3123): `1:192.168.32.0/21 !1:192.168.38.0/28`. */
import { addressToText, tryParseAddress } from "../ip-address.ts";
import type { OctetReader } from "../octets.ts";
import type { Field } from "./field.ts";

/** One item; `address` has the octets that are on the wire, without trailing zeros. */
export interface AddressPrefix {
  /** Address family number: 1 is IPv4, 2 is IPv6. */
  readonly family: number;
  readonly bits: number;
  readonly isNegated: boolean;
  readonly address: Uint8Array;
}

/** Octets of a whole address of a family that we can print. */
const FAMILY_OCTETS: Readonly<Record<number, number>> = { 1: 4, 2: 16 };

/** Reads items up to the end and calls `found` for each; families without a text form are left to `found`. */
function walk(reader: OctetReader, found: ((item: AddressPrefix) => void) | undefined): void {
  while (reader.remaining > 0) {
    const family = reader.uint16();
    const bits = reader.uint8();
    const length = reader.uint8();
    const address = reader.take(length & 0x7f);
    const octets = FAMILY_OCTETS[family] ?? 0x7f;
    // RFC 3123 §4: no trailing zero octets, whatever the family.
    if (!isCanonical(octets, bits, address)) reader.fail("APL item is not in canonical form");
    found?.({ family, bits, isNegated: (length & 0x80) !== 0, address });
  }
}

function isCanonical(octets: number, bits: number, address: Uint8Array): boolean {
  return bits <= octets * 8 && address.length <= octets && address[address.length - 1] !== 0;
}

export const addressPrefixes: Field<readonly AddressPrefix[]> = {
  read(reader) {
    const items: AddressPrefix[] = [];
    walk(reader, (item) => {
      if (FAMILY_OCTETS[item.family] === undefined) reader.fail("APL has an unknown address family");
      items.push(item);
    });
    return items;
  },
  skip: (reader) => walk(reader, undefined),
  write(writer, items) {
    for (const { family, bits, isNegated, address } of items) {
      const octets = FAMILY_OCTETS[family];
      if (octets === undefined || !isCanonical(octets, bits, address))
        return "address prefix cannot be written";
      writer.uint16(family);
      writer.uint8(bits);
      writer.uint8((isNegated ? 0x80 : 0) | address.length);
      writer.octets(address);
    }
    return undefined;
  },
  toText: (items) =>
    items
      .map(({ family, bits, isNegated, address }) => {
        const whole = new Uint8Array(FAMILY_OCTETS[family] ?? 0);
        whole.set(address);
        return `${isNegated ? "!" : ""}${family}:${addressToText(whole)}/${bits}`;
      })
      .join(" "),
  parse(tokens) {
    const items: AddressPrefix[] = [];
    for (const { text } of tokens.rest()) {
      const parts = /^(!?)([12]):([^/]+)\/([0-9]{1,3})$/.exec(text);
      const address = tryParseAddress(parts?.[3] ?? "");
      const family = Number(parts?.[2] ?? "0");
      const bits = Number(parts?.[4] ?? "0");
      if (!address.ok || address.value.length !== FAMILY_OCTETS[family] || bits > address.value.length * 8) {
        tokens.fail(`${JSON.stringify(text)} is not an address prefix such as 1:192.0.2.0/24`);
        break;
      }
      let octets = address.value.length;
      while (octets > 0 && address.value[octets - 1] === 0) octets--;
      items.push({ family, bits, isNegated: parts?.[1] === "!", address: address.value.slice(0, octets) });
    }
    return items;
  },
};
