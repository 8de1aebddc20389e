/**
 * Names that are answered from here and never asked of the world: the built-in zones of `builtin-zones.ts`, and records
 * of the operator's own. An own CNAME is answered as it is and not followed; there are no own wildcards.
 */
import type { Middleware, Query, Reply } from "@sotto/dns/transport";
import {
  concatOctets,
  EdeCode,
  makeMessage,
  type Name,
  NamesAbove,
  parseName,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
  setUint32,
} from "@sotto/dns/wire";
import { refusal } from "../refusal.ts";
import { BUILTIN_ZONES, type BuiltinKind } from "./builtin-zones.ts";

/** What is answered locally. */
export interface LocalZonesOptions {
  /** The built-in zones. */
  readonly builtin: boolean;
  /** Built-in zones to leave to ordinary resolution. */
  readonly except: readonly Name[];
  /** Own records; the names they stand at exist, with nothing else. They win over built-in zones. */
  readonly records: readonly ResourceRecord[];
  /** How names without own records are answered, by zone; the longest counts, also before built-in ones. */
  readonly zones?: readonly { readonly name: Name; readonly kind: LocalZoneKind }[] | undefined;
}

/**
 * `static`: NODATA or NXDOMAIN. `transparent`: only names with own records are ours. `typetransparent`: only their types.
 * `redirect`: the records of the zone's own name stand for all names below. `refuse`: REFUSED. `null`: the addresses that
 * lead nowhere. `nxdomain`, `nodata`: whatever records there are.
 */
export type LocalZoneKind =
  | "static"
  | "transparent"
  | "typetransparent"
  | "redirect"
  | "refuse"
  | "null"
  | "nxdomain"
  | "nodata";

interface Zone {
  readonly name: Name;
  readonly kind: BuiltinKind | Exclude<LocalZoneKind, "nxdomain" | "nodata">;
  /** Undefined: a configured zone without one, whose denials nobody keeps. */
  readonly soa: ResourceRecord | undefined;
  /** The reverse name of a loopback address. */
  readonly pointer?: Name | undefined;
}

/** Answers what is local, passes on the rest. */
export function localZones(options: LocalZonesOptions): Middleware {
  const zones = builtinZones(options);
  for (const { name, kind } of options.zones ?? []) {
    const soa = options.records.find(({ owner, type }) => type === RRType.SOA && owner.equals(name));
    // What holds for everything is not local.
    if (!name.isRoot) zones.set(name, { name, kind, soa });
  }
  const own = new Map<string, ResourceRecord[]>();
  for (const record of options.records)
    own.set(record.owner.key, [...(own.get(record.owner.key) ?? []), record]);
  const parents = parentsOf(options.records);
  return (next) => {
    if (zones.size === 0 && own.size === 0) return next;
    return {
      respond(query, context) {
        const { qname, qtype } = query.view;
        const zone = zones.closest(qname);
        const reply = zone === undefined ? undefined : configuredReply(query, zone, own);
        if (reply === "pass on") return next.respond(query, context);
        if (reply !== undefined) return Promise.resolve(reply);
        const records = own.get(qname.key);
        if (records !== undefined) return Promise.resolve(ownReply(query, records, zone));
        // The delegations of built-in zones are real: whoever validates asks for their DS (RFC 8375 §4, RFC 6303 §3).
        const isDelegation = zone?.kind === "empty" && qtype === RRType.DS && qname.equals(zone.name);
        if (zone === undefined || isDelegation || zone.kind.endsWith("transparent"))
          return next.respond(query, context);
        const isParent = parents.has(qname.key);
        return Promise.resolve(
          isParent ? localReply(query, Rcode.NoError, [], soaOfZone(zone)) : zoneReply(query, zone),
        );
      },
    };
  };
}

function builtinZones(options: LocalZonesOptions): NamesAbove<Zone> {
  const zones = new NamesAbove<Zone>();
  if (!options.builtin) return zones;
  const except = new Set(options.except.map((name) => name.key));
  for (const { name: text, kind, pointer } of BUILTIN_ZONES) {
    const name = parseName(text);
    if (except.has(name.key)) continue;
    zones.set(name, {
      name,
      kind,
      soa: soaOf(name),
      pointer: pointer === undefined ? undefined : parseName(pointer),
    });
  }
  return zones;
}

/** Names above own records: they exist too, without records (RFC 8020 §2, RFC 4592 §2.2.2). */
function parentsOf(records: readonly ResourceRecord[]): Set<string> {
  const parents = new Set<string>();
  for (const { owner } of records) {
    for (let name = owner.parent(); !name.isRoot; name = name.parent()) parents.add(name.key);
  }
  return parents;
}

