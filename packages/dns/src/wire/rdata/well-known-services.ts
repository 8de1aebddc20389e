/** Protocol and ports of WKS (RFC 1035 §3.4.2), obsolete (RFC 1123 §2.2): numbers in both directions. */
import type { Field } from "./field.ts";

export interface WellKnownServices {
  /** IP protocol number; 6 is TCP, 17 is UDP. */
  readonly protocol: number;
  readonly ports: readonly number[];
}

const PROTOCOLS: Readonly<Record<string, number>> = { TCP: 6, UDP: 17 };
const BITMAP_OCTETS_MAX = 8192;
const TOO_LONG = "WKS has more than 65536 ports";

export const wellKnownServices: Field<WellKnownServices> = {
  read(reader) {
    const protocol = reader.uint8();
    const bits = reader.rest();
    if (bits.length > BITMAP_OCTETS_MAX) reader.fail(TOO_LONG);
    // Allowed, but no list of ports gives it back.
    if (bits[bits.length - 1] === 0) reader.fail("WKS ends in zeros");
    const ports: number[] = [];
    for (let port = 0; port < bits.length * 8; port++) {
      if (((bits[port >>> 3] ?? 0) & (0x80 >>> (port & 7))) !== 0) ports.push(port);
    }
    return { protocol, ports };
  },
  skip(reader) {
    reader.skip(1);
    if (reader.remaining > BITMAP_OCTETS_MAX) reader.fail(TOO_LONG);
    reader.skip(reader.remaining);
  },
  write(writer, { protocol, ports }) {
    const last = ports.reduce((most, port) => Math.max(most, port), -1);
    if (last > 0xffff) return `port ${last} is more than 65535`;
    const bits = new Uint8Array(Math.ceil((last + 1) / 8));
    for (const port of ports) bits[port >>> 3] = (bits[port >>> 3] ?? 0) | (0x80 >>> (port & 7));
    writer.uint8(protocol);
    writer.octets(bits);
    return undefined;
  },
  toText: ({ protocol, ports }) => [protocol, ...ports].join(" "),
  parse(tokens) {
    const text = tokens.peek()?.text.toUpperCase() ?? "";
    const known = Object.hasOwn(PROTOCOLS, text) ? PROTOCOLS[text] : undefined;
    const protocol = known ?? tokens.number("protocol", 255);
    if (known !== undefined) tokens.next("protocol");
    const ports: number[] = [];
    while (tokens.remaining > 0) ports.push(tokens.number("port", 0xffff));
    return { protocol, ports };
  },
};
