/**
 * Decides what a reply of an authoritative server says, and takes from it only what that server may say: records at or
 * below the zone it was asked for, that answer the question (RFC 5452 §6, RFC 2181 §5.4.1). Pure: no cache, no clock.
 * Whether the reply belongs to the query (id, question, address) has been checked by the exchange.
 */
import { type Lameness, type NegativeAnswer, type RRset, Trust } from "@sotto/dns/cache";
import { type Message, Name, Rcode, type ResourceRecord, RRType, rcodeToText } from "@sotto/dns/wire";
import type { Sought } from "./outcome.ts";
import { type Referral, readReferral } from "./referral.ts";
import { collectRRsets, proofsOf, type RRsetTable } from "./rrset-table.ts";

/** What was asked, of whom. */
export interface Asked {
  readonly sought: Sought;
  /** The zone the server is said to be an authority for. */
  readonly zone: Name;
  /** RD was set, so an answer from elsewhere is what was asked for. */
  readonly recursionDesired: boolean;
  /** A forwarder was asked: what it has to say is all there is. Default false. */
  readonly isForwarder?: boolean;
  /** The zone is known to be signed, so that what has no valid signature will not be believed. Default false. */
  readonly isSigned?: boolean;
  /** Takes addresses of servers from outside of the zone, too. Default false. */
  readonly trustsAllGlue?: boolean;
  /** Records that must not come from outside were in the reply. Default false. */
  readonly isCurtailed?: boolean;
}

/** A set with the trust it deserves. */
export interface FoundRRset {
  readonly rrset: RRset;
  readonly trust: Trust;
}

export type Scrubbed =
  | {
      readonly kind: "answer";
      readonly chain: readonly FoundRRset[];
      readonly rrsets: readonly FoundRRset[];
      readonly proofs: readonly RRset[];
    }
  /** Aliases that end in a name this reply says nothing about. */
  | {
      readonly kind: "alias";
      readonly chain: readonly FoundRRset[];
      readonly target: Name;
      readonly proofs: readonly RRset[];
    }
  /** A DNAME makes a name that is too long (RFC 6672 §2.2). */
  | { readonly kind: "overflow"; readonly chain: readonly FoundRRset[] }
  | { readonly kind: "negative"; readonly answer: NegativeAnswer }
  | { readonly kind: "referral"; readonly referral: Referral }
  /** The server does not serve the zone. */
  | { readonly kind: "lame"; readonly lameness: Lameness; readonly reason: string }
  /** No answer, no authority, at most a referral to the zone itself: NODATA if nobody knows better, as in Unbound. */
  | { readonly kind: "empty"; readonly answer: NegativeAnswer }
  /** A DS was asked of a server of the zone itself, which cannot know (RFC 4035 §3.1.4.1). */
  | { readonly kind: "child side" }
  /** The server may not understand EDNS (RFC 6891 §7). */
  | { readonly kind: "no edns"; readonly reason: string }
  /** Nothing to be had from this server for this question. */
  | { readonly kind: "broken"; readonly reason: string };

/** Classifies a reply and scrubs it. */
export function scrub(message: Message, asked: Asked): Scrubbed {
  const said = classify(message, asked);
  return asked.isCurtailed === true ? ofCurtailed(said) : said;
}

/** What is left of an answer may look like another one: no other server has a better one, and none is lame. */
function ofCurtailed(said: Scrubbed): Scrubbed {
  switch (said.kind) {
    case "empty":
    case "negative":
      return { kind: "negative", answer: { ...said.answer, isBlocked: true } };
    case "lame":
    case "broken":
      return { kind: "broken", reason: BLOCKED_REASON };
    default:
      return said;
  }
}

/** Why nothing is left of a reply. */
export const BLOCKED_REASON = "addresses inside private-addresses";

