/** Servers that only the child names, or that only a parent has addresses for: asked when all others have failed. */
import { type RRsetCache, Trust } from "@sotto/dns/cache";
import { type Message, Name, type ResourceRecord, RRType } from "@sotto/dns/wire";
import type { DelegationCache } from "./delegation.ts";
import { collectRRsets } from "./rrset-table.ts";
import type { ZoneWork } from "./zone-work.ts";

/** Where servers of zones are remembered. */
interface ZoneCaches {
  readonly rrsets: RRsetCache;
  readonly delegations: DelegationCache;
}

/** Keeps what a zone says of its own servers; with little trust, so that it prolongs no delegation (ghost domains). */
export function keepOwnServers(message: Message, zone: Name, caches: ZoneCaches): void {
  const isOwn = (record: ResourceRecord): boolean => record.type === RRType.NS && record.owner.equals(zone);
  // Most replies say the same.
  if (caches.rrsets.has(zone, RRType.NS, Trust.Additional)) return;
  const all = [...message.authorities, ...message.answers];
  const records = all.filter(isOwn);
  if (records.length === 0) return;
  const signatures = all.filter(({ type, owner }) => type === RRType.RRSIG && owner.equals(zone));
  const ns = collectRRsets(records, signatures, zone, RRType.NS)?.get(zone, RRType.NS);
  // Without AA a signature has to tell that these are the zone's own words.
  if (ns !== undefined && (message.isAuthoritative || ns.signatures.length > 0))
    caches.rrsets.store(ns, Trust.Additional);
  if (ns !== undefined && message.isAuthoritative) caches.delegations.capLife(zone, ns.ttlSeconds);
}

/**
 * First the names that the child has for its servers and its parent has not, then addresses that parents have for their names
 * and the child has not (RFC 1034 §4.2.2 wants them equal, and they are not). False when there is nobody new.
 */
export function widen(work: ZoneWork, caches: ZoneCaches): boolean {
  const { selection } = work;
  if (work.widened === 0) {
    work.widened++;
    const known = new Set(selection.serverNames.map(({ key }) => key));
    const own = caches.rrsets.find(selection.delegation.zone, RRType.NS, Trust.Additional)?.rdatas ?? [];
    const names = own.map((rdata) => new Name(rdata)).filter(({ key }) => !known.has(key));
    for (const name of names) selection.addServer(name);
    if (names.length > 0) return true;
  }
  if (work.widened > 1) return false;
  work.widened++;
  for (const name of selection.serverNames) {
    for (let zone = name; !zone.isRoot; zone = zone.parent()) {
      const above = caches.delegations.find(zone)?.servers.find((server) => server.name.equals(name));
      if (above !== undefined) selection.addAddresses(name, above.addresses);
    }
  }
  return selection.hasFresh;
}
