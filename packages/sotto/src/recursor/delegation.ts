/**
 * Zone cuts as the parent side describes them: a zone, the names of its servers and their glue. They live apart from
 * answers: glue can never be given to a client as an answer (RFC 2181 §5.4.1), and a child cannot prolong its own
 * delegation (ghost domains, CVE-2012-1033), because only the parent's referral is ever stored.
 */
import {
  type BudgetEntry,
  BudgetMap,
  type BudgetUse,
  ENTRY_OVERHEAD_BYTES,
  type RRset,
  rrsetBytes,
} from "@sotto/dns/cache";
import type { Clock } from "@sotto/dns/runtime";
import { type Name, RRType } from "@sotto/dns/wire";
import type { Sought } from "./outcome.ts";

/** One server of a zone. */
export interface NameServer {
  readonly name: Name;
  /** Address literals from glue or hints; empty when they have to be looked up. */
  readonly addresses: readonly string[];
  /** Absent: the usual one. */
  readonly port?: number | undefined;
  /** Its addresses are in the configuration, and its name says nothing. */
  readonly isConfigured?: true;
}

/** Who answers for a zone. */
export interface Delegation {
  readonly zone: Name;
  readonly servers: readonly NameServer[];
  /** What the parent said about keys below; for the validator. */
  readonly ds?: RRset | undefined;
  /** Its signed proofs that there is no DS; absent or empty when it sent none. */
  readonly noDs?: readonly RRset[] | undefined;
}

/** Delegations by zone name, in a byte budget. The root is not here: see `priming.ts`. */
export class DelegationCache {
  readonly #entries: BudgetMap<DelegationEntry>;
  readonly #clock: Clock;
  /** 1 for the lengths, in octets, of zones that have been here: other names are no zones, and need not be looked for. */
  readonly #hasLength = new Uint8Array(256);

  constructor(bytesMax: number, clock: Clock) {
    this.#entries = new BudgetMap(bytesMax);
    this.#clock = clock;
  }

  get use(): BudgetUse {
    return this.#entries.use;
  }

  /**
   * The deepest known cut at or above the name, undefined when only the root is left. Cuts that end within `leewayMs` do not
   * count: who renews something early must not ask servers that will not be there any more.
   */
  findClosest(name: Name, leewayMs = 0): Delegation | undefined {
    const nowMs = this.#clock.nowMs();
    const { wire, key } = name;
    for (let at = 0; at < wire.length - 1; at += (wire[at] ?? 0) + 1) {
      if (this.#hasLength[wire.length - at] === 0) continue;
      const entry = this.#entries.find(key.substring(at), nowMs);
      if (entry !== undefined && entry.expiresAtMs - nowMs > leewayMs) return current(entry, nowMs);
    }
    return undefined;
  }

  /** Ends a cut early: the zone's own NS set is shorter-lived than its parent's (draft-ietf-dnsop-ns-revalidation). */
  capLife(zone: Name, ttlSeconds: number): void {
    const nowMs = this.#clock.nowMs();
    const entry = this.#entries.find(zone.key, nowMs);
    const lifeMs = Math.max(ttlSeconds, DELEGATION_TTL_SECONDS_MIN) * 1000;
    if (entry !== undefined && entry.isCapped !== true && entry.expiresAtMs > nowMs + lifeMs)
      this.#entries.store(zone.key, { ...entry, expiresAtMs: nowMs + lifeMs, isCapped: true });
  }

  /** The cut at the name itself. */
  find(zone: Name): Delegation | undefined {
    const nowMs = this.#clock.nowMs();
    const entry = this.#entries.find(zone.key, nowMs);
    return entry && current(entry, nowMs);
  }

  /** What the parent said about keys, with the TTLs that are left. */
  findDs(zone: Name): Pick<Delegation, "ds" | "noDs"> {
    const nowMs = this.#clock.nowMs();
    const entry = this.#entries.find(zone.key, nowMs);
    if (entry === undefined) return {};
    const ageSeconds = Math.floor((nowMs - entry.storedAtMs) / 1000);
    const aged = (rrset: RRset): RRset => ({ ...rrset, ttlSeconds: rrset.ttlSeconds - ageSeconds });
    const { ds, noDs } = current(entry, nowMs);
    return { ds: ds && aged(ds), noDs: noDs?.map(aged) };
  }

  /** Keeps what the servers of the zone `parent` said. Zero seconds: only for the question at hand, so nothing is kept. */
  store(delegation: Delegation, ttlSeconds: number, parent: Name): void {
    const nowMs = this.#clock.nowMs();
    // A child must not outlive the parent that vouches for it: the parent may be gone (ghost domains).
    const parentMs = (this.#entries.find(parent.key, nowMs)?.expiresAtMs ?? Number.POSITIVE_INFINITY) - nowMs;
    const lifeMs = Math.min(Math.min(ttlSeconds, DELEGATION_TTL_SECONDS_MAX) * 1000, parentMs);
    if (lifeMs === 0) this.#entries.delete(delegation.zone.key);
    else {
      const expiresAtMs = nowMs + lifeMs;
      const aboutKeys = delegation.ds === undefined ? (delegation.noDs ?? []) : [delegation.ds];
      const keysMs = Math.min(...aboutKeys.map((rrset) => rrset.ttlSeconds)) * 1000;
      this.#hasLength[delegation.zone.wire.length] = 1;
      this.#entries.store(delegation.zone.key, {
        delegation,
        bytes: bytesOf(delegation),
        storedAtMs: nowMs,
        aboutKeysUntilMs: nowMs + keysMs,
        expiresAtMs,
      });
    }
  }

