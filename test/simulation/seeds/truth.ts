/**
 * What the zones of the fake internet really say, whoever lies about them: a walk over their records (RFC 1034 §4.3.2), without
 * messages, caches or servers. Shares no code with the recursor.
 */
import type { ServedZone } from "@sotto/dns/testing";
import {
  canonicalRdata,
  decodeRdataOf,
  type Name,
  Rcode,
  type ResourceRecord,
  RRType,
} from "@sotto/dns/wire";

/** How a zone answers for one name. */
export type StepKind =
  | "rrset"
  | "wildcard"
  | "nodata"
  | "wildcard nodata"
  | "nxdomain"
  | "any"
  /** The zone names servers for it that nobody serves it on. */
  | "delegated to nobody";

/** What one zone says about one name; an answer has one for each link of its chain of aliases. */
export interface Step {
  readonly zone: string;
  readonly owner: Name;
  readonly kind: StepKind;
  /** Sets of this step by owner and type (`keyOf`), as canonical rdata and TTL. */
  readonly sets: ReadonlyMap<string, TrueSet>;
}

export interface TrueSet {
  readonly ttlSeconds: number;
  /** Sorted, hexadecimal. */
  readonly rdatas: readonly string[];
}

export interface TrueAnswer {
  readonly steps: readonly Step[];
  /** Undefined: aliases without end, or a zone that nobody serves. */
  readonly rcode: number | undefined;
}

type Zone = ServedZone["zone"];

/** Aliases that are followed; the recursor follows fewer. */
const ALIASES_MAX = 30;

export class Truth {
  readonly #zones: ReadonlyMap<string, ServedZone>;
  readonly #root: Zone;
  readonly #known = new Map<string, TrueAnswer>();

  constructor(zones: readonly ServedZone[]) {
    this.#zones = new Map(zones.map((zone) => [zone.origin.key, zone]));
    const root = zones.find(({ origin }) => origin.isRoot);
    if (root === undefined) throw new RangeError("an internet has a root");
    this.#root = root.zone;
  }

  /** The true answer; remembered. */
  of(name: Name, type: RRType): TrueAnswer {
    const key = keyOf(name, type);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const steps: Step[] = [];
    const found = { steps, rcode: this.#walk(name, type, steps) };
    if (this.#known.size < KNOWN_MAX) this.#known.set(key, found);
    return found;
  }

  /** The zone that a name's records are in, for DS the one above; `isServed`: false when it is delegated to nobody. */
  #zoneOf(name: Name, type: RRType): { readonly zone: Zone; readonly isServed: boolean } {
    let zone = this.#root;
    for (;;) {
      const cut = highestCut(zone, name);
      if (cut === undefined || (type === RRType.DS && cut.equals(name))) return { zone, isServed: true };
      const below = this.#zones.get(cut.key)?.zone;
      if (below === undefined) return { zone, isServed: false };
      zone = below;
    }
  }

  #walk(qname: Name, type: RRType, steps: Step[]): number | undefined {
    let name = qname;
    for (let aliases = 0; aliases <= ALIASES_MAX; aliases++) {
      const { zone, isServed } = this.#zoneOf(name, type);
      if (!isServed) {
        steps.push({
          zone: zone.origin.toString(),
          owner: name,
          kind: "delegated to nobody",
          sets: new Map(),
        });
        return undefined;
      }
      const step = stepIn(zone, name, type);
      steps.push(step.step);
      if (step.next === undefined) return step.rcode;
      name = step.next;
    }
    return undefined;
  }
}

interface Found {
  readonly step: Step;
  readonly rcode: number;
  /** Where an alias leads. */
  readonly next: Name | undefined;
}

