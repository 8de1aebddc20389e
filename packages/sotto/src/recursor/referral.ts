/** Referrals: the cut, its servers, their glue and the DS beside it (RFC 1034 §4.3.2, RFC 4035 §3.1.4). */
import type { RRset } from "@sotto/dns/cache";
import { addressToText, type Message, Name, RRClass, RRType } from "@sotto/dns/wire";
import type { Delegation } from "./delegation.ts";
import type { Sought } from "./outcome.ts";
import { proofsOf, type RRsetTable } from "./rrset-table.ts";

/** What a parent says about a child. */
export interface Referral {
  readonly delegation: Delegation;
  /** How long: the shortest of the NS set and the glue, so that glue never runs out before its delegation. */
  readonly ttlSeconds: number;
}

/** The deepest cut between the zone and the name that the reply tells of; undefined when there is none. */
export function readReferral(
  message: Message,
  authorities: RRsetTable,
  asked: { readonly sought: Sought; readonly zone: Name; readonly trustsAllGlue?: boolean },
): Referral | undefined {
  if (!authorities.hasType(RRType.NS)) return undefined;
  let ns: RRset | undefined;
  for (const rrset of authorities.all()) {
    const isCut =
      rrset.type === RRType.NS &&
      rrset.owner.isBelow(asked.zone) &&
      asked.sought.name.isAtOrBelow(rrset.owner);
    if (isCut && (ns === undefined || rrset.owner.isBelow(ns.owner))) ns = rrset;
  }
  if (ns === undefined) return undefined;
  const glue = readGlue(message, ns, asked.trustsAllGlue === true ? Name.root : asked.zone);
  const ds = authorities.get(ns.owner, RRType.DS);
  const noDs = ds === undefined ? proofsOf(authorities) : [];
  return {
    delegation: { zone: ns.owner, servers: glue.servers, ds, noDs },
    ttlSeconds: Math.min(ns.ttlSeconds, glue.ttlSeconds),
  };
}

/**
 * The servers of an NS set with the addresses that the additional section gives for them. Glue counts only when it
 * lies in the zone that was asked (RFC 5452 §6); other names are looked up.
 */
export function readGlue(
  message: Message,
  ns: RRset,
  zone: Name,
): { readonly servers: Delegation["servers"]; readonly ttlSeconds: number } {
  const servers = new Map<string, { name: Name; addresses: string[] }>();
  for (const rdata of ns.rdatas) {
    if (servers.size >= SERVERS_PER_DELEGATION_MAX) break;
    const name = new Name(rdata);
    servers.set(name.key, { name, addresses: [] });
  }
  let ttlSeconds = Number.POSITIVE_INFINITY;
  for (const record of message.additionals) {
    if (record.type !== RRType.A && record.type !== RRType.AAAA) continue;
    const server = servers.get(record.owner.key);
    if (server === undefined || record.class !== RRClass.IN || !record.owner.isAtOrBelow(zone)) continue;
    if (!isUnicast(record.rdata) || server.addresses.length >= ADDRESSES_PER_SERVER_MAX) continue;
    server.addresses.push(addressToText(record.rdata));
    ttlSeconds = Math.min(ttlSeconds, record.ttl);
  }
  return { servers: [...servers.values()], ttlSeconds };
}

/**
 * Gives the servers of a cut that came without glue the addresses that the delegation above has for the same names: one
 * server for parent and child needs no look-up of its own, which could lead back to the very cut.
 */
export function inheritAddresses(child: Delegation, parent: Delegation): Delegation {
  const servers = child.servers.map((server) => {
    if (server.addresses.length > 0) return server;
    return parent.servers.find((known) => known.name.equals(server.name)) ?? server;
  });
  return { ...child, servers };
}

/** The addresses in an A or AAAA set that a server can have. */
export function serverAddresses(rrset: RRset): string[] {
  return rrset.rdatas.filter(isUnicast).slice(0, ADDRESSES_PER_SERVER_MAX).map(addressToText);
}

/** Not unspecified, multicast or broadcast. Loopback is allowed: test networks live there. */
function isUnicast(octets: Uint8Array): boolean {
  const first = octets[0] ?? 0;
  if (octets.length === 4) return first !== 0 && first < 224;
  return first !== 0xff && octets.some((octet) => octet !== 0);
}

/** The root and the largest zones have 13; BIND looks at 20. More would only be work (NXNSAttack). */
const SERVERS_PER_DELEGATION_MAX = 20;
/** Two of each family are common; a server that needs more has other names. */
const ADDRESSES_PER_SERVER_MAX = 8;
