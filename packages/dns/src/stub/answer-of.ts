/** Finds the answer in a message: the end of its aliases, the records there, and how long all that may be kept. */
import { type Message, Name, Rcode, type ResourceRecord, RRType, uint16At } from "@sotto/dns/wire";

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
    // There should be one; who validates has to see all of them.
    const here: ResourceRecord[] = [];
    for (const record of message.answers) {
      const isWanted = record.type === qtype || qtype === RRType.ANY;
      if (!isWanted && record.type !== RRType.CNAME) continue;
      if (record.owner.equals(current)) (isWanted ? records : here).push(record);
    }
    if (records.length > 0) {
      if (qtype === RRType.CNAME) aliases.push(...dnamesBehind(records, message));
      return finish(message, current, records, aliases);
    }
    const [alias] = here;
    if (alias === undefined) break;
    aliases.push(...dnamesBehind(here, message), ...here);
    current = new Name(alias.rdata);
  }
  return finish(message, current, [], aliases);
}

/** The DNAMEs that make one of these CNAMEs (RFC 6672 §2.2). */
function dnamesBehind(cnames: readonly ResourceRecord[], { answers }: Message): ResourceRecord[] {
  return answers.filter(
    (dname) => dname.type === RRType.DNAME && cnames.some((cname) => isMadeBy(cname, dname)),
  );
}

/** True for the CNAME that a DNAME stands for at one name below it. */
export function isMadeBy(
  cname: Pick<ResourceRecord, "owner" | "rdata">,
  dname: Pick<ResourceRecord, "owner" | "rdata">,
): boolean {
  if (!cname.owner.isBelow(dname.owner)) return false;
  const made = cname.owner.replaceSuffix(dname.owner, new Name(dname.rdata));
  return made?.equals(new Name(cname.rdata)) === true;
}

/** The message without records in its answer section that are no part of the answer; signatures over those that are stay. */
export function withoutStrangers(message: Message, { aliases, records }: FoundAnswer): Message {
  const parts = new Set([...aliases, ...records].map(({ owner, type }) => setKey(owner, type)));
  const answers = message.answers.filter(({ owner, type, rdata }) => {
    if (parts.has(setKey(owner, type))) return true;
    return type === RRType.RRSIG && rdata.length >= 2 && parts.has(setKey(owner, uint16At(rdata, 0)));
  });
  return { ...message, answers };
}

/** Equal for records of one set. */
export function setKey(owner: Name, type: RRType): string {
  return String.fromCharCode(type) + owner.key;
}

function finish(
  message: Message,
  canonicalName: Name,
  records: readonly ResourceRecord[],
  aliases: readonly ResourceRecord[],
): FoundAnswer {
  // RFC 2181 §8: a TTL with the top bit set counts as 0.
  const lifeOf = (ttl: number): number => (ttl > 0x7fff_ffff ? 0 : ttl);
  let ttlSeconds = records.length === 0 ? negativeTtl(message) : Number.POSITIVE_INFINITY;
  if (!mayBeKept(message)) ttlSeconds = 0;
  for (const { ttl } of aliases) ttlSeconds = Math.min(ttlSeconds, lifeOf(ttl));
  for (const { ttl } of records) ttlSeconds = Math.min(ttlSeconds, lifeOf(ttl));
  return { canonicalName, records, aliases, ttlSeconds };
}

/** Failures are for the present question only, and so is what was cut off (RFC 2181 §9). */
function mayBeKept({ rcode, isTruncated }: Message): boolean {
  return !isTruncated && (rcode === Rcode.NoError || rcode === Rcode.NXDomain);
}

/** RFC 2308 §5: the smaller of the SOA's TTL and its last field; without a SOA nothing is kept. */
function negativeTtl({ authorities }: Message): number {
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
