/** Proofs by NSEC3 (RFC 5155 §8, RFC 9276). The sets given here have been verified. */
import { hash } from "node:crypto";
import { type Name, RRType, uint16At } from "@sotto/dns/wire";
import type { ValidationBudget } from "./budget.ts";
import { type DenialClaim, type DenialVerdict, type NoDsVerdict, notProved } from "./denial.ts";
import { wildcardAt } from "./nsec.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import { bitmapAnswers, bitmapHas } from "./type-set.ts";

/** One NSEC3 record. */
class Nsec3 {
  readonly iterations: number;
  readonly isOptOut: boolean;
  readonly salt: Uint8Array;
  /** Hash of its own name, as the owner's first label has it: lower-case base32hex. */
  readonly hash: string;
  /** Hash of the next name. */
  readonly next: string;
  readonly #rdata: Uint8Array;
  readonly #typesAt: number;

  constructor(owner: Name, rdata: Uint8Array) {
    this.isOptOut = ((rdata[1] ?? 0) & FLAG_OPT_OUT) !== 0;
    this.iterations = uint16At(rdata, 2);
    const nextAt = 5 + (rdata[4] ?? 0);
    this.salt = rdata.subarray(5, nextAt);
    this.#typesAt = nextAt + 1 + (rdata[nextAt] ?? 0);
    this.hash = owner.key.slice(1, 1 + (owner.wire[0] ?? 0));
    this.next = base32hex(rdata.subarray(nextAt + 1, this.#typesAt));
    this.#rdata = rdata;
  }

  has(type: RRType): boolean {
    return bitmapHas(this.#rdata, this.#typesAt, type);
  }

  /** A question for the type has an answer here. */
  answers(qtype: RRType): boolean {
    return bitmapAnswers(this.#rdata, this.#typesAt, qtype);
  }

  get isDelegation(): boolean {
    return this.has(RRType.NS) && !this.has(RRType.SOA);
  }

  /** The hash lies between its own and the next one; the last record of a zone spans the end (RFC 5155 §7.2.1). */
  covers(hash: string): boolean {
    if (this.hash < this.next) return this.hash < hash && hash < this.next;
    return this.hash < hash || hash < this.next;
  }
}

/** An existing ancestor of a name, and the record that covers the name one label longer (RFC 5155 §8.3). */
interface Encloser {
  readonly name: Name;
  readonly nextCloser: Nsec3;
}

/** The records of one denial, all of one zone. */
export class Nsec3Proofs {
  readonly #records: readonly Nsec3[];
  readonly #zone: Name;
  readonly #budget: ValidationBudget;
  readonly #hashes = new Map<string, string>();
  readonly #isTooCostly: boolean;

  /** `iterationsMax`: above it nothing is computed (RFC 9276 §3.2). */
  constructor(rrsets: readonly SignedRRset[], zone: Name, iterationsMax: number, budget: ValidationBudget) {
    const records: Nsec3[] = [];
    for (const { owner, rdatas } of rrsets) {
      const rdata = rdatas[0];
      // RFC 5155 §8.1, §8.2: unknown hashes and flags are as if they were not there. The owner is one label above the zone.
      if (rdata === undefined || rdata[0] !== HASH_SHA1 || ((rdata[1] ?? 0) & ~FLAG_OPT_OUT) !== 0) continue;
      if (owner.parent().equals(zone)) records.push(new Nsec3(owner, rdata));
    }
    // RFC 5155 §8.2: all of one answer have the same parameters.
    const first = records[0];
    this.#records = records.filter(
      ({ iterations, salt }) => iterations === first?.iterations && Buffer.compare(salt, first.salt) === 0,
    );
    this.#isTooCostly = first !== undefined && first.iterations > iterationsMax;
    this.#zone = zone;
    this.#budget = budget;
  }

  get isEmpty(): boolean {
    return this.#records.length === 0;
  }

  /** Judges a claim about `qname`. */
  judge(claim: DenialClaim, qname: Name, qtype: RRType): DenialVerdict {
    if (this.#isTooCostly) return { kind: "too many iterations" };
    switch (claim.kind) {
      case "nodata":
        return this.#judgeNoData(qname, qtype);
      case "nxdomain":
        return this.#judgeNameError(qname);
      case "wildcard": {
        // RFC 5155 §8.8: the signature tells the encloser; only the next closer name has to be covered.
        const covering = this.#covering(qname.suffix(claim.encloserLabels + 1));
        if (covering === undefined) return notProved("no NSEC3 shows that the wildcard was right to use");
        return covering.isOptOut ? { kind: "opt-out" } : { kind: "proved" };
      }
    }
  }

  /** RFC 5155 §8.4. */
  #judgeNameError(qname: Name): DenialVerdict {
    const encloser = this.#closestEncloser(qname);
    if (encloser === undefined) return notProved("no NSEC3 shows the closest encloser");
    const wildcard = wildcardAt(encloser.name);
    if (wildcard !== undefined && this.#covering(wildcard) === undefined)
      return notProved("no NSEC3 shows that there is no wildcard");
    return encloser.nextCloser.isOptOut ? { kind: "opt-out" } : { kind: "proved" };
  }

  /** RFC 5155 §8.5 to §8.7. */
  #judgeNoData(qname: Name, qtype: RRType): DenialVerdict {
    const exact = this.#matching(qname);
    if (exact !== undefined) {
      return lacks(exact, qname, qtype)
        ? { kind: "proved" }
        : notProved("the NSEC3 of the name does not show that the type is missing");
    }
    const encloser = this.#closestEncloser(qname);
    if (encloser === undefined) return notProved("no NSEC3 shows the closest encloser");
    // RFC 5155 §8.6: an unsigned delegation is no matter of wildcards.
    if (qtype === RRType.DS && encloser.nextCloser.isOptOut) return { kind: "opt-out" };
    const wildcardName = wildcardAt(encloser.name);
    const wildcard = wildcardName === undefined ? undefined : this.#matching(wildcardName);
    if (wildcard !== undefined) {
      if (wildcardName === undefined || !lacks(wildcard, wildcardName, qtype))
        return notProved("the NSEC3 of the wildcard does not show that the type is missing");
      return encloser.nextCloser.isOptOut ? { kind: "opt-out" } : { kind: "proved" };
    }
    // RFC 5155 §9.2: an unsigned delegation may hide here.
    return encloser.nextCloser.isOptOut
      ? { kind: "opt-out" }
      : notProved("no NSEC3 of the name and none of a wildcard");
  }

  /** What the records say about a delegation (RFC 5155 §8.6, §8.9). */
  judgeNoDs(name: Name): NoDsVerdict {
    if (this.#isTooCostly) return { kind: "too many iterations" };
    const exact = this.#matching(name);
    if (exact !== undefined) {
      if (exact.has(RRType.DS) || exact.has(RRType.SOA))
        return notProved("the NSEC3 of the name shows a DS or is the child's");
      return exact.has(RRType.NS) ? { kind: "insecure delegation" } : { kind: "no cut" };
    }
    const encloser = this.#closestEncloser(name);
    if (encloser === undefined) return notProved("no NSEC3 shows the closest encloser");
    return encloser.nextCloser.isOptOut ? { kind: "insecure delegation" } : { kind: "no cut" };
  }

  #closestEncloser(qname: Name): Encloser | undefined {
    // From the zone down: whoever asks chooses how deep the name is, and only the zone how deep its names are
    // (CVE-2023-50868). The first that fits is the longest, because nothing exists below a name that is covered.
    for (let labels = this.#zone.labelCount; labels < qname.labelCount; labels++) {
      const encloser = qname.suffix(labels);
      const record = this.#matching(encloser);
      if (record === undefined) continue;
      // RFC 5155 §8.3: below a cut or a DNAME the record would be the wrong zone's.
      if (record.isDelegation || record.has(RRType.DNAME)) return undefined;
      const nextCloser = this.#covering(qname.suffix(labels + 1));
      if (nextCloser !== undefined) return { name: encloser, nextCloser };
    }
    return undefined;
  }

  #matching(name: Name): Nsec3 | undefined {
    const hash = this.#hash(name);
    return this.#records.find((record) => record.hash === hash);
  }

  #covering(name: Name): Nsec3 | undefined {
    const hash = this.#hash(name);
    return hash === undefined ? undefined : this.#records.find((record) => record.covers(hash));
  }

  /** Undefined when the budget is used up: then nothing can be shown. */
  #hash(name: Name): string | undefined {
    const known = this.#hashes.get(name.key);
    const first = this.#records[0];
    if (known !== undefined || first === undefined) return known;
    if (!this.#budget.takeHash(first.iterations)) return undefined;
    const hash = base32hex(nsec3HashOf(name, first.salt, first.iterations));
    this.#hashes.set(name.key, hash);
    return hash;
  }
}

function lacks(record: Nsec3, name: Name, qtype: RRType): boolean {
  if (record.answers(qtype) || record.has(RRType.CNAME)) return false;
  if (qtype === RRType.DS) return name.isRoot || !record.has(RRType.SOA);
  return !record.isDelegation;
}

/** RFC 5155 §5 with SHA-1, the only hash there is. */
export function nsec3HashOf(name: Name, salt: Uint8Array, iterations: number): Uint8Array {
  const { wire } = name.toLowerCase();
  const first = new Uint8Array(wire.length + salt.length);
  first.set(wire);
  first.set(salt, wire.length);
  // One buffer for all rounds: what was hashed last, and the salt behind it.
  const round = new Uint8Array(SHA1_OCTETS + salt.length);
  round.set(salt, SHA1_OCTETS);
  round.set(hash("sha1", first, "buffer"));
  for (let i = 0; i < iterations; i++) round.set(hash("sha1", round, "buffer"));
  return round.slice(0, SHA1_OCTETS);
}

/** RFC 4648 §7 in lower case, without padding, as owner names have it. */
export function base32hex(octets: Uint8Array): string {
  let text = "";
  let held = 0;
  let bits = 0;
  for (const octet of octets) {
    held = ((held << 8) | octet) & 0xffff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32HEX[(held >>> bits) & 31];
    }
  }
  if (bits > 0) text += BASE32HEX[(held << (5 - bits)) & 31];
  return text;
}

const BASE32HEX = "0123456789abcdefghijklmnopqrstuv";
const HASH_SHA1 = 1;
const FLAG_OPT_OUT = 1;
const SHA1_OCTETS = 20;
