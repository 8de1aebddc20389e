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
  readonly #rrsets = new Map<string, Building>();

  get size(): number {
    return this.#rrsets.size;
  }

  get(owner: Name, type: RRType): RRset | undefined {
    return this.#rrsets.get(keyOf(owner, type))?.rrset;
  }

  all(): readonly RRset[] {
    return Array.from(this.#rrsets.values(), (building) => building.rrset);
  }

  atOwner(owner: Name): readonly RRset[] {
    return this.all().filter((rrset) => rrset.owner.equals(owner));
  }

  hasType(type: RRType): boolean {
    for (const { rrset } of this.#rrsets.values()) if (rrset.type === type) return true;
    return false;
  }

  /** Adds a record to its set; a record that is there twice counts once (RFC 2181 §5). */
  add(record: ResourceRecord, fromZone: Name): void {
    const key = keyOf(record.owner, record.type);
    let building = this.#rrsets.get(key);
    if (building === undefined) {
      building = { rrset: startRRset(record, fromZone), seen: undefined };
      this.#rrsets.set(key, building);
      return;
    }
    const { rrset } = building;
    // RFC 2181 §5.2: one TTL per set, the smallest when they differ.
    rrset.ttlSeconds = Math.min(rrset.ttlSeconds, record.ttl);
    // Most sets have one record, and nothing to compare it with.
    building.seen ??= new Set(rrset.rdatas.map((rdata) => latin1.decode(rdata)));
    const content = latin1.decode(record.rdata);
    if (building.seen.has(content)) return;
    building.seen.add(content);
    rrset.rdatas.push(record.rdata);
  }

  /** Puts a signature beside the set it covers; without such a set it is dropped. */
  addSignature(record: ResourceRecord): void {
    const rrset = this.#rrsets.get(keyOf(record.owner, uint16At(record.rdata, 0)))?.rrset;
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
  return authorities
    .all()
    .filter(
      ({ type, signatures }) => signatures.length > 0 && (type === RRType.NSEC || type === RRType.NSEC3),
    )
    .slice(0, PROOFS_MAX);
}

/** A set that is being put together; `seen` does not outlive the table. */
interface Building {
  readonly rrset: GrowingRRset;
  /** Contents of its records; undefined while there is one. */
  seen: Set<string> | undefined;
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

/** A reply to ANY for a well-equipped apex has about 30 sets; a chain of aliases has one per link. */
const RRSETS_PER_SECTION_MAX = 256;
/** Two algorithms in the middle of a roll make four; every signature costs a validator work (KeyTrap). */
const SIGNATURES_MAX = 16;
/** NSEC3 needs three sets for a name error and a wildcard (RFC 5155 §7.2); twice that is generous. */
const PROOFS_MAX = 6;
