/** The types that NSEC and NSEC3 list, looked at without decoding them all (RFC 4034 §4.1.2). */
import { RRType } from "@sotto/dns/wire";

/** True when the bitmap from `start` to the end of `rdata` has the type. */
export function bitmapHas(rdata: Uint8Array, start: number, type: RRType): boolean {
  let at = start;
  while (at + 2 <= rdata.length) {
    const octets = rdata[at + 1] ?? 0;
    if (rdata[at] === type >>> 8) {
      const octet = (type & 0xff) >>> 3;
      return octet < octets && ((rdata[at + 2 + octet] ?? 0) & (0x80 >>> (type & 7))) !== 0;
    }
    at += 2 + octets;
  }
  return false;
}

/** True when a question for the type has an answer where these types are; ANY asks for all of them (RFC 6840 §4.2). */
export function bitmapAnswers(rdata: Uint8Array, start: number, qtype: RRType): boolean {
  if (bitmapHas(rdata, start, qtype)) return true;
  if (qtype !== RRType.ANY) return false;
  for (let at = start; at + 2 <= rdata.length; at += 2 + (rdata[at + 1] ?? 0)) {
    const bits = rdata.subarray(at + 2, at + 2 + (rdata[at + 1] ?? 0));
    if (bits.some((octet, i) => (octet & ~(rdata[at] === 0 ? bitsOfDenial(i) : 0)) !== 0)) return true;
  }
  return false;
}

/** RRSIG, NSEC and NXNAME are all that servers list at names that they deny with a record of their own (RFC 9824 §2). */
function bitsOfDenial(octet: number): number {
  if (octet === RRType.RRSIG >>> 3) return (0x80 >>> (RRType.RRSIG & 7)) | (0x80 >>> (RRType.NSEC & 7));
  return octet === RRType.NXNAME >>> 3 ? 0x80 >>> (RRType.NXNAME & 7) : 0;
}
