/**
 * Names that are answered from here and never asked of the world: the empty reverse zones of RFC 6303, special names of
 * RFC 6761, 7686, 8375 and 9462, and records of the operator's own.
 */
import type { Middleware, Query, Reply } from "@sotto/dns/transport";
import {
  makeMessage,
  type Name,
  parseName,
  Rcode,
  type ResourceRecord,
  RRClass,
  RRType,
} from "@sotto/dns/wire";

/** What is answered locally. */
export interface LocalZonesOptions {
  /** The built-in zones below. */
  readonly builtin: boolean;
  /** Built-in zones to leave to ordinary resolution. */
  readonly except: readonly Name[];
  /** Own records; the names they stand at exist, with nothing else. */
  readonly records: readonly ResourceRecord[];
}

/** How a zone answers: `empty` has only SOA and NS at its top; `nxdomain` not even those; `nodata` exists without anything. */
type Kind = "empty" | "nxdomain" | "nodata" | "localhost";

/** RFC 6303 §4.1 to §4.6: private, loopback, link-local, documentation and broadcast addresses. */
const RFC6303_IPV4 = [
  "10",
  "168.192",
  ...Array.from({ length: 16 }, (_, i) => `${16 + i}.172`),
  "0",
  "127",
  "254.169",
  "2.0.192",
  "100.51.198",
  "113.0.203",
  "255.255.255.255",
  // RFC 7793: shared address space, 100.64.0.0/10.
  ...Array.from({ length: 64 }, (_, i) => `${64 + i}.100`),
];
const RFC6303_IPV6 = [
  `${"0.".repeat(31)}0`,
  `1.${"0.".repeat(30)}0`,
  "d.f",
  "8.e.f",
  "9.e.f",
  "a.e.f",
  "b.e.f",
  "8.b.d.0.1.0.0.2",
];

const BUILTIN: readonly (readonly [name: string, kind: Kind])[] = [
  ...RFC6303_IPV4.map((name) => [`${name}.in-addr.arpa.`, "empty"] as const),
  ...RFC6303_IPV6.map((name) => [`${name}.ip6.arpa.`, "empty"] as const),
  // RFC 6761 §6.3: loopback addresses; §6.4: never exists; §6.2: for tests only.
  ["localhost.", "localhost"],
  ["invalid.", "nxdomain"],
  ["test.", "nxdomain"],
  // RFC 7686 §2, RFC 8375 §4, RFC 9462 §6.1, RFC 9476 §2, RFC 6762 §22.
  ["onion.", "nxdomain"],
  ["home.arpa.", "empty"],
  ["resolver.arpa.", "nodata"],
  ["alt.", "nxdomain"],
  ["local.", "nxdomain"],
];

/** Seconds; RFC 6303 §3 wants 3 hours for the SOA minimum, and clients that move networks are better off with less. */
const TTL_SECONDS = 10_800;

/** Answers what is local, passes on the rest. */
export function localZones(options: LocalZonesOptions): Middleware {
  const except = new Set(options.except.map((name) => name.key));
  const zones = new Map<string, { readonly name: Name; readonly kind: Kind }>();
  if (options.builtin) {
    for (const [text, kind] of BUILTIN) {
      const name = parseName(text);
      if (!except.has(name.key)) zones.set(name.key, { name, kind });
    }
  }
  const own = new Map<string, ResourceRecord[]>();
  for (const record of options.records)
    own.set(record.owner.key, [...(own.get(record.owner.key) ?? []), record]);
  return (next) => {
    if (zones.size === 0 && own.size === 0) return next;
    return {
      respond(query, context) {
        const records = own.get(query.view.qname.key);
        if (records !== undefined) return Promise.resolve(ownReply(query, records));
        const zone = findZone(zones, query.view.qname);
        return zone === undefined
          ? next.respond(query, context)
          : Promise.resolve(zoneReply(query, zone.name, zone.kind));
      },
    };
  };
}

function findZone(
  zones: ReadonlyMap<string, { name: Name; kind: Kind }>,
  qname: Name,
): { name: Name; kind: Kind } | undefined {
  for (let name = qname; !name.isRoot; name = name.parent()) {
    const zone = zones.get(name.key);
    if (zone !== undefined) return zone;
  }
  return undefined;
}

function ownReply(query: Query, records: readonly ResourceRecord[]): Reply {
  const { qtype } = query.view;
  const alias = records.filter((record) => record.type === RRType.CNAME);
  const answers = qtype === RRType.ANY ? records : records.filter((record) => record.type === qtype);
  return localReply(query, Rcode.NoError, answers.length > 0 ? answers : alias, []);
}

function zoneReply(query: Query, zone: Name, kind: Kind): Reply {
  const { qname, qtype } = query.view;
  const isTop = qname.equals(zone);
  const soa = soaOf(zone);
  if (kind === "localhost") {
    const address = localhostAddress(query);
    return address === undefined
      ? localReply(query, Rcode.NoError, [], [soa])
      : localReply(query, Rcode.NoError, [address], []);
  }
  if (kind === "nodata") return localReply(query, Rcode.NoError, [], [soa]);
  if (!isTop || kind === "nxdomain") return localReply(query, Rcode.NXDomain, [], [soa]);
  if (qtype === RRType.SOA) return localReply(query, Rcode.NoError, [soa], []);
  if (qtype === RRType.NS)
    return localReply(query, Rcode.NoError, [recordOf(zone, RRType.NS, parseName("localhost.").wire)], []);
  return localReply(query, Rcode.NoError, [], [soa]);
}

/** RFC 6761 §6.3: every name at or below localhost has the loopback addresses. */
function localhostAddress(query: Query): ResourceRecord | undefined {
  const { qname, qtype } = query.view;
  if (qtype === RRType.A) return recordOf(qname, RRType.A, Uint8Array.of(127, 0, 0, 1));
  if (qtype === RRType.AAAA)
    return recordOf(qname, RRType.AAAA, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
  return undefined;
}

/** RFC 6303 §3: `@ 10800 IN SOA @ nobody.invalid. 1 3600 1200 604800 10800`. */
function soaOf(zone: Name): ResourceRecord {
  const timers = Uint8Array.of(
    0,
    0,
    0,
    1,
    0,
    0,
    0x0e,
    0x10,
    0,
    0,
    0x04,
    0xb0,
    0,
    0x09,
    0x3a,
    0x80,
    0,
    0,
    0x2a,
    0x30,
  );
  const mailbox = parseName("nobody.invalid.").wire;
  const rdata = new Uint8Array(zone.wire.length + mailbox.length + timers.length);
  rdata.set(zone.wire);
  rdata.set(mailbox, zone.wire.length);
  rdata.set(timers, zone.wire.length + mailbox.length);
  return recordOf(zone, RRType.SOA, rdata);
}

function recordOf(owner: Name, type: RRType, rdata: Uint8Array): ResourceRecord {
  return { owner, type, class: RRClass.IN, ttl: TTL_SECONDS, rdata };
}

function localReply(
  query: Query,
  rcode: Rcode,
  answers: readonly ResourceRecord[],
  authorities: readonly ResourceRecord[],
): Reply {
  return {
    message: makeMessage({
      isResponse: true,
      isAuthoritative: true,
      rcode,
      questions: [query.view.question],
      answers,
      authorities,
    }),
    security: "insecure",
    protection: "local",
    extendedErrors: [],
  };
}