function ownReply(query: Query, records: readonly ResourceRecord[], zone: Zone | undefined): Reply {
  const { qtype } = query.view;
  const matching = records.filter(
    (record) =>
      qtype === RRType.ANY ||
      record.type === qtype ||
      // NSEC lives beside a CNAME (RFC 4034 §4).
      (record.type === RRType.CNAME && qtype !== RRType.NSEC),
  );
  // Without a zone of ours there is no SOA, and nobody keeps that there is nothing (RFC 2308 §5).
  const authorities = matching.length > 0 || zone === undefined ? [] : soaOfZone(zone);
  return localReply(query, Rcode.NoError, matching, authorities);
}

const soaOfZone = ({ soa }: Zone): readonly ResourceRecord[] => (soa === undefined ? [] : [soa]);

/** What the kind of a zone says before records are looked at; undefined when they decide. */
function configuredReply(
  query: Query,
  zone: Zone,
  own: ReadonlyMap<string, readonly ResourceRecord[]>,
): Reply | "pass on" | undefined {
  const { qname, qtype } = query.view;
  switch (zone.kind) {
    case "refuse":
      return refusal(query, { code: EdeCode.Prohibited, text: "" });
    case "null": {
      const octets = qtype === RRType.A ? 4 : qtype === RRType.AAAA ? 16 : 0;
      const answers = octets === 0 ? [] : [recordOf(qname, qtype, new Uint8Array(octets))];
      return localReply(query, Rcode.NoError, answers, []);
    }
    case "redirect": {
      const records = (own.get(zone.name.key) ?? []).map((record) => ({ ...record, owner: qname }));
      return ownReply(query, records, zone);
    }
    case "typetransparent": {
      const records = own.get(qname.key) ?? [];
      const hasType = records.some(({ type }) => type === qtype || qtype === RRType.ANY);
      return hasType ? undefined : "pass on";
    }
    default:
      return undefined;
  }
}

function zoneReply(query: Query, zone: Zone): Reply {
  const { qname, qtype } = query.view;
  if (zone.kind === "static") return localReply(query, Rcode.NXDomain, [], soaOfZone(zone));
  let answers: readonly ResourceRecord[] = [];
  let rcode: Rcode = Rcode.NoError;
  if (zone.kind === "localhost") answers = loopbackAddresses(qname, qtype);
  else if (zone.kind === "empty" && exists(zone, qname)) answers = recordsAt(zone, qname, qtype);
  else if (zone.kind !== "nodata") rcode = Rcode.NXDomain;
  return localReply(query, rcode, answers, answers.length > 0 ? [] : soaOfZone(zone));
}

/** RFC 6761 §6.3: every name at or below localhost has the loopback addresses. */
function loopbackAddresses(qname: Name, qtype: RRType): ResourceRecord[] {
  const addresses: readonly ResourceRecord[] = [
    recordOf(qname, RRType.A, Uint8Array.of(127, 0, 0, 1)),
    recordOf(qname, RRType.AAAA, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
  ];
  return addresses.filter((record) => qtype === RRType.ANY || record.type === qtype);
}

/** Its top, and what is at and above its pointer (RFC 8020 §2). */
function exists(zone: Zone, qname: Name): boolean {
  return qname.equals(zone.name) || zone.pointer?.isAtOrBelow(qname) === true;
}

/** RFC 6303 §3: SOA, and NS with the zone's own name, which has no address; and localhost where the pointer is. */
function recordsAt(zone: Zone, qname: Name, qtype: RRType): ResourceRecord[] {
  const records = qname.equals(zone.name)
    ? [...soaOfZone(zone), recordOf(zone.name, RRType.NS, zone.name.wire)]
    : [];
  if (zone.pointer?.equals(qname) === true)
    records.push(recordOf(zone.pointer, RRType.PTR, parseName("localhost.").wire));
  return records.filter((record) => qtype === RRType.ANY || record.type === qtype);
}

/** Of a zone that is answered from here. RFC 6303 §3: `@ 10800 IN SOA @ nobody.invalid. 1 3600 1200 604800 10800`. */
export function soaOf(zone: Name): ResourceRecord {
  const timers = new Uint8Array(20);
  for (const [i, value] of [1, 3600, 1200, 604_800, TTL_SECONDS].entries()) setUint32(timers, 4 * i, value);
  return recordOf(zone, RRType.SOA, concatOctets([zone.wire, parseName("nobody.invalid.").wire, timers]));
}

function recordOf(owner: Name, type: RRType, rdata: Uint8Array): ResourceRecord {
  return { owner, type, class: RRClass.IN, ttl: TTL_SECONDS, rdata };
}

/** A reply that nobody was asked for. */
export function localReply(
  query: Query,
  rcode: Rcode,
  answers: readonly ResourceRecord[],
  authorities: readonly ResourceRecord[],
): Reply {
  const questions = [query.view.question];
  const message = makeMessage({
    isResponse: true,
    isAuthoritative: true,
    rcode,
    questions,
    answers,
    authorities,
  });
  return { message, security: "insecure", protection: "local", extendedErrors: [] };
}

/** RFC 6303 §3. */
const TTL_SECONDS = 10_800;
