/**
 * Local validation (RFC 4033 §7: a validating stub): what an upstream says is judged from trust anchors down, with DS and
 * DNSKEY asked of upstreams, too. It trusts no AD bit.
 */
import {
  bogus,
  type Evidence,
  INDETERMINATE,
  type SignedRRset,
  ValidationBudget,
  type ValidationSession,
  type Validator,
  type Verdict,
  weakest,
} from "@sotto/dns/dnssec";
import {
  EdeCode,
  type Message,
  type Name,
  Name as NameClass,
  Rcode,
  type ResourceRecord,
  RRType,
  uint16At,
} from "@sotto/dns/wire";
import { answerOf, isMadeBy, setKey } from "./answer-of.ts";

/** Asks a question with DO and CD; undefined when nothing came. */
export type AskSigned = (name: Name, type: RRType) => Promise<Message | undefined>;

/** What validation makes of a reply. */
export type JudgedReply = Verdict & {
  /** The reply's code, or what its proofs show instead: that a name exists which the reply denies. */
  readonly rcode: Rcode;
};

/** Judges a reply with signatures to a question. */
export async function judgeReply(
  message: Message,
  qname: Name,
  qtype: RRType,
  validator: Validator,
  ask: AskSigned,
): Promise<JudgedReply> {
  const session: ValidationSession = {
    budget: new ValidationBudget(),
    ask: (name, type) => evidence(name, type, ask),
  };
  const { canonicalName, records, aliases } = answerOf(message, qname, qtype);
  const isAnswer = message.rcode === Rcode.NoError;
  let { rcode } = message;
  if (records.length > 0 && !isAnswer)
    return { ...bogus(EdeCode.DnssecBogus, `the reply answers and has the code ${rcode}`), rcode };
  // What came along and does not answer neither hides nor weakens what does.
  const answers = signedSets([...aliases, ...records], message);
  const proofs = proofsOf(message);
  const verdicts: Verdict[] = [];
  for (const rrset of answers) {
    if (isSynthesized(rrset, answers)) continue;
    const verdict = await validator.judgeRRset(rrset, proofs, NameClass.root, session);
    if (verdict.status === "bogus") return { ...verdict, rcode };
    verdicts.push(verdict);
  }
  if (records.length === 0 && (isAnswer || message.rcode === Rcode.NXDomain)) {
    const soa = signedSets(message.authorities, message).find(({ type }) => type === RRType.SOA);
    const kind = message.rcode === Rcode.NXDomain ? "nxdomain" : "nodata";
    const denial = { qname: canonicalName, qtype, kind, soa, proofs } as const;
    const judgement = await validator.judgeDenial(denial, NameClass.root, session);
    verdicts.push(judgement);
    rcode = judgement.kind === "nxdomain" ? Rcode.NXDomain : Rcode.NoError;
  } else if (records.length === 0 || qtype === RRType.RRSIG) {
    // A failure denies nothing, and nobody signs signatures.
    verdicts.push(INDETERMINATE);
  }
  return { ...(verdicts.length === 0 ? INDETERMINATE : weakest(verdicts)), rcode };
}

/** DS or DNSKEY of a name, as the validator wants it. */
async function evidence(name: Name, type: RRType, ask: AskSigned): Promise<Evidence> {
  const message = await ask(name, type);
  if (message === undefined) return { kind: "failed", errors: [] };
  if (message.rcode !== Rcode.NoError && message.rcode !== Rcode.NXDomain)
    return { kind: "failed", errors: [] };
  const sets = signedSets(message.answers, message);
  const found = sets.find((rrset) => rrset.type === type && rrset.owner.equals(name));
  if (found !== undefined) return { kind: "rrset", rrset: found };
  const alias = sets.find((rrset) => rrset.type === RRType.CNAME && rrset.owner.equals(name));
  if (alias !== undefined) return { kind: "alias", rrset: alias };
  const { ttlSeconds } = answerOf(message, name, type);
  return { kind: "negative", proofs: proofsOf(message), ttlSeconds };
}

function proofsOf(message: Message): SignedRRset[] {
  return signedSets(message.authorities, message)
    .filter(
      ({ type, signatures }) => signatures.length > 0 && (type === RRType.NSEC || type === RRType.NSEC3),
    )
    .slice(0, PROOFS_MAX);
}

/** RFC 6672 §5.3.1: a CNAME that a DNAME beside it makes is not signed, and judged by the DNAME. */
function isSynthesized(
  { owner, type, rdatas, signatures }: SignedRRset,
  all: readonly SignedRRset[],
): boolean {
  const [rdata] = rdatas;
  if (type !== RRType.CNAME || signatures.length > 0 || rdata === undefined || rdatas.length > 1)
    return false;
  return all.some(
    (dname) =>
      dname.type === RRType.DNAME &&
      dname.rdatas.some((target) => isMadeBy({ owner, rdata }, { owner: dname.owner, rdata: target })),
  );
}

/** The sets of some records with the signatures over them, wherever in the message these stand; as many as a message holds. */
function signedSets(section: readonly ResourceRecord[], message: Message): SignedRRset[] {
  const sets = new Map<
    string,
    { -readonly [K in keyof SignedRRset]: SignedRRset[K] } & {
      rdatas: Uint8Array[];
      signatures: Uint8Array[];
    }
  >();
  for (const { owner, type, ttl, rdata } of section) {
    if (type === RRType.RRSIG) continue;
    const key = setKey(owner, type);
    const known = sets.get(key);
    if (known === undefined) sets.set(key, { owner, type, ttlSeconds: ttl, rdatas: [rdata], signatures: [] });
    else {
      known.rdatas.push(rdata);
      known.ttlSeconds = Math.min(known.ttlSeconds, ttl);
    }
  }
  for (const { owner, type, rdata } of [...message.answers, ...message.authorities]) {
    if (type !== RRType.RRSIG || rdata.length < 2) continue;
    const covered = sets.get(setKey(owner, uint16At(rdata, 0)));
    if (covered !== undefined && covered.signatures.length < SIGNATURES_MAX) covered.signatures.push(rdata);
  }
  return [...sets.values()];
}

const SIGNATURES_MAX = 16;
/** NSEC3 needs three sets for a name error and a wildcard (RFC 5155 §7.2). */
const PROOFS_MAX = 8;
