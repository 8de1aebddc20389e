/**
 * Changes an encoded reply in place: id, flags and TTLs, and the OPT record at its end. This is how a cached reply
 * becomes this client's reply without being decoded.
 */
import { RRType } from "./iana/rr-type.ts";
import { HEADER_OCTETS } from "./message.ts";
import { skipName } from "./name.ts";
import { setUint16, setUint32, uint16At, uint32At } from "./octets.ts";
import { type Parsed, parsed, problem } from "./parsed.ts";

/** Sets the message id of the message that starts at `start`. */
export function patchId(octets: Uint8Array, start: number, id: number): void {
  setUint16(octets, start, id);
}

/** Sets the whole second header word of the message that starts at `start`. */
export function patchFlags(octets: Uint8Array, start: number, flags: number): void {
  setUint16(octets, start + 2, flags);
}

/**
 * Offsets of the TTL fields of all records but OPT, and the smallest TTL (Infinity without records), so that a cache
 * can age a reply without parsing it again.
 */
export function tryFindTtls(message: Uint8Array): Parsed<{ offsets: Uint16Array; smallestTtl: number }> {
  let at = HEADER_OCTETS;
  for (let i = 0; i < uint16At(message, 4); i++) {
    const next = skipName(message, at, message.length);
    if (next < 0) return problem("question runs past the end");
    at = next + 4;
  }
  const records = uint16At(message, 6) + uint16At(message, 8) + uint16At(message, 10);
  const offsets: number[] = [];
  let smallestTtl = Number.POSITIVE_INFINITY;
  for (let i = 0; i < records; i++) {
    const fixed = skipName(message, at, message.length);
    if (fixed < 0 || fixed + 10 > message.length) return problem("record runs past the end");
    if (uint16At(message, fixed) !== RRType.OPT) {
      offsets.push(fixed + 4);
      smallestTtl = Math.min(smallestTtl, uint32At(message, fixed + 4));
    }
    at = fixed + 10 + uint16At(message, fixed + 8);
  }
  return at === message.length
    ? parsed({ offsets: Uint16Array.from(offsets), smallestTtl })
    : problem("records do not end with the message");
}

/** Lowers each TTL by `elapsedSeconds`, not below zero, in the message that starts at `start`. */
export function ageTtls(
  octets: Uint8Array,
  start: number,
  offsets: Uint16Array,
  elapsedSeconds: number,
): void {
  if (elapsedSeconds === 0) return;
  for (let i = 0; i < offsets.length; i++) {
    const at = start + (offsets[i] ?? 0);
    const ttl = uint32At(octets, at);
    setUint32(octets, at, ttl > elapsedSeconds ? ttl - elapsedSeconds : 0);
  }
}

/** What {@link appendOpt} writes. */
export interface OptPatch {
  readonly udpPayloadOctets: number;
  readonly dnssecOk: boolean;
  /** Upper eight bits of the response code. */
  readonly upperRcode: number;
  /** Encoded options without padding. */
  readonly options: Uint8Array;
  /** Data octets of a final padding option; -1 for none. */
  readonly paddingOctets: number;
}

/**
 * Appends an OPT record to the message that starts at `start` and ends at `end`, counts it, and gives the new end.
 * The buffer must have room.
 */
export function appendOpt(octets: Uint8Array, start: number, end: number, opt: OptPatch): number {
  setUint16(octets, start + 10, uint16At(octets, start + 10) + 1);
  octets[end] = 0;
  setUint16(octets, end + 1, RRType.OPT);
  setUint16(octets, end + 3, opt.udpPayloadOctets);
  octets[end + 5] = opt.upperRcode;
  octets[end + 6] = 0;
  setUint16(octets, end + 7, opt.dnssecOk ? 0x8000 : 0);
  octets.set(opt.options, end + 11);
  let at = end + 11 + opt.options.length;
  if (opt.paddingOctets >= 0) {
    setUint16(octets, at, 12);
    setUint16(octets, at + 2, opt.paddingOctets);
    octets.fill(0, at + 4, at + 4 + opt.paddingOctets);
    at += 4 + opt.paddingOctets;
  }
  setUint16(octets, end + 9, at - end - 11);
  return at;
}
