/**
 * EDNS(0): the OPT pseudo-record (RFC 6891 §6.1) as a value of its own, apart from the records of a message.
 * The upper bits of the response code live in `Message.rcode`.
 */
import type { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { OctetReader, type OctetWriter } from "../octets.ts";
import { type Parsed, parsed, problem } from "../parsed.ts";

/** One option as it stands on the wire; codecs beside this file give it meaning. */
export interface EdnsOption {
  readonly code: EdnsOptionCode;
  readonly data: Uint8Array;
}

/** The content of an OPT record. */
export interface Edns {
  /** Largest UDP payload the sender takes, octets; values below 512 count as 512 (RFC 6891 §6.2.3). */
  readonly udpPayloadOctets: number;
  readonly version: number;
  /** DO: send DNSSEC records (RFC 3225). */
  readonly dnssecOk: boolean;
  /** The 15 flags after DO, zero unless somebody is testing (RFC 6891 §6.1.4). */
  readonly reservedFlags: number;
  readonly options: readonly EdnsOption[];
}

/** A size that avoids fragments on nearly all paths (RFC 9715 §3, DNS flag day 2020). */
export const UDP_PAYLOAD_OCTETS_DEFAULT = 1232;

/** An OPT with our defaults and the given parts. */
export function makeEdns(parts: Partial<Edns> = {}): Edns {
  return {
    udpPayloadOctets: UDP_PAYLOAD_OCTETS_DEFAULT,
    version: 0,
    dnssecOk: false,
    reservedFlags: 0,
    options: [],
    ...parts,
  };
}

/** Splits the rdata of an OPT record into options; `data` are views. Unknown codes are kept (RFC 6891 §6.1.2). */
export function tryReadOptions(rdata: Uint8Array): Parsed<EdnsOption[]> {
  const reader = new OctetReader(rdata);
  const options: EdnsOption[] = [];
  while (reader.remaining > 0) {
    const code = reader.uint16();
    const data = reader.take(reader.uint16());
    options.push({ code, data });
  }
  return reader.problem === undefined ? parsed(options) : problem("EDNS option runs past the OPT record");
}

/** Octets of an OPT record on the wire. */
export function ednsOctets(edns: Edns): number {
  let octets = OPT_FIXED_OCTETS;
  for (const option of edns.options) octets += OPTION_HEADER_OCTETS + option.data.length;
  return octets;
}

/** Writes the OPT record; `rcode` gives the upper eight bits of the response code. */
export function writeEdns(writer: OctetWriter, edns: Edns, rcode: number): void {
  writer.uint8(0);
  writer.uint16(41);
  writer.uint16(edns.udpPayloadOctets);
  writer.uint8(rcode >>> 4);
  writer.uint8(edns.version);
  writer.uint16((edns.dnssecOk ? 0x8000 : 0) | edns.reservedFlags);
  const lengthAt = writer.length;
  writer.uint16(0);
  for (const option of edns.options) {
    writer.uint16(option.code);
    writer.uint16(option.data.length);
    writer.octets(option.data);
  }
  writer.setUint16(lengthAt, writer.length - lengthAt - 2);
}

/** Root owner, type, class, TTL and RDLENGTH. */
export const OPT_FIXED_OCTETS = 11;
/** OPTION-CODE and OPTION-LENGTH. */
export const OPTION_HEADER_OCTETS = 4;
