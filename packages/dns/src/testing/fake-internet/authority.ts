/** An authoritative server's answers as a function: query octets in, reply octets out (RFC 1034 §4.3.2, RFC 4035 §3, RFC 5155 §7.2). */
import {
  decodeRdataOf,
  encodeMessage,
  type Message,
  MessageView,
  makeEdns,
  makeMessage,
  type Name,
  Opcode,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import { DenialProofs, signaturesOf } from "./denial-proofs.ts";
import type { AnswerFlaw, Zone } from "./zone.ts";

/** Aliases followed within one server. */
const ALIASES_MAX = 12;

/** Sections while they are being filled. */
interface Draft {
  rcode: number;
  isAuthoritative: boolean;
  readonly answers: ResourceRecord[];
  readonly authorities: ResourceRecord[];
  readonly additionals: ResourceRecord[];
}

/** A zone that is built when it is first asked for: few tests ask for more than a few. */
export interface ServedZone {
  readonly origin: Name;
  readonly zone: Zone;
}

/** Answers one query from the given zones; undefined for messages that deserve no answer. */
export function answerQuery(
  zones: readonly ServedZone[],
  octets: Uint8Array,
  transport: "udp" | "tcp",
): Uint8Array | undefined {
  const view = new MessageView();
  const problem = view.reset(octets);
  if (octets.length < 12 || view.isResponse) return undefined;
  const respond = (draft: Draft): Uint8Array =>
    encodeMessage(toMessage(view, draft), {
      octetsMax: transport === "udp" ? Math.min(view.udpPayloadOctets, 4096) : 65_535,
    });
  if (problem !== undefined || view.questionCount !== 1 || view.ednsProblem !== undefined)
    return respond(failed(Rcode.FormErr));
  if (view.opcode !== Opcode.Query) return respond(failed(Rcode.NotImp));
  if (view.ednsVersion !== 0) return respond(failed(Rcode.BadVers));
  const served = zonesFor(zones, view.qname, view.qtype);
  if (served === undefined || view.qclass !== RRClass.IN) return respond(failed(Rcode.Refused));
  const draft: Draft = {
    rcode: Rcode.NoError,
    isAuthoritative: true,
    answers: [],
    authorities: [],
    additionals: [],
  };
  resolveIn(served, view.qname, view.qtype, view.dnssecOk, draft);
  return respond(draft);
}

function failed(rcode: number): Draft {
  return { rcode, isAuthoritative: false, answers: [], authorities: [], additionals: [] };
}

function toMessage(view: MessageView, draft: Draft): Message {
  const hasQuestion = view.questionCount === 1 && view.qnameOctets > 0;
  return makeMessage({
    id: view.id,
    isResponse: true,
    opcode: view.opcode,
    recursionDesired: view.recursionDesired,
    questions: hasQuestion ? [view.question] : [],
    rcode: draft.rcode,
    isAuthoritative: draft.isAuthoritative,
    answers: draft.answers,
    authorities: draft.authorities,
    additionals: draft.additionals,
    edns: view.hasEdns ? makeEdns({ dnssecOk: view.dnssecOk }) : undefined,
  });
}

/** The zone that answers, and the one above it when the server has it. */
interface Served {
  readonly zone: Zone;
  readonly above: Zone | undefined;
}

/** The deepest zone; for DS the parent's, when the server has both (RFC 4035 §3.1.4.1). */
function zonesFor(zones: readonly ServedZone[], qname: Name, qtype: RRType): Served | undefined {
  const [deepest, parent, grandparent] = zones
    .filter((zone) => qname.isAtOrBelow(zone.origin))
    .sort((a, b) => b.origin.wire.length - a.origin.wire.length);
  if (deepest === undefined) return undefined;
  const isParents =
    qtype === RRType.DS && deepest.origin.equals(qname) && deepest.zone.answerFlaw !== "DS from the child";
  return isParents && parent !== undefined
    ? { zone: parent.zone, above: grandparent?.zone }
    : { zone: deepest.zone, above: parent?.zone };
}

function resolveIn(
  { zone, above }: Served,
  qname: Name,
  qtype: RRType,
  wantsDnssec: boolean,
  draft: Draft,
): void {
  const signs = wantsDnssec && zone.isSigned;
  const isFromAbove = zone.answerFlaw === "proofs from above" && above !== undefined;
  const proofs = signs ? new DenialProofs(isFromAbove ? above : zone, zone, draft.authorities) : undefined;
  const responder = new ZoneResponder(zone, proofs, draft);
  let name = qname;
  for (let aliases = 0; aliases <= ALIASES_MAX; aliases++) {
    const next = responder.step(name, qtype, aliases > 0);
    if (next === undefined) return;
    if (!next.isAtOrBelow(zone.origin) || zone.cutAbove(next) !== undefined) return;
    name = next;
  }
}

/** One zone, one reply. */
class ZoneResponder {
  readonly #zone: Zone;
  /** Undefined: nothing is signed, or nobody wants to see it. */
  readonly #proofs: DenialProofs | undefined;
  readonly #draft: Draft;
  readonly #flaw: AnswerFlaw | undefined;

  constructor(zone: Zone, proofs: DenialProofs | undefined, draft: Draft) {
    this.#zone = zone;
    this.#proofs = proofs;
    this.#draft = draft;
    this.#flaw = zone.answerFlaw;
  }

  /** Answers for one name; gives the target when an alias has to be followed. */
  step(name: Name, qtype: RRType, isFollowing: boolean): Name | undefined {
    const cut = this.#zone.cutAbove(name);
    if (cut !== undefined && !(cut.equals(name) && qtype === RRType.DS)) {
      if (!isFollowing) this.#refer(cut);
      return undefined;
    }
    const dname = this.#dnameAbove(name);
    if (dname !== undefined && this.#flaw !== "denies below DNAME") return this.#followDname(name, dname);
    const isHidden = this.#flaw === "wildcard over names" && this.#wildcardAt(name.parent()) !== undefined;
    if (this.#zone.exists(name) && !isHidden) return this.#answerAt(name, name, qtype);
    const encloser = isHidden ? name.parent() : this.#zone.closestEncloser(name);
    const wildcard = this.#wildcardAt(encloser);
    if (wildcard !== undefined) {
      const answersBefore = this.#draft.answers.length;
      const next = this.#answerAt(name, wildcard, qtype);
      // RFC 4035 §3.1.3.3, §3.1.3.4: that the name itself does not exist.
      const isNoData = this.#draft.answers.length === answersBefore;
      this.#proofs?.proveAbsent(name, encloser, isNoData ? "wildcard without the type" : "wildcard");
      return next;
    }
    this.#draft.rcode = Rcode.NXDomain;
    this.#addSoa();
    this.#proofs?.proveAbsent(name, encloser, "nothing");
    return undefined;
  }

  /** One that has only names beneath it counts, too (RFC 4592 §2.2.2). */
  #wildcardAt(encloser: Name): Name | undefined {
    const wildcard = encloser.tryPrepend(Uint8Array.of(0x2a));
    return wildcard.ok && this.#zone.exists(wildcard.value) ? wildcard.value : undefined;
  }

  #dnameAbove(name: Name): readonly ResourceRecord[] | undefined {
    for (let at = name.parent(); at.isAtOrBelow(this.#zone.origin); at = at.parent()) {
      const rrset = this.#zone.rrset(at, RRType.DNAME);
      if (rrset.length > 0) return rrset;
      if (at.isRoot) break;
    }
    return undefined;
  }

  /** RFC 6672 §3.2. */
  #followDname(name: Name, rrset: readonly ResourceRecord[]): Name | undefined {
    const [record] = rrset;
    if (record === undefined) return undefined;
    const fields = decodeRdataOf("DNAME", record.rdata);
    const target = fields.ok ? name.replaceSuffix(record.owner, fields.value.target) : undefined;
    this.#addAnswer(record.owner, rrset, record.owner);
    if (target === undefined) {
      this.#draft.rcode = Rcode.YXDomain;
      return undefined;
    }
    this.#draft.answers.push({
      owner: name,
      type: RRType.CNAME,
      class: RRClass.IN,
      ttl: record.ttl,
      rdata: target.wire,
    });
    return target;
  }

  /** Records of `source` under the name `owner`, which differs for wildcards. */
  #answerAt(owner: Name, source: Name, qtype: RRType): Name | undefined {
    const node = this.#zone.node(source);
    const alias = this.#flaw === "denies aliases" ? undefined : node?.rrsets.get(RRType.CNAME);
    if (alias?.[0] !== undefined && qtype !== RRType.CNAME && qtype !== RRType.ANY && qtype !== RRType.NSEC) {
      this.#addAnswer(owner, alias, source);
      const fields = decodeRdataOf("CNAME", alias[0].rdata);
      return fields.ok ? fields.value.host : undefined;
    }
    if (qtype === RRType.ANY && node !== undefined) {
      for (const [type, rrset] of node.rrsets)
        if (type !== RRType.RRSIG) this.#addAnswer(owner, rrset, source);
      return undefined;
    }
    const rrset = node?.rrsets.get(qtype);
    if (rrset !== undefined) {
      this.#addAnswer(owner, rrset, source);
      return undefined;
    }
    this.#addSoa();
    this.#proofs?.proveNoType(source);
    return undefined;
  }

  #addAnswer(owner: Name, rrset: readonly ResourceRecord[], source: Name): void {
    for (const record of rrset) this.#draft.answers.push({ ...record, owner });
    this.#addSignatures(this.#draft.answers, source, rrset[0]?.type ?? 0, owner);
  }

  #addSignatures(section: ResourceRecord[], source: Name, type: RRType, owner: Name): void {
    if (this.#proofs !== undefined) section.push(...signaturesOf(this.#zone, source, type, owner));
  }

  #addSoa(): void {
    const [soa] = this.#zone.rrset(this.#zone.origin, RRType.SOA);
    if (soa === undefined) return;
    this.#draft.authorities.push(soa);
    this.#addSignatures(this.#draft.authorities, this.#zone.origin, RRType.SOA, this.#zone.origin);
  }

  #refer(cut: Name): void {
    const draft = this.#draft;
    draft.isAuthoritative = false;
    const servers = this.#zone.rrset(cut, RRType.NS);
    draft.authorities.push(...servers);
    const ds = this.#zone.rrset(cut, RRType.DS);
    if (this.#proofs !== undefined && ds.length > 0) {
      draft.authorities.push(...ds);
      this.#addSignatures(draft.authorities, cut, RRType.DS, cut);
    } else this.#proofs?.proveNoType(cut);
    for (const server of servers) {
      const fields = decodeRdataOf("NS", server.rdata);
      if (!fields.ok) continue;
      for (const type of [RRType.A, RRType.AAAA])
        draft.additionals.push(...this.#zone.rrset(fields.value.host, type));
    }
  }
}
