/** Which denial records go with an answer (RFC 4035 §3.1.3, RFC 5155 §7.2), and the ways in which servers get that wrong. */
import { type Name, type ResourceRecord, RRType } from "@sotto/dns/wire";
import { type Nsec3Plan, nsec3Hash, nsec3Owner } from "./denial-chain.ts";
import type { AnswerFlaw, Zone } from "./zone.ts";

/** Signatures over a type at `source`, as records of `owner`. */
export function signaturesOf(zone: Zone, source: Name, type: RRType, owner: Name): ResourceRecord[] {
  return zone
    .rrset(source, RRType.RRSIG)
    .filter(({ rdata }) => ((rdata[0] ?? 0) << 8) + (rdata[1] ?? 0) === type)
    .map((record) => ({ ...record, owner }));
}

/** Adds proofs to the authority section of one reply. */
export class DenialProofs {
  readonly #zone: Zone;
  readonly #flaw: AnswerFlaw | undefined;
  /** The zone that is asked; another one than that of the proofs only by mistake. */
  readonly #asked: Zone;
  readonly #section: ResourceRecord[];

  /** `zone`: whose records are the proofs. */
  constructor(zone: Zone, asked: Zone, section: ResourceRecord[]) {
    this.#zone = zone;
    this.#asked = asked;
    this.#flaw = asked.answerFlaw;
    this.#section = section;
  }

  /** That a name exists and has no such type: NSEC or NSEC3 at the name. */
  proveNoType(name: Name): void {
    if (this.#proveWrongly()) return;
    const { nsec3 } = this.#zone;
    if (nsec3 !== undefined) {
      this.#addNsec3(this.#matchingNsec3(name, nsec3) ?? this.#provePossibleCut(name, nsec3));
      return;
    }
    const node = this.#zone.node(name);
    this.#addNsec(node?.rrsets.has(RRType.NSEC) === true ? node.owner : this.#coveringNsec(name));
  }

  /** That the name does not exist, and, where nothing stands for it, neither does a wildcard. */
  proveAbsent(
    name: Name,
    encloser: Name,
    instead: "nothing" | "wildcard" | "wildcard without the type",
  ): void {
    if (this.#proveWrongly()) return;
    const wildcard = encloser.tryPrepend(Uint8Array.of(0x2a));
    const wantsWildcard = instead === "nothing" && wildcard.ok && this.#flaw !== "no wildcard proof";
    const wantsName = this.#flaw !== "no name proof";
    const { nsec3 } = this.#zone;
    if (nsec3 === undefined) {
      if (wantsName) this.#addNsec(this.#coveringNsec(name));
      if (wantsWildcard) this.#addNsec(this.#coveringNsec(wildcard.value));
      return;
    }
    const shown = this.#provableEncloser(encloser, nsec3);
    // RFC 5155 §7.2.6: a wildcard's signature tells its encloser.
    if (instead !== "wildcard" && this.#flaw !== "no encloser proof")
      this.#addNsec3(this.#matchingNsec3(shown, nsec3));
    if (wantsName) this.#addNsec3(this.#coveringNsec3(name.suffix(shown.labelCount + 1), nsec3));
    if (wantsWildcard) this.#addNsec3(this.#coveringNsec3(wildcard.value, nsec3));
  }

  /** True when the flaw has said all there is to say. */
  #proveWrongly(): boolean {
    switch (this.#flaw) {
      case "no proofs":
        return true;
      case "proofs of the apex":
      case "proofs from above":
        this.#addAt(this.#asked.origin);
        return true;
      default:
        return false;
    }
  }

  #addAt(name: Name): void {
    const { nsec3 } = this.#zone;
    if (nsec3 === undefined) this.#addNsec(name);
    else this.#addNsec3(this.#matchingNsec3(name, nsec3));
  }

  /** RFC 5155 §7.2.4: an unsigned delegation in an opt-out span is shown by the closest provable encloser. */
  #provePossibleCut(name: Name, nsec3: Nsec3Plan): Name | undefined {
    const encloser = this.#provableEncloser(name.parent(), nsec3);
    this.#addNsec3(this.#matchingNsec3(encloser, nsec3));
    return this.#coveringNsec3(name.suffix(encloser.labelCount + 1), nsec3);
  }

  /** The closest ancestor that has a record; names that hold only unsigned delegations have none with opt-out. */
  #provableEncloser(encloser: Name, nsec3: Nsec3Plan): Name {
    let at = encloser;
    while (at.isBelow(this.#zone.origin) && this.#matchingNsec3(at, nsec3) === undefined) at = at.parent();
    return at;
  }

  #addNsec(owner: Name | undefined): void {
    if (owner !== undefined) this.#addDenial(owner, RRType.NSEC);
  }

  #addNsec3(owner: Name | undefined): void {
    if (owner !== undefined) this.#addDenial(owner, RRType.NSEC3);
  }

  #addDenial(owner: Name, type: RRType): void {
    if (this.#section.some((record) => record.type === type && record.owner.equals(owner))) return;
    this.#section.push(...this.#zone.rrset(owner, type));
    this.#section.push(...signaturesOf(this.#zone, owner, type, owner));
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

  #matchingNsec3(name: Name, nsec3: Nsec3Plan): Name | undefined {
    const owner = nsec3Owner(nsec3Hash(name, nsec3), this.#zone.origin);
    return this.#zone.node(owner) === undefined ? undefined : owner;
  }

  #coveringNsec3(name: Name, nsec3: Nsec3Plan): Name | undefined {
    const target = nsec3Owner(nsec3Hash(name, nsec3), this.#zone.origin);
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
