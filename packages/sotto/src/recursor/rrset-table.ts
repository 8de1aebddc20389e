/** The records of one section of a reply, put together into sets in linear time, within a zone. */
import type { RRset } from "@sotto/dns/cache";
import {
  isMetaType,
  type Name,
  type ResourceRecord,
  RRClass,
  RRType,
  tryReadName,
  uint16At,
} from "@sotto/dns/wire";

/** Sets by owner and type, in the order of the reply. */
export class RRsetTable {
  readonly #rrsets: GrowingRRset[] = [];
  /** Undefined while there are so few that looking at all of them costs less than a key. */
  #byKey: Map<string, GrowingRRset> | undefined = undefined;
  /** Contents of sets with more than one record. */
  #seen: Map<RRset, Set<string>> | undefined = undefined;

  get size(): number {
    return this.#rrsets.length;
  }

  get(owner: Name, type: RRType): RRset | undefined {
    return this.#find(owner, type);
  }

  #find(owner: Name, type: RRType): GrowingRRset | undefined {
    if (this.#byKey !== undefined) return this.#byKey.get(keyOf(owner, type));
    for (const rrset of this.#rrsets) if (rrset.type === type && rrset.owner.equals(owner)) return rrset;
    return undefined;
  }

  all(): readonly RRset[] {
    return this.#rrsets;
  }

  atOwner(owner: Name): readonly RRset[] {
    return this.#rrsets.filter((rrset) => rrset.owner.equals(owner));
  }

  hasType(type: RRType): boolean {
    for (const rrset of this.#rrsets) if (rrset.type === type) return true;
    return false;
  }

  /** Adds a record to its set; a record that is there twice counts once (RFC 2181 §5). */
  add(record: ResourceRecord, fromZone: Name): void {
    const rrset = this.#find(record.owner, record.type);
    if (rrset === undefined) {
      this.#start(startRRset(record, fromZone));
      return;
    }
    // RFC 2181 §5.2: one TTL per set, the smallest when they differ.
    rrset.ttlSeconds = Math.min(rrset.ttlSeconds, record.ttl);
    // Most sets have one record, and nothing to compare it with.
    this.#seen ??= new Map();
    const seen = this.#seen.get(rrset) ?? new Set(rrset.rdatas.map((rdata) => latin1.decode(rdata)));
    this.#seen.set(rrset, seen);
    const content = latin1.decode(record.rdata);
    if (seen.has(content)) return;
    seen.add(content);
    rrset.rdatas.push(record.rdata);
  }

  #start(rrset: GrowingRRset): void {
    this.#rrsets.push(rrset);
    if (this.#rrsets.length > FEW)
      this.#byKey ??= new Map(this.#rrsets.map((known) => [keyOf(known.owner, known.type), known]));
    this.#byKey?.set(keyOf(rrset.owner, rrset.type), rrset);
  }

  /** Puts a signature beside the set it covers; without such a set it is dropped. */
  addSignature(record: ResourceRecord): void {
    const rrset = this.#find(record.owner, uint16At(record.rdata, 0));
    if (rrset !== undefined && rrset.signatures.length < SIGNATURES_MAX) rrset.signatures.push(record.rdata);
  }
}

/**
 * The sets of a section that belong to the zone, class IN, with their signatures out of `signatures`; undefined when there are too many.
 * RRSIG records are sets of their own only when they were asked for.
 */
export function collectRRsets(
  records: readonly ResourceRecord[],
  signatures: readonly ResourceRecord[],
  zone: Name,
  sought: RRType,
): RRsetTable | undefined {
  const table = new RRsetTable();
  const isUsable = (record: ResourceRecord): boolean =>
    record.class === RRClass.IN &&
    !isMetaType(record.type) &&
    record.owner.isAtOrBelow(zone) &&
    !(record.type === RRType.NSEC && reachesOut(record, zone));
  for (const record of records) {
    if (!isUsable(record)) continue;
    if (record.type !== RRType.RRSIG || sought === RRType.RRSIG) table.add(record, zone);
    if (table.size > RRSETS_PER_SECTION_MAX) return undefined;
  }
  if (sought !== RRType.RRSIG)
    for (const record of signatures) if (isUsable(record)) table.addSignature(record);
  return table;
}

/** True for an NSEC whose next name is not of the zone, as RFC 4034 §4.1.1 has it: it would deny names of others. */
function reachesOut({ rdata }: ResourceRecord, zone: Name): boolean {
  const next = tryReadName(rdata, 0);
  return !next.ok || !next.value.name.isAtOrBelow(zone);
}

/** The sets that deny: NSEC and NSEC3, signed ones only. */
export function proofsOf(authorities: RRsetTable): RRset[] {
  const proofs = authorities
    .all()
    .filter(
      ({ type, signatures }) => signatures.length > 0 && (type === RRType.NSEC || type === RRType.NSEC3),
    );
  return proofs.length > PROOFS_MAX ? proofs.slice(0, PROOFS_MAX) : proofs;
}

interface GrowingRRset extends RRset {
  ttlSeconds: number;
  readonly rdatas: Uint8Array[];
  readonly signatures: Uint8Array[];
}

function startRRset(record: ResourceRecord, fromZone: Name): GrowingRRset {
  return {
    owner: record.owner,
    type: record.type,
    ttlSeconds: record.ttl,
    rdatas: [record.rdata],
    signatures: [],
    proofs: [],
    synthesizedFrom: undefined,
    fromZone,
  };
}

function keyOf(owner: Name, type: RRType): string {
  return String.fromCharCode(type) + owner.key;
}

/** One character per octet, none lost: equal texts mean equal octets. */
const latin1 = new TextDecoder("latin1");

/** An answer has one or two, a denial four. */
const FEW = 8;
/** A reply to ANY for a well-equipped apex has about 30 sets; a chain of aliases has one per link. */
const RRSETS_PER_SECTION_MAX = 256;
/** Two algorithms in the middle of a roll make four; every signature costs a validator work (KeyTrap). */
const SIGNATURES_MAX = 16;
/** NSEC3 needs three sets for a name error and a wildcard (RFC 5155 §7.2); twice that is generous. */
const PROOFS_MAX = 6;
