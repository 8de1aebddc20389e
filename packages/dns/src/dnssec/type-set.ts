/** The types that NSEC and NSEC3 list, looked at without decoding them all (RFC 4034 §4.1.2). */
import type { RRType } from "@sotto/dns/wire";

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
