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
import { nsec3Hash, nsec3Owner } from "./sign.ts";
import type { Zone } from "./zone.ts";

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

/** Answers one query from the given zones; undefined for messages that deserve no answer. */
export function answerQuery(
  zones: readonly Zone[],
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
  const zone = zoneFor(zones, view.qname, view.qtype);
  if (zone === undefined || view.qclass !== RRClass.IN) return respond(failed(Rcode.Refused));
  const draft: Draft = {
    rcode: Rcode.NoError,
    isAuthoritative: true,
    answers: [],
    authorities: [],
    additionals: [],
  };
  resolveIn(zone, view.qname, view.qtype, view.dnssecOk, draft);
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

/** The deepest zone; for DS the parent's, when the server has both (RFC 4035 §3.1.4.1). */
function zoneFor(zones: readonly Zone[], qname: Name, qtype: RRType): Zone | undefined {
  const candidates = zones
    .filter((zone) => qname.isAtOrBelow(zone.origin))
    .sort((a, b) => b.origin.wire.length - a.origin.wire.length);
  const [deepest, parent] = candidates;
  return qtype === RRType.DS && deepest?.origin.equals(qname) === true && parent !== undefined
    ? parent
    : deepest;
}

function resolveIn(zone: Zone, qname: Name, qtype: RRType, wantsDnssec: boolean, draft: Draft): void {
  const responder = new ZoneResponder(zone, wantsDnssec && zone.isSigned, draft);
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
  readonly #signs: boolean;
  readonly #draft: Draft;

  constructor(zone: Zone, signs: boolean, draft: Draft) {
    this.#zone = zone;
    this.#signs = signs;
    this.#draft = draft;
  }

  /** Answers for one name; gives the target when an alias has to be followed. */
  step(name: Name, qtype: RRType, isFollowing: boolean): Name | undefined {
    const cut = this.#zone.cutAbove(name);
    if (cut !== undefined && !(cut.equals(name) && qtype === RRType.DS)) {
      if (!isFollowing) this.#refer(cut);
      return undefined;
    }
    const dname = this.#dnameAbove(name);
    if (dname !== undefined) return this.#followDname(name, dname);
    const node = this.#zone.node(name);
    if (node !== undefined || this.#zone.exists(name)) return this.#answerAt(name, name, qtype);
    const encloser = this.#zone.closestEncloser(name);
    const wildcard = encloser.tryPrepend(Uint8Array.of(0x2a));
    if (wildcard.ok && this.#zone.node(wildcard.value) !== undefined) {
      const next = this.#answerAt(name, wildcard.value, qtype);
      // RFC 4035 §3.1.3.3: that the name itself does not exist.
      this.#proveAbsent(name, encloser, false);
      return next;
    }
    this.#draft.rcode = Rcode.NXDomain;
    this.#addSoa();
    this.#proveAbsent(name, encloser, true);
    return undefined;
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
    const alias = node?.rrsets.get(RRType.CNAME);
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
    this.#proveNoType(source);
    return undefined;
  }

  #addAnswer(owner: Name, rrset: readonly ResourceRecord[], source: Name): void {
    for (const record of rrset) this.#draft.answers.push({ ...record, owner });
    this.#addSignatures(this.#draft.answers, source, rrset[0]?.type ?? 0, owner);
  }

  #addSignatures(section: ResourceRecord[], source: Name, type: RRType, owner: Name): void {
    if (!this.#signs) return;
    for (const record of this.#zone.rrset(source, RRType.RRSIG)) {
      if (((record.rdata[0] ?? 0) << 8) + (record.rdata[1] ?? 0) === type) section.push({ ...record, owner });
    }
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
    if (this.#signs && ds.length > 0) {
      draft.authorities.push(...ds);
      this.#addSignatures(draft.authorities, cut, RRType.DS, cut);
    } else if (this.#signs) this.#proveNoType(cut);
    for (const server of servers) {
      const fields = decodeRdataOf("NS", server.rdata);
      if (!fields.ok) continue;
      for (const type of [RRType.A, RRType.AAAA])
        draft.additionals.push(...this.#zone.rrset(fields.value.host, type));
    }
  }

  /** That a name exists and has no such type: NSEC or NSEC3 at the name. */
  #proveNoType(name: Name): void {
    if (!this.#signs) return;
    if (this.#isNsec3) this.#addNsec3(this.#matchingNsec3(name) ?? this.#coveringNsec3(name));
    else this.#addNsec(this.#zone.node(name)?.owner ?? this.#coveringNsec(name));
  }

  /** That neither the name nor, for NXDOMAIN, the wildcard that could stand for it exists. */
  #proveAbsent(name: Name, encloser: Name, isNxdomain: boolean): void {
    if (!this.#signs) return;
    const wildcard = encloser.tryPrepend(Uint8Array.of(0x2a));
    if (this.#isNsec3) {
      const nextCloser = name.suffix(encloser.labelCount + 1);
      if (isNxdomain) this.#addNsec3(this.#matchingNsec3(encloser));
      this.#addNsec3(this.#coveringNsec3(nextCloser));
      if (isNxdomain && wildcard.ok) this.#addNsec3(this.#coveringNsec3(wildcard.value));
      return;
    }
    this.#addNsec(this.#coveringNsec(name));
    if (isNxdomain && wildcard.ok) this.#addNsec(this.#coveringNsec(wildcard.value));
  }

  get #isNsec3(): boolean {
    return this.#zone.rrset(this.#zone.origin, RRType.NSEC3PARAM).length > 0;
  }

  #addNsec(owner: Name | undefined): void {
    if (owner !== undefined) this.#addDenial(owner, RRType.NSEC);
  }

  #addNsec3(owner: Name | undefined): void {
    if (owner !== undefined) this.#addDenial(owner, RRType.NSEC3);
  }

  #addDenial(owner: Name, type: RRType): void {
    const section = this.#draft.authorities;
    if (section.some((record) => record.type === type && record.owner.equals(owner))) return;
    section.push(...this.#zone.rrset(owner, type));
    this.#addSignatures(section, owner, type, owner);
  }

  /** The owner of the NSEC record whose span holds the name. */
  #coveringNsec(name: Name): Name | undefined {
    let before: Name | undefined;
    for (const node of this.#zone.nodes) {
      if (!node.rrsets.has(RRType.NSEC) || node.owner.compare(name) > 0) continue;
      if (before === undefined || node.owner.compare(before) > 0) before = node.owner;
    }
    return before;
  }

  #matchingNsec3(name: Name): Name | undefined {
    const owner = nsec3Owner(nsec3Hash(name), this.#zone.origin);
    return this.#zone.node(owner) === undefined ? undefined : owner;
  }

  #coveringNsec3(name: Name): Name | undefined {
    const target = nsec3Owner(nsec3Hash(name), this.#zone.origin);
    let before: Name | undefined;
    let last: Name | undefined;
    for (const node of this.#zone.nodes) {
      if (!node.rrsets.has(RRType.NSEC3)) continue;
      if (last === undefined || node.owner.compare(last) > 0) last = node.owner;
      if (node.owner.compare(target) <= 0 && (before === undefined || node.owner.compare(before) > 0))
        before = node.owner;
    }
    return before ?? last;
  }
}