function classify(message: Message, asked: Asked): Scrubbed {
  switch (message.rcode) {
    case Rcode.NoError:
    case Rcode.NXDomain:
    case Rcode.YXDomain:
      break;
    case Rcode.FormErr:
    case Rcode.NotImp:
    case Rcode.BadVers:
      return { kind: "no edns", reason: rcodeToText(message.rcode) };
    default:
      return { kind: "broken", reason: rcodeToText(message.rcode) };
  }
  const signatures = signaturesOf(message);
  const answers = collectRRsets(message.answers, signatures, asked.zone, asked.sought.type);
  const authorities = collectRRsets(message.authorities, signatures, asked.zone, RRType.NS);
  if (answers === undefined || authorities === undefined) {
    return { kind: "broken", reason: "more record sets than a reply can need" };
  }
  const proofs = proofsOf(authorities);
  const walk = walkChain(answers, asked, proofs);
  if (walk.isForged) return { kind: "broken", reason: "a CNAME does not follow from its DNAME" };
  const isRecursive = message.recursionAvailable && !message.isAuthoritative && !asked.recursionDesired;
  const saysSomething = walk.rrsets.length > 0 || walk.chain.length > 0 || message.rcode !== Rcode.NoError;
  if (isRecursive && saysSomething) return recursiveLame;
  if (walk.isOverflow) return { kind: "overflow", chain: trusted(walk.chain, message) };
  if (message.rcode === Rcode.YXDomain) return { kind: "broken", reason: "YXDOMAIN without a DNAME" };
  if (walk.rrsets.length > 0) {
    const all = trusted([...walk.chain, ...walk.rrsets], message);
    const chain = all.slice(0, walk.chain.length);
    return { kind: "answer", chain, rrsets: all.slice(walk.chain.length), proofs };
  }
  // RFC 2308 §2.1: NXDOMAIN after an alias speaks of the last name. It is asked for again instead, because its zone
  // may be another one; that costs one query and no trust.
  if (walk.chain.length > 0)
    return { kind: "alias", chain: trusted(walk.chain, message), target: walk.current, proofs };
  return withoutAnswer(message, asked, authorities, isRecursive);
}

/** The same, with sets that somebody has validated who is believed. */
export function asSecure(scrubbed: Scrubbed): Scrubbed {
  const secure = <T extends FoundRRset>(found: T): T => ({
    ...found,
    rrset: { ...found.rrset, security: "secure" },
  });
  switch (scrubbed.kind) {
    case "answer":
      return { ...scrubbed, chain: scrubbed.chain.map(secure), rrsets: scrubbed.rrsets.map(secure) };
    case "alias":
      return { ...scrubbed, chain: scrubbed.chain.map(secure) };
    case "negative":
      return { ...scrubbed, answer: { ...scrubbed.answer, security: "secure" } };
    default:
      return scrubbed;
  }
}

/** True when a reply says something, and nothing of it is signed or proved. */
export function lacksSignatures(scrubbed: Scrubbed): boolean {
  if (scrubbed.kind === "negative") return scrubbed.answer.proofs.length === 0;
  const found = scrubbed.kind === "answer" ? [...scrubbed.chain, ...scrubbed.rrsets] : [];
  if (scrubbed.kind === "alias") found.push(...scrubbed.chain);
  return found.length > 0 && found.every(({ rrset }) => rrset.signatures.length === 0);
}

/** Some servers put signatures into other sections than what they sign. */
function signaturesOf({ answers, authorities, additionals }: Message): readonly ResourceRecord[] {
  const isSignature = ({ type }: ResourceRecord): boolean => type === RRType.RRSIG;
  const found = answers.filter(isSignature);
  for (const section of [authorities, additionals])
    for (const record of section) if (isSignature(record)) found.push(record);
  return found;
}

const recursiveLame: Scrubbed = { kind: "lame", lameness: "recursive", reason: "answers without authority" };

