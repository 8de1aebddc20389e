/** The data of one zone: nodes by name, cuts, and whether a name exists at all (RFC 1034 §4.3.2, RFC 4592). */
import { type Name, type ResourceRecord, RRType } from "@sotto/dns/wire";
import type { Nsec3Plan } from "./denial-chain.ts";

/** What a server of a zone may do wrong although the zone itself is in order. */
export const ANSWER_FLAWS = [
  /** Leaves all denial records out. */
  "no proofs",
  /** NXDOMAIN without the proof that there is no wildcard. */
  "no wildcard proof",
  /** Wildcard answers, and NXDOMAIN, without the proof that the name itself does not exist. */
  "no name proof",
  /** NSEC3: without the record that shows the closest encloser. */
  "no encloser proof",
  /** The denial records of the apex for whatever is asked. */
  "proofs of the apex",
  /** Denies with the record that the zone above has for the cut (RFC 6840 §4.1). */
  "proofs from above",
  /** Denies what is below a DNAME with the record at the DNAME (RFC 6840 §4.1). */
  "denies below DNAME",
  /** Denies types at an alias with the record at the alias (RFC 6840 §4.3). */
  "denies aliases",
  /** Answers questions for DS from the child (RFC 4035 §3.1.4.1 wants the parent). */
  "DS from the child",
  /** Makes records from a wildcard for names that exist. */
  "wildcard over names",
] as const;
export type AnswerFlaw = (typeof ANSWER_FLAWS)[number];

/** All records at one name. */
export interface ZoneNode {
  readonly owner: Name;
  readonly rrsets: Map<RRType, ResourceRecord[]>;
}

/** A zone; records of a signed zone include its RRSIG, NSEC and NSEC3. */
export class Zone {
  readonly origin: Name;
  readonly answerFlaw: AnswerFlaw | undefined;
  /** How names are hashed; absent: the zone is unsigned or has NSEC. */
  nsec3: Nsec3Plan | undefined;
  readonly #nodes = new Map<string, ZoneNode>();
  /** Names without records that have names beneath them. */
  readonly #emptyNonTerminals = new Map<string, Name>();

  constructor(origin: Name, records: readonly ResourceRecord[], answerFlaw?: AnswerFlaw) {
    this.origin = origin;
    this.answerFlaw = answerFlaw;
    for (const record of records) this.add(record);
  }

  add(record: ResourceRecord): void {
    const { key } = record.owner;
    const node = this.#nodes.get(key) ?? { owner: record.owner, rrsets: new Map<RRType, ResourceRecord[]>() };
    node.rrsets.set(record.type, [...(node.rrsets.get(record.type) ?? []), record]);
    this.#nodes.set(key, node);
    for (let name = record.owner.parent(); name.isBelow(this.origin); name = name.parent())
      this.#emptyNonTerminals.set(name.key, name);
  }

  /** Changes every record in its place. */
  change(change: (record: ResourceRecord) => ResourceRecord): void {
    for (const { rrsets } of this.#nodes.values())
      for (const [type, rrset] of rrsets) rrsets.set(type, rrset.map(change));
  }

  node(name: Name): ZoneNode | undefined {
    return this.#nodes.get(name.key);
  }

  get nodes(): IterableIterator<ZoneNode> {
    return this.#nodes.values();
  }

  /** Names that exist only because something is beneath them. */
  get emptyNonTerminals(): Name[] {
    return [...this.#emptyNonTerminals.values()].filter((name) => !this.#nodes.has(name.key));
  }

  /** True when the name has records, or something beneath it has. */
  exists(name: Name): boolean {
    return this.#nodes.has(name.key) || this.#emptyNonTerminals.has(name.key);
  }

  rrset(name: Name, type: RRType): readonly ResourceRecord[] {
    return this.#nodes.get(name.key)?.rrsets.get(type) ?? [];
  }

  /** The highest cut at or above `name` and below the apex, undefined when the name is this zone's own. */
  cutAbove(name: Name): Name | undefined {
    let cut: Name | undefined;
    for (let at = name; at.isBelow(this.origin); at = at.parent())
      if (this.rrset(at, RRType.NS).length > 0) cut = at;
    return cut;
  }

  /** The closest ancestor of `name` that exists (RFC 4592 §3.3.1). */
  closestEncloser(name: Name): Name {
    let at = name;
    while (!this.exists(at) && at.isBelow(this.origin)) at = at.parent();
    return at;
  }

  get isSigned(): boolean {
    return this.rrset(this.origin, RRType.DNSKEY).length > 0;
  }

  /** True for names this zone answers for with authority: neither below a cut nor glue. */
  isAuthoritativeFor(name: Name): boolean {
    const cut = this.cutAbove(name);
    return cut === undefined || cut.equals(name);
  }
}
