/** Servers that only the child names, or that only a parent has addresses for: asked when all others have failed. */
import { type RRsetCache, Trust } from "@sotto/dns/cache";
import { type Message, Name, type ResourceRecord, RRType } from "@sotto/dns/wire";
import type { DelegationCache } from "./delegation.ts";
import { collectRRsets } from "./rrset-table.ts";
import type { ZoneWork } from "./zone-work.ts";

/** Keeps what a zone says of its own servers; with little trust, so that it prolongs no delegation (ghost domains). */
export function keepOwnServers(message: Message, zone: Name, rrsets: RRsetCache): void {
  if (!message.isAuthoritative) return;
  const isOwn = (record: ResourceRecord): boolean => record.type === RRType.NS && record.owner.equals(zone);
  const records = [...message.authorities, ...message.answers].filter(isOwn);
  if (records.length === 0) return;
  const ns = collectRRsets(records, [], zone, RRType.NS)?.get(zone, RRType.NS);
  if (ns !== undefined) rrsets.store(ns, Trust.Additional);
}

/**
 * The child may name other servers than its parent, and parents may have other addresses for their names than the child
 * has (RFC 1034 §4.2.2 wants them equal, and they are not). False when there is nobody new.
 */
export function widen(
  work: ZoneWork,
  caches: { readonly rrsets: RRsetCache; readonly delegations: DelegationCache },
): boolean {
  if (work.hasWidened) return false;
  work.hasWidened = true;
  const { selection } = work;
  const known = new Set(selection.serverNames.map(({ key }) => key));
  const own = caches.rrsets.find(selection.delegation.zone, RRType.NS, Trust.Additional)?.rdatas ?? [];
  const names = own.map((rdata) => new Name(rdata)).filter(({ key }) => !known.has(key));
  for (const name of names) selection.addServer(name);
  for (const name of selection.serverNames) {
    const above = caches.delegations.findClosest(name)?.servers.find((server) => server.name.equals(name));
    if (above !== undefined) selection.addAddresses(name, above.addresses);
  }
  return names.length > 0 || selection.hasFresh;
}