function stepIn(zone: Zone, name: Name, type: RRType): Found {
  const dname = dnameAbove(zone, name);
  if (dname !== undefined) {
    const found = throughDname(zone, name, dname);
    // The CNAME that is made is what is asked for.
    const isWanted = type === RRType.CNAME || type === RRType.ANY;
    return isWanted ? { ...found, next: undefined } : found;
  }
  if (zone.exists(name)) return at(zone, name, name, type);
  const wildcard = zone.closestEncloser(name).tryPrepend(Uint8Array.of(0x2a));
  if (wildcard.ok && zone.node(wildcard.value) !== undefined) return at(zone, name, wildcard.value, type);
  const step = { zone: zone.origin.toString(), owner: name, kind: "nxdomain" as const, sets: new Map() };
  return { step, rcode: Rcode.NXDomain, next: undefined };
}

/** The records of `source` under the name `owner`. */
function at(zone: Zone, owner: Name, source: Name, type: RRType): Found {
  const isWild = !source.equals(owner);
  const make = (kind: StepKind, types: readonly RRType[], next?: Name): Found => {
    const sets = new Map(types.map((one) => [keyOf(owner, one), setOf(zone.rrset(source, one))] as const));
    return { step: { zone: zone.origin.toString(), owner, kind, sets }, rcode: Rcode.NoError, next };
  };
  const node = zone.node(source);
  if (type === RRType.ANY && node !== undefined) return make("any", [...node.rrsets.keys()]);
  const [alias] = type === RRType.CNAME ? [] : zone.rrset(source, RRType.CNAME);
  if (alias !== undefined) {
    const fields = decodeRdataOf("CNAME", alias.rdata);
    return make(isWild ? "wildcard" : "rrset", [RRType.CNAME], fields.ok ? fields.value.host : undefined);
  }
  if (zone.rrset(source, type).length > 0) return make(isWild ? "wildcard" : "rrset", [type]);
  return make(isWild ? "wildcard nodata" : "nodata", []);
}

/** RFC 6672 §3.2. */
function throughDname(zone: Zone, name: Name, dname: ResourceRecord): Found {
  const fields = decodeRdataOf("DNAME", dname.rdata);
  const target = fields.ok ? name.replaceSuffix(dname.owner, fields.value.target) : undefined;
  const sets = new Map([[keyOf(dname.owner, RRType.DNAME), setOf([dname])]]);
  if (target !== undefined)
    sets.set(keyOf(name, RRType.CNAME), {
      ttlSeconds: dname.ttl,
      rdatas: [hexOf(canonicalRdata(RRType.CNAME, target.wire))],
    });
  const step: Step = { zone: zone.origin.toString(), owner: name, kind: "rrset", sets };
  return { step, rcode: target === undefined ? Rcode.YXDomain : Rcode.NoError, next: target };
}

function dnameAbove(zone: Zone, name: Name): ResourceRecord | undefined {
  for (let above = name; above.isBelow(zone.origin); ) {
    above = above.parent();
    const [dname] = zone.rrset(above, RRType.DNAME);
    if (dname !== undefined) return dname;
  }
  return undefined;
}

function highestCut(zone: Zone, name: Name): Name | undefined {
  return name.isBelow(zone.origin) ? zone.cutAbove(name) : undefined;
}

function setOf(records: readonly ResourceRecord[]): TrueSet {
  const rdatas = records.map(({ type, rdata }) => hexOf(canonicalRdata(type, rdata)));
  return { ttlSeconds: records[0]?.ttl ?? 0, rdatas: [...new Set(rdatas)].sort() };
}

/** The sets of a section, signatures left out. */
export function setsOf(records: readonly ResourceRecord[]): Map<string, TrueSet> {
  const grouped = new Map<string, ResourceRecord[]>();
  for (const record of records) {
    if (record.type === RRType.RRSIG) continue;
    const key = keyOf(record.owner, record.type);
    const group = grouped.get(key);
    if (group === undefined) grouped.set(key, [record]);
    else group.push(record);
  }
  return new Map([...grouped].map(([key, group]) => [key, setOf(group)]));
}

/** For maps of sets: a person can read it. */
export function keyOf(owner: Name, type: RRType): string {
  return `${owner.toLowerCase()} ${type}`;
}

function hexOf(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("hex");
}

/** More questions than a run of ten thousand seeds makes up. */
const KNOWN_MAX = 100_000;
