/**
 * EDNS client subnet (RFC 7871 §6). The address on the wire is cut after the source prefix; here it always has all
 * its octets, with zeros behind the prefix.
 */
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { uint16At } from "../octets.ts";
import { type Parsed, parsed, problem } from "../parsed.ts";
import type { EdnsOption } from "./edns.ts";

/** Part of a client's address. */
export interface ClientSubnet {
  /** 4 or 16 octets; none for family 0, which some clients send to ask for no subnet at all. */
  readonly address: Uint8Array;
  /** Leading bits that were sent; 0 asks that no address is passed on (RFC 7871 §7.1.2). */
  readonly sourcePrefixBits: number;
  /** In replies the bits for which the answer is meant; 0 in queries. */
  readonly scopePrefixBits: number;
}

/** A client subnet option; bits behind the source prefix are not sent. Throws a RangeError for impossible lengths. */
export function makeClientSubnet(subnet: ClientSubnet): EdnsOption {
  const { address, sourcePrefixBits, scopePrefixBits } = subnet;
  const family = FAMILY_OF_OCTETS.get(address.length);
  const bitsMax = address.length * 8;
  if (family === undefined) throw new RangeError("client subnet address is not 4 or 16 octets long");
  if (
    !(
      sourcePrefixBits >= 0 &&
      sourcePrefixBits <= bitsMax &&
      scopePrefixBits >= 0 &&
      scopePrefixBits <= bitsMax
    )
  )
    throw new RangeError(`client subnet prefix is not 0 to ${bitsMax} bits long`);
  const octets = Math.ceil(sourcePrefixBits / 8);
  const data = new Uint8Array(FIXED_OCTETS + octets);
  data[1] = family;
  data[2] = sourcePrefixBits;
  data[3] = scopePrefixBits;
  data.set(address.subarray(0, octets), FIXED_OCTETS);
  const last = data.length - 1;
  if (octets > 0) data[last] = (data[last] ?? 0) & lastOctetMask(sourcePrefixBits);
  return { code: EdnsOptionCode.ClientSubnet, data };
}

/** Reads a client subnet; wrong lengths, unknown families and set bits behind the prefix are problems (RFC 7871 §6). */
export function tryReadClientSubnet(data: Uint8Array): Parsed<ClientSubnet> {
  if (data.length < FIXED_OCTETS) return problem("client subnet is shorter than 4 octets");
  const octetsMax = OCTETS_OF_FAMILY.get(uint16At(data, 0));
  if (octetsMax === undefined) return problem("client subnet has an unknown address family");
  const sourcePrefixBits = data[2] ?? 0;
  const scopePrefixBits = data[3] ?? 0;
  if (sourcePrefixBits > octetsMax * 8 || scopePrefixBits > octetsMax * 8)
    return problem("client subnet prefix is longer than an address of its family");
  const octets = Math.ceil(sourcePrefixBits / 8);
  if (data.length !== FIXED_OCTETS + octets)
    return problem("client subnet address does not have the length of its prefix");
  if (octets > 0 && ((data[data.length - 1] ?? 0) & ~lastOctetMask(sourcePrefixBits)) !== 0)
    return problem("client subnet has bits set behind its prefix");
  const address = new Uint8Array(octetsMax);
  address.set(data.subarray(FIXED_OCTETS));
  return parsed({ address, sourcePrefixBits, scopePrefixBits });
}

/** The bits of the last octet that a prefix reaches. */
function lastOctetMask(bits: number): number {
  return bits % 8 === 0 ? 0xff : 0xff & (0xff << (8 - (bits % 8)));
}

const FIXED_OCTETS = 4;
/** Address family numbers: 1 IPv4, 2 IPv6. */
const OCTETS_OF_FAMILY: ReadonlyMap<number, number> = new Map([
  [0, 0],
  [1, 4],
  [2, 16],
]);
const FAMILY_OF_OCTETS: ReadonlyMap<number, number> = new Map(
  [...OCTETS_OF_FAMILY].map(([family, octets]) => [octets, family]),
);
