/** How long HTTP caches may keep an answer (RFC 8484 §5.1). */
import { HEADER_OCTETS, Rcode, RRType, skipName, uint16At, uint32At } from "@sotto/dns/wire";

/**
 * The `cache-control` of an answer: the smallest TTL of its answer section, and for negative answers not more than the SOA
 * record in the authority section allows (RFC 2308 §5). Failures are not kept. `message` is one that we have made.
 */
export function cacheControlOf(message: Uint8Array): string {
  const rcode = uint16At(message, 2) & 0xf;
  if (rcode !== Rcode.NoError && rcode !== Rcode.NXDomain) return "no-store";
  return `max-age=${freshnessSeconds(message)}`;
}

/** 0 when nothing tells, and for what cannot be read. */
function freshnessSeconds(message: Uint8Array): number {
  let at = HEADER_OCTETS;
  for (let i = 0; i < uint16At(message, 4); i++) {
    const end = skipName(message, at, message.length);
    if (end < 0) return 0;
    at = end + 4;
  }
  const answers = uint16At(message, 6);
  const records = answers + uint16At(message, 8);
  let seconds = Number.POSITIVE_INFINITY;
  for (let i = 0; i < records; i++) {
    const fixed = skipName(message, at, message.length);
    if (fixed < 0 || fixed + 10 > message.length) return 0;
    const next = fixed + 10 + uint16At(message, fixed + 8);
    if (next > message.length) return 0;
    const isSoa = uint16At(message, fixed) === RRType.SOA;
    // The records of the authority section that do not deny anything are not what was asked for.
    if (i < answers || isSoa) seconds = Math.min(seconds, ttlSeconds(uint32At(message, fixed + 4)));
    // MINIMUM is the last field of a SOA record.
    if (i >= answers && isSoa && next - fixed >= 14)
      seconds = Math.min(seconds, ttlSeconds(uint32At(message, next - 4)));
    at = next;
  }
  return seconds === Number.POSITIVE_INFINITY ? 0 : seconds;
}

/** RFC 2181 §8: with the highest bit set it is zero. */
function ttlSeconds(ttl: number): number {
  return ttl > 0x7fff_ffff ? 0 : ttl;
}