/** Negative answers, referrals and all ways of saying nothing. */
function withoutAnswer(
  message: Message,
  asked: Asked,
  authorities: RRsetTable,
  isRecursive: boolean,
): Scrubbed {
  const { sought, zone } = asked;
  const soa = findSoa(authorities, asked);
  const proofs = proofsOf(authorities);
  if (message.rcode === Rcode.NXDomain) {
    return { kind: "negative", answer: { kind: "nxdomain", soa, proofs, fromZone: zone } };
  }
  const isChildSide =
    sought.type === RRType.DS &&
    !sought.name.isRoot &&
    authorities.get(sought.name, RRType.SOA) !== undefined;
  if (isChildSide) return { kind: "child side" };
  const noData = { kind: "negative", answer: { kind: "nodata", soa, proofs, fromZone: zone } } as const;
  if (soa !== undefined) return isRecursive ? recursiveLame : noData;
  const referral = readReferral(message, authorities, asked);
  // A parent that does not know DS refers to the child for it: there is no DS then (RFC 4035 §3.1.4.1).
  if (referral !== undefined) {
    const isForDs = sought.type === RRType.DS && referral.delegation.zone.equals(sought.name);
    const { ds } = referral.delegation;
    if (isForDs && ds !== undefined)
      return { kind: "answer", chain: [], rrsets: [{ rrset: ds, trust: Trust.Answer }], proofs };
    return isForDs ? noData : { kind: "referral", referral };
  }
  const isUpward = message.authorities.some(
    (record) => record.type === RRType.NS && zone.isBelow(record.owner),
  );
  // Even with AA it sends us back to where we came from; other types of the name may be answered well.
  if (message.isAuthoritative && isUpward) return { kind: "broken", reason: "refers upwards" };
  // Some broken servers are empty where others of the zone know the answer.
  if (message.isAuthoritative && proofs.length > 0) return noData;
  if (message.isAuthoritative) return { kind: "empty", answer: noData.answer };
  if (isRecursive || (asked.recursionDesired && message.recursionAvailable && !asked.isForwarder))
    return { kind: "broken", reason: "a resolver that knows nothing" };
  const isToItself = message.authorities.some(({ type, owner }) => type === RRType.NS && owner.equals(zone));
  // Without AA the zone's own NS set is a referral in a circle.
  if (isToItself && asked.isForwarder !== true) return { kind: "broken", reason: "refers to itself" };
  if (!isUpward) return { kind: "empty", answer: noData.answer };
  return { kind: "lame", lameness: "not authoritative", reason: "refers upwards" };
}

interface Walk {
  readonly chain: RRset[];
  readonly rrsets: readonly RRset[];
  readonly current: Name;
  readonly isOverflow: boolean;
  /** A CNAME says something else than the DNAME it came with. */
  readonly isForged: boolean;
}

/** Follows CNAME and DNAME records from the question as far as this reply goes, inside the zone. */
function walkChain(answers: RRsetTable, asked: Asked, proofs: readonly RRset[]): Walk {
  const { sought, zone } = asked;
  const chain: RRset[] = [];
  /** Names that were aliases. */
  let seen: Set<string> | undefined;
  let current = sought.name;
  const end = (rrsets: readonly RRset[], parts: Partial<Walk> = {}): Walk => ({
    chain,
    rrsets,
    current,
    isOverflow: false,
    isForged: false,
    ...parts,
  });
  while (current.isAtOrBelow(zone) && seen?.has(current.key) !== true) {
    const dname = closestDname(answers, current, zone);
    const found = dname === undefined ? matching(answers, current, sought.type) : [];
    // Only the record of the alias is the authority's own (RFC 2181 §5.4.1): what it leads to is asked for by itself unless
    // signatures will be looked at, so that one forged reply decides about the name that was asked for and no other.
    const isFirst = chain.length === 0 || asked.isForwarder === true;
    const mayFollow = ({ signatures }: RRset): boolean =>
      isFirst || (asked.isSigned === true && signatures.length > 0);
    if (found.length > 0 && !found.some(mayFollow)) break;
    if (found.length > 0) return end(found.map((rrset) => withProofs(rrset, proofs)));
    const sent = answers.get(current, RRType.CNAME);
    const link = dname ?? sent;
    if (link !== undefined && !mayFollow(link)) break;
    // What a DNAME stands for is made here, so that no CNAME beside it can lie (RFC 6672 §5.3.1).
    const alias = dname === undefined ? sent : synthesize(current, dname);
    if (dname !== undefined) chain.push(dname);
    if (dname !== undefined && alias === undefined) return end([], { isOverflow: true });
    if (alias === undefined) break;
    if (sent !== undefined && !aliasTarget(sent).equals(aliasTarget(alias)))
      return end([], { isForged: true });
    if (sought.type === RRType.CNAME || sought.type === RRType.ANY) return end([alias]);
    chain.push(withProofs(alias, proofs));
    seen ??= new Set();
    seen.add(current.key);
    current = aliasTarget(alias);
  }
  return end([]);
}