  /** Forgets the cuts at and below a name. */
  flush(name: Name): void {
    this.#entries.deleteWhere(({ delegation }) => delegation.zone.isAtOrBelow(name));
  }

  clear(): void {
    this.#entries.clear();
  }
}

interface DelegationEntry extends BudgetEntry {
  delegation: Delegation;
  readonly storedAtMs: number;
  /** What was said about keys may end before the delegation does. */
  readonly aboutKeysUntilMs: number;
  /** The child has said how long: what it says later must not count again, nor prolong anything. */
  readonly isCapped?: true;
}

function current(entry: DelegationEntry, nowMs: number): Delegation {
  const { ds, noDs, zone, servers } = entry.delegation;
  const hasOld = nowMs >= entry.aboutKeysUntilMs && (ds !== undefined || noDs !== undefined);
  if (hasOld) entry.delegation = { zone, servers };
  return entry.delegation;
}

function bytesOf(delegation: Delegation): number {
  let bytes = ENTRY_OVERHEAD_BYTES + delegation.zone.wire.length * 2;
  for (const rrset of [...(delegation.ds === undefined ? [] : [delegation.ds]), ...(delegation.noDs ?? [])])
    bytes += rrsetBytes(rrset);
  for (const server of delegation.servers) {
    bytes += SERVER_OVERHEAD_BYTES + server.name.wire.length * 2;
    for (const address of server.addresses) bytes += ADDRESS_OVERHEAD_BYTES + address.length;
  }
  return bytes;
}

/**
 * The name whose zone is asked: that of the question, except for DS, which lives on the parent's side of a cut
 * (RFC 4035 §3.1.4.1).
 */
export function zoneSideName(sought: Sought): Name {
  return sought.type === RRType.DS ? sought.name.parent() : sought.name;
}

/**
 * A cut whose servers all lie below it and have no address cannot be asked for its servers' names, which is what runs below the
 * first and some questions are about: whoever is above it may know them, or has glue by now.
 */
export function isStuck({ zone, servers }: Delegation, side: Name, depth: number): boolean {
  return (
    (depth > 0 || servers.some(({ name }) => name.equals(side))) &&
    servers.every(({ name, addresses }) => addresses.length === 0 && name.isAtOrBelow(zone))
  );
}

/** One object, one name, one array on V8, rounded up. */
const SERVER_OVERHEAD_BYTES = 250;
/** One short string on V8. */
const ADDRESS_OVERHEAD_BYTES = 32;
/** A zone that changes its servers every minute has no servers; the parent must not pay for it. */
const DELEGATION_TTL_SECONDS_MIN = 60;
/** As for record sets: a day. */
const DELEGATION_TTL_SECONDS_MAX = 86_400;
