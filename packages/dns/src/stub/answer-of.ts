/** Finds the answer in a message: the end of its aliases, the records there, and how long all that may be kept. */
import { type Message, Name, Rcode, type ResourceRecord, RRType } from "@sotto/dns/wire";

export interface FoundAnswer {
  readonly canonicalName: Name;
  readonly records: readonly ResourceRecord[];
  /** The aliases that lead there, with the DNAMEs behind them. */
  readonly aliases: readonly ResourceRecord[];
  readonly ttlSeconds: number;
}

/** Follows CNAMEs from the question through the answer section; loops end. */
export function answerOf(message: Message, qname: Name, qtype: RRType): FoundAnswer {
  const aliases: ResourceRecord[] = [];
  let current = qname;
  for (let links = 0; links <= ALIASES_MAX; links++) {
    const records: ResourceRecord[] = [];
    let alias: ResourceRecord | undefined;
    for (const record of message.answers) {
      const isWanted = record.type === qtype || qtype === RRType.ANY;
      if (!isWanted && record.type !== RRType.CNAME) continue;
      if (!record.owner.equals(current)) continue;
      if (isWanted) records.push(record);
      else alias ??= record;
    }
    if (records.length > 0) return finish(message, current, records, aliases);
    if (alias === undefined) break;
    aliases.push(alias);
    current = new Name(alias.rdata);
  }
  return finish(message, current, [], aliases);
}

function finish(
  message: Message,
  canonicalName: Name,
  records: readonly ResourceRecord[],
  aliases: readonly ResourceRecord[],
): FoundAnswer {
  let ttlSeconds = records.length === 0 ? negativeTtl(message) : Number.POSITIVE_INFINITY;
  for (const { ttl } of aliases) ttlSeconds = Math.min(ttlSeconds, ttl);
  for (const { ttl } of records) ttlSeconds = Math.min(ttlSeconds, ttl);
  return { canonicalName, records, aliases, ttlSeconds };
}

/** RFC 2308 §5: the smaller of the SOA's TTL and its last field; without a SOA nothing is kept. */
function negativeTtl({ authorities, rcode }: Message): number {
  if (rcode !== Rcode.NoError && rcode !== Rcode.NXDomain) return 0;
  const soa = authorities.find(({ type }) => type === RRType.SOA);
  if (soa === undefined || soa.rdata.length < 4) return 0;
  const minimum = new DataView(soa.rdata.buffer, soa.rdata.byteOffset, soa.rdata.length).getUint32(
    soa.rdata.length - 4,
  );
  return Math.min(soa.ttl, minimum, NEGATIVE_TTL_SECONDS_MAX);
}

/** As many as resolvers follow. */
const ALIASES_MAX = 16;
const NEGATIVE_TTL_SECONDS_MAX = 3600;