function matching(answers: RRsetTable, owner: Name, type: RRType): readonly RRset[] {
  if (type === RRType.ANY) return answers.atOwner(owner);
  const rrset = answers.get(owner, type);
  return rrset === undefined ? [] : [rrset];
}

function closestDname(answers: RRsetTable, name: Name, zone: Name): RRset | undefined {
  if (!answers.hasType(RRType.DNAME)) return undefined;
  for (let owner = name; owner.isBelow(zone); ) {
    owner = owner.parent();
    const dname = answers.get(owner, RRType.DNAME);
    if (dname !== undefined) return dname;
  }
  return undefined;
}

/** The CNAME that a DNAME stands for, with the DNAME's TTL (RFC 6672 §3.1); undefined when the name gets too long. */
export function synthesize(owner: Name, dname: RRset): RRset | undefined {
  const target = owner.replaceSuffix(dname.owner, aliasTarget(dname));
  if (target === undefined) return undefined;
  return {
    owner,
    type: RRType.CNAME,
    ttlSeconds: dname.ttlSeconds,
    rdatas: [target.wire],
    signatures: [],
    proofs: [],
    synthesizedFrom: dname.owner,
  };
}

/** Where a CNAME or DNAME points. Of several records, which RFC 2181 §10.1 forbids, the first counts. */
export function aliasTarget(rrset: RRset): Name {
  return new Name(rrset.rdatas[0] ?? Name.root.wire);
}

/** Gives proofs to a set that a wildcard produced: its signature has fewer labels than its owner (RFC 4035 §5.3.4). */
function withProofs(rrset: RRset, proofs: readonly RRset[]): RRset {
  const labels = rrset.signatures[0]?.[RRSIG_LABELS_AT];
  return labels !== undefined && labels < rrset.owner.labelCount ? { ...rrset, proofs } : rrset;
}

/** The SOA of a negative answer, between the zone and the name, with the negative TTL (RFC 2308 §5). */
function findSoa(authorities: RRsetTable, { sought }: Asked): RRset | undefined {
  if (!authorities.hasType(RRType.SOA)) return undefined;
  for (const rrset of authorities.all()) {
    if (rrset.type !== RRType.SOA || !sought.name.isAtOrBelow(rrset.owner)) continue;
    // A DS question is answered from above the name (RFC 4035 §3.1.4.1); its own apex does not know.
    if (sought.type === RRType.DS && rrset.owner.equals(sought.name) && !sought.name.isRoot) continue;
    return { ...rrset, ttlSeconds: Math.min(rrset.ttlSeconds, soaMinimum(rrset)) };
  }
  return undefined;
}

function soaMinimum(soa: RRset): number {
  const rdata = soa.rdatas[0] ?? new Uint8Array(4);
  return new DataView(rdata.buffer, rdata.byteOffset, rdata.length).getUint32(rdata.length - 4);
}

/** Only the owner that was asked for has the authority of AA (RFC 2181 §5.4.1). */
function trusted(rrsets: readonly RRset[], message: Message): FoundRRset[] {
  const first = rrsets[0];
  return rrsets.map((rrset) => {
    const isFirst = first !== undefined && rrset.owner.equals(first.owner);
    return {
      rrset,
      trust: message.isAuthoritative && isFirst ? Trust.AnswerAuthoritative : Trust.Answer,
    };
  });
}

/** The labels field of RRSIG rdata (RFC 4034 §3.1). */
const RRSIG_LABELS_AT = 3;
