/** TKEY (RFC 2930) and TSIG (RFC 8945): never in zones, shown when they come in messages. */
import { octetsToBase64, tryBase64ToOctets } from "./base-encoding.ts";
import { type Field, named, uint16 } from "./field.ts";

/** Error of a transaction signature or key exchange (RFC 8945 §3, RFC 2930 §2.6): 16 is not EDNS's BADVERS here. */
export const transactionError: Field<number> = named(uint16, {
  ...{ NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, NOTAUTH: 9 },
  ...{ BADSIG: 16, BADKEY: 17, BADTIME: 18, BADMODE: 19, BADNAME: 20, BADALG: 21, BADTRUNC: 22 },
});

/** Octets behind a 16-bit length, printed as the length and base64 (nothing for length 0). */
export const countedBase64: Field<Uint8Array> = {
  read: (reader) => reader.take(reader.uint16()),
  skip: (reader) => reader.skip(reader.uint16()),
  write(writer, value) {
    if (value.length > 0xffff) return "value is longer than 65535 octets";
    writer.uint16(value.length);
    writer.octets(value);
    return undefined;
  },
  toText: (value) => (value.length === 0 ? "0" : `${value.length} ${octetsToBase64(value)}`),
  parse(tokens, what) {
    const length = tokens.number(what, 0xffff);
    if (length === 0) return new Uint8Array(0);
    const octets = tryBase64ToOctets(tokens.next(what).text);
    if (octets.ok && octets.value.length === length) return octets.value;
    tokens.fail(octets.ok ? `${what} is not ${length} octets long` : `${what}: ${octets.problem}`);
    return new Uint8Array(0);
  },
};
