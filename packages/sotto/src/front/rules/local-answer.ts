/** Answers from configuration and lists: records whose owner is whatever name was asked for. */
import {
  type MessageView,
  NAME_OCTETS_MAX,
  Name,
  type Parsed,
  parsed,
  parseRecord,
  problem,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
  rcodeToText,
  tryParseRecord,
} from "@sotto/dns/wire";

/** An answer before it is known who asks for what. */
export interface AnswerTemplate {
  readonly rcode: Rcode;
  /** Their owner is the root and means the qname. */
  readonly records: readonly ResourceRecord[];
  /** For negative answers (RFC 2308 §3), with an owner as above. */
  readonly soa: ResourceRecord;
  /** In the place of records: an alias to the qname with this name behind it (`CNAME *.name` of a policy zone). */
  readonly below?: { readonly name: Name; readonly ttl: number } | undefined;
}

/** The answer to one question. */
export interface LocalAnswer {
  readonly rcode: Rcode;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** Seconds for which it may be kept: the smallest of its records. */
  readonly ttl: number;
  /** Where the answer, which is an alias, leads to; undefined when it is the answer as it is. */
  readonly target?: Name | undefined;
}

/**
 * Reads records in zone file form, whose owner is written `@`. `ttl`, seconds, is for those without one and for negative
 * answers. A CNAME stands alone (RFC 1034 §3.6.2), and only NOERROR has records.
 */
export function tryMakeTemplate(texts: readonly string[], rcode: Rcode, ttl: number): Parsed<AnswerTemplate> {
  const records: ResourceRecord[] = [];
  for (const text of texts) {
    const record = tryParseRecord(text, { ttl });
    if (!record.ok) return record;
    if (!record.value.owner.isRoot)
      return problem(`${JSON.stringify(text)} has an owner, write @ for the name that was asked for`);
    records.push(record.value);
  }
  return templateOf(records, rcode, ttl);
}

/** The same from records. */
export function templateOf(
  records: readonly ResourceRecord[],
  rcode: Rcode,
  ttl: number,
): Parsed<AnswerTemplate> {
  if (records.length > RECORDS_MAX) return problem(`an answer has more than ${RECORDS_MAX} records`);
  if (records.length > 0 && rcode !== Rcode.NoError)
    return problem(`an answer with records is NOERROR, not ${rcodeToText(rcode)}`);
  if (records.length > 1 && records.some(({ type }) => type === RRType.CNAME))
    return problem("a CNAME stands alone, without other records (RFC 1034 §3.6.2)");
  return parsed({ rcode, records, soa: soaOf(ttl) });
}

/** The SOA that says how long a negative answer may be kept (RFC 2308 §5). */
function soaOf(ttl: number): ResourceRecord {
  return parseRecord(`. ${ttl} IN SOA nobody.invalid. nobody.invalid. 1 3600 1200 604800 ${ttl}`);
}

/** What a question gets: the records of its type, or the alias, or nothing with a SOA. */
export function answerTo(template: AnswerTemplate, view: MessageView): LocalAnswer {
  const { qname: owner, qtype, qclass } = view;
  const answers: ResourceRecord[] = [];
  const own = template.below === undefined ? template.records : aliasBelow(template.below, owner);
  // What is too long for a name is no name (RFC 6672 §2.2, of DNAME).
  if (own === undefined) return { rcode: Rcode.YXDomain, answers, authorities: [], ttl: 0 };
  for (const record of own) {
    // An alias is the answer to all types but NSEC, which lives beside it (RFC 4034 §4).
    const isWanted =
      record.type === qtype ||
      qtype === RRType.ANY ||
      (record.type === RRType.CNAME && qtype !== RRType.NSEC);
    if (isWanted && (record.class === qclass || qclass === RRClass.ANY)) answers.push({ ...record, owner });
  }
  if (answers.length > 0) {
    let ttl = Number.POSITIVE_INFINITY;
    for (const record of answers) ttl = Math.min(ttl, record.ttl);
    return { rcode: template.rcode, answers, authorities: [], ttl, target: targetOf(answers, qtype) };
  }
  const { soa } = template;
  const isKnown = template.rcode === Rcode.NoError || template.rcode === Rcode.NXDomain;
  return {
    rcode: template.rcode,
    answers,
    authorities: isKnown ? [{ ...soa, owner }] : [],
    ttl: isKnown ? soa.ttl : 0,
  };
}

/** `www.example.` with `garden.test.`: `www.example.garden.test.`; undefined when that is too long. */
function aliasBelow(
  { name, ttl }: NonNullable<AnswerTemplate["below"]>,
  owner: Name,
): readonly ResourceRecord[] | undefined {
  const octets = owner.wire.length - 1 + name.wire.length;
  if (octets > NAME_OCTETS_MAX) return undefined;
  const rdata = new Uint8Array(octets);
  rdata.set(owner.wire);
  rdata.set(name.wire, owner.wire.length - 1);
  return [{ owner, type: RRType.CNAME, class: RRClass.IN, ttl, rdata }];
}

/** Who asks for the alias itself has it. */
function targetOf([first]: readonly ResourceRecord[], qtype: number): Name | undefined {
  const isAlias = first?.type === RRType.CNAME && qtype !== RRType.CNAME && qtype !== RRType.ANY;
  return isAlias && !first.owner.equals(new Name(first.rdata)) ? new Name(first.rdata) : undefined;
}

/** More do not fit into an answer that anybody wants. */
const RECORDS_MAX = 100;
