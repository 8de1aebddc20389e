/** Which replies of the pipeline are kept in the message cache, and for how long beyond what their TTLs say. */
import type { Reply } from "@sotto/dns/transport";
import {
  type Message,
  type MessageView,
  Rcode,
  type ResourceRecord,
  RRType,
  uint32At,
} from "@sotto/dns/wire";

/** Longest life in seconds, Infinity when the TTLs alone decide, 0 when the reply must not be kept. */
export function cacheLifeSeconds(view: MessageView, reply: Reply): number {
  // Local answers cost nothing to make and change with the configuration; errors explain this one query.
  if (reply.isPersonal === true || reply.protection === "local" || reply.extendedErrors.length > 0) return 0;
  if (!view.recursionDesired) return 0;
  if (!isNegative(view, reply.message)) return Number.POSITIVE_INFINITY;
  // RFC 2308 §5: without a SOA it is unknown for how long; a referral is none either.
  const soa = soaOf(reply.message);
  return soa === undefined ? 0 : negativeTtl(soa);
}

/**
 * The authority section with the negative TTL on its SOA (RFC 2308 §5), so that it goes down with the reply's age;
 * otherwise clients would add the SOA's MINIMUM to the time that the reply has been here.
 */
export function authoritiesOf(view: MessageView, message: Message): readonly ResourceRecord[] {
  const { authorities } = message;
  const soa = isNegative(view, message) ? soaOf(message) : undefined;
  if (soa === undefined || negativeTtl(soa) === soa.ttl) return authorities;
  return authorities.map((record) => (record === soa ? { ...soa, ttl: negativeTtl(soa) } : record));
}

/** NXDOMAIN, and NODATA, also at the end of a chain of aliases. */
function isNegative(view: MessageView, message: Message): boolean {
  if (message.rcode === Rcode.NXDomain) return true;
  if (message.rcode !== Rcode.NoError) return false;
  if (view.qtype === RRType.ANY) return message.answers.length === 0;
  return !message.answers.some((record) => record.type === view.qtype);
}

function soaOf(message: Message): ResourceRecord | undefined {
  return message.authorities.find((record) => record.type === RRType.SOA);
}

/** The smaller of TTL and MINIMUM, the last field. */
function negativeTtl(soa: ResourceRecord): number {
  const minimumAt = soa.rdata.length - 4;
  return minimumAt < 0 ? soa.ttl : Math.min(soa.ttl, uint32At(soa.rdata, minimumAt));
}
