/** The data of one zone: nodes by name, cuts, and whether a name exists at all (RFC 1034 §4.3.2, RFC 4592). */
import { type Name, type ResourceRecord, RRType } from "@sotto/dns/wire";

/** All records at one name. */
export interface ZoneNode {
  readonly owner: Name;
  readonly rrsets: Map<RRType, ResourceRecord[]>;
}

/** A zone; records of a signed zone include its RRSIG, NSEC and NSEC3. */
export class Zone {
  readonly origin: Name;
  readonly #nodes = new Map<string, ZoneNode>();
  /** Names without records that have names beneath them. */
  readonly #emptyNonTerminals = new Map<string, Name>();

  constructor(origin: Name, records: readonly ResourceRecord[]) {
    this.origin = origin;
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
