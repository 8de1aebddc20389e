/** Proofs by NSEC (RFC 4035 §5.4, RFC 6840 §4.1 to §4.4). The sets given here have been verified. */
import { Name, RRType } from "@sotto/dns/wire";
import {
  commonAncestor,
  type DenialClaim,
  type DenialVerdict,
  type NoDsVerdict,
  notProved,
} from "./denial.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import { bitmapAnswers, bitmapHas } from "./type-set.ts";

/** One NSEC record. */
export class Nsec {
  readonly owner: Name;
  readonly next: Name;
  readonly #rdata: Uint8Array;
  readonly #typesAt: number;

  /** Takes a set of one well-formed record; of several the first counts. */
  constructor(rrset: SignedRRset) {
    const rdata = rrset.rdatas[0] ?? Name.root.wire;
    let end = 0;
    for (let octets = rdata[end] ?? 0; octets !== 0; octets = rdata[end] ?? 0) end += octets + 1;
    this.owner = rrset.owner;
    this.next = new Name(rdata.subarray(0, end + 1));
    this.#rdata = rdata;
    this.#typesAt = end + 1;
  }

  has(type: RRType): boolean {
    return bitmapHas(this.#rdata, this.#typesAt, type);
  }

  /** A question for the type has an answer here. */
  answers(qtype: RRType): boolean {
    return bitmapAnswers(this.#rdata, this.#typesAt, qtype);
  }

  /** It is the parent's record at a cut. */
  get isDelegation(): boolean {
    return this.has(RRType.NS) && !this.has(RRType.SOA);
  }

  /** The name lies between owner and next in canonical order; in a zone's last record next is the apex. */
  covers(name: Name, zone: Name): boolean {
    // A next name outside would reach over other zones.
    if (!this.next.isAtOrBelow(zone)) return false;
    if (!name.isAtOrBelow(zone) || name.compare(this.owner) <= 0) return false;
    // RFC 6840 §4.1: below a cut, or below a DNAME, this record says nothing.
    if (name.isBelow(this.owner) && (this.isDelegation || this.has(RRType.DNAME))) return false;
    return this.next.equals(zone) || name.compare(this.next) < 0;
  }

  /** The name exists only because something below it does (RFC 4592 §2.2.2). */
  showsEmptyNonTerminal(name: Name, zone: Name): boolean {
    return this.covers(name, zone) && this.next.isBelow(name);
  }
}

/** Judges a claim about `qname` in `zone`. */
export function judgeNsec(
  claim: DenialClaim,
  qname: Name,
  qtype: RRType,
  zone: Name,
  nsecs: readonly Nsec[],
): DenialVerdict {
  switch (claim.kind) {
    case "nodata":
      return provesNoData(qname, qtype, zone, nsecs)
        ? { kind: "proved" }
        : notProved("no NSEC shows that the type is missing");
    case "nxdomain":
      return provesNameError(qname, zone, nsecs)
        ? { kind: "proved" }
        : notProved("no NSEC shows that neither the name nor a wildcard exists");
    case "wildcard": {
      const covering = nsecs.find((nsec) => nsec.covers(qname, zone) && !nsec.next.isAtOrBelow(qname));
      // RFC 4035 §5.3.4: the encloser that the record shows must be the one the wildcard hangs on.
      const isRight =
        covering !== undefined && closestEncloser(covering, qname).labelCount === claim.encloserLabels;
      return isRight ? { kind: "proved" } : notProved("no NSEC shows that the wildcard was right to use");
    }
  }
}

/** The existing ancestor that a covering record shows (RFC 7129 §5.3). */
function closestEncloser(nsec: Nsec, name: Name): Name {
  const before = commonAncestor(nsec.owner, name);
  const after = commonAncestor(nsec.next, name);
  return before.labelCount >= after.labelCount ? before : after;
}

function provesNameError(qname: Name, zone: Name, nsecs: readonly Nsec[]): boolean {
  const covering = nsecs.find((nsec) => nsec.covers(qname, zone) && !nsec.next.isBelow(qname));
  if (covering === undefined) return false;
  const wildcard = wildcardAt(closestEncloser(covering, qname));
  if (wildcard === undefined) return true;
  // A wildcard with names beneath it exists, too, if only as an empty one (RFC 4592 §2.2.2).
  return nsecs.some((nsec) => nsec.covers(wildcard, zone) && !nsec.next.isBelow(wildcard));
}

function provesNoData(qname: Name, qtype: RRType, zone: Name, nsecs: readonly Nsec[]): boolean {
  const exact = nsecs.find((nsec) => nsec.owner.equals(qname));
  if (exact !== undefined) return lacks(exact, qname, qtype);
  if (nsecs.some((nsec) => nsec.showsEmptyNonTerminal(qname, zone))) return true;
  const covering = nsecs.find((nsec) => nsec.covers(qname, zone));
  if (covering === undefined) return false;
  // RFC 4035 §3.1.3.4: the wildcard exists without the type, and nothing closer does.
  const wildcard = wildcardAt(closestEncloser(covering, qname));
  if (wildcard === undefined) return false;
  return nsecs.some(
    (nsec) =>
      (nsec.owner.equals(wildcard) && lacks(nsec, wildcard, qtype)) ||
      nsec.showsEmptyNonTerminal(wildcard, zone),
  );
}

/** The record at the name itself, from the right side of a cut, has neither the type nor an alias (RFC 6840 §4.1, §4.3). */
function lacks(nsec: Nsec, name: Name, qtype: RRType): boolean {
  if (nsec.answers(qtype) || nsec.has(RRType.CNAME)) return false;
  if (qtype === RRType.DS) return name.isRoot || !nsec.has(RRType.SOA);
  return !nsec.isDelegation;
}

/** What NSEC records say about a delegation. */
export function judgeNsecNoDs(name: Name, zone: Name, nsecs: readonly Nsec[]): NoDsVerdict {
  const exact = nsecs.find((nsec) => nsec.owner.equals(name));
  if (exact !== undefined) {
    if (exact.has(RRType.DS) || exact.has(RRType.SOA))
      return notProved("the NSEC at the name shows a DS or is the child's");
    return exact.has(RRType.NS) ? { kind: "insecure delegation" } : { kind: "no cut" };
  }
  if (nsecs.some((nsec) => nsec.covers(name, zone))) {
    // Either nothing is here, or a wildcard that lacks DS, or a wildcard's alias: no cut in any case.
    return { kind: "no cut" };
  }
  return notProved("no NSEC for the DS");
}

/** `*.name`; undefined when that would be too long to exist. */
export function wildcardAt(name: Name): Name | undefined {
  const wildcard = name.tryPrepend(WILDCARD);
  return wildcard.ok ? wildcard.value : undefined;
}

const WILDCARD = Uint8Array.of(0x2a);
