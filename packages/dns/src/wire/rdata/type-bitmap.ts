/** Sets of RR types as windows of bits (RFC 4034 §4.1.2): NSEC, NSEC3, CSYNC. */
import { type RRType, rrTypeFromText, rrTypeToText } from "../iana/rr-type.ts";
import type { OctetReader } from "../octets.ts";
import type { Field } from "./field.ts";

/** Windows must ascend, hold 1 to 32 octets, and not end in zeros. Calls `found` for each type. */
function walk(reader: OctetReader, found: ((type: RRType) => void) | undefined): void {
  let lastWindow = -1;
  while (reader.remaining > 0) {
    const window = reader.uint8();
    const octets = reader.uint8();
    const start = reader.offset;
    reader.skip(octets);
    if (reader.problem !== undefined) return;
    const isWrong = window <= lastWindow || octets < 1 || octets > 32;
    if (isWrong || reader.octets[start + octets - 1] === 0) {
      reader.fail("type bitmap is not in canonical form");
      return;
    }
    lastWindow = window;
    if (found === undefined) continue;
    for (let bit = 0; bit < octets * 8; bit++) {
      if (((reader.octets[start + (bit >>> 3)] ?? 0) & (0x80 >>> (bit & 7))) !== 0) found(window * 256 + bit);
    }
  }
}

/** Types up to the end of the rdata, ascending. */
export const typeBitmap: Field<readonly RRType[]> = {
  read(reader) {
    const types: RRType[] = [];
    walk(reader, (type) => types.push(type));
    return types;
  },
  skip: (reader) => walk(reader, undefined),
  write(writer, types) {
    const windows = new Map<number, Uint8Array>();
    for (const type of types) {
      if (!Number.isInteger(type) || type < 0 || type > 0xffff) return `${type} is not a type`;
      const bits = windows.get(type >>> 8) ?? new Uint8Array(32);
      const at = (type & 0xff) >>> 3;
      bits[at] = (bits[at] ?? 0) | (0x80 >>> (type & 7));
      windows.set(type >>> 8, bits);
    }
    for (const [window, bits] of [...windows].sort(([a], [b]) => a - b)) {
      let octets = 32;
      while (bits[octets - 1] === 0) octets--;
      writer.uint8(window);
      writer.uint8(octets);
      writer.octets(bits.subarray(0, octets));
    }
    return undefined;
  },
  toText: (types) => types.map(rrTypeToText).join(" "),
  parse(tokens) {
    const types: RRType[] = [];
    for (const { text } of tokens.rest()) {
      const type = rrTypeFromText(text);
      if (type === undefined) tokens.fail(`${JSON.stringify(text)} is not a record type`);
      else types.push(type);
    }
    return types;
  },
};
