/** The denial records of a zone: NSEC (RFC 4034 §4) and NSEC3 with salt, iterations and opt-out (RFC 5155 §7.1). */
import { createHash } from "node:crypto";
import { encodeRdataOf, type Name, type ResourceRecord, RRClass, RRType } from "@sotto/dns/wire";
import type { Zone } from "./zone.ts";

/** How names of a zone are hashed, and whether unsigned delegations are left out. */
export interface Nsec3Plan {
  /** Default 0 (RFC 9276 §3.1). */
  readonly iterations?: number;
  /** Hexadecimal. Default none. */
  readonly salt?: string;
  readonly isOptOut?: boolean;
}

/** `not covering`: each span ends right behind its owner. `other names`: the hashes are those of other names. */
export type ChainFlaw = "not covering" | "other names";

export const DENIAL_TTL = 300;

/** Adds an NSEC record to each name that the zone answers for. */
export function addNsec(zone: Zone, flaw: ChainFlaw | undefined): void {
  const owners = [...zone.nodes].map((node) => node.owner).filter((owner) => zone.isAuthoritativeFor(owner));
  owners.sort((a, b) => a.compare(b));
  for (const [i, owner] of owners.entries()) {
    const behind = owner.tryPrepend(Uint8Array.of(0));
    const isShort = flaw === "not covering" && behind.ok;
    const next = isShort ? behind.value : (owners[(i + 1) % owners.length] ?? zone.origin);
    zone.add(
      packed(
        owner,
        RRType.NSEC,
        encodeRdataOf("NSEC", { next, types: typesAt(zone, owner, [RRType.NSEC]) }),
        DENIAL_TTL,
      ),
    );
  }
}

/** Adds an NSEC3 record for each name of the zone, empty ones too. */
export function addNsec3(zone: Zone, plan: Nsec3Plan, flaw: ChainFlaw | undefined): void {
  zone.nsec3 = plan;
  const names = hashedNames(zone, plan.isOptOut === true);
  const entries = names.map((owner) => {
    const other = flaw === "other names" ? owner.tryPrepend(OTHER_LABEL) : undefined;
    const hash = nsec3Hash(other?.ok === true ? other.value : owner, plan);
    return { owner, hash, types: typesAt(zone, owner, []) };
  });
  entries.sort((a, b) => Buffer.compare(a.hash, b.hash));
  const parameters = {
    hashAlgorithm: 1,
    flags: 0,
    iterations: plan.iterations ?? 0,
    salt: new Uint8Array(Buffer.from(plan.salt ?? "", "hex")),
  };
  zone.add(packed(zone.origin, RRType.NSEC3PARAM, encodeRdataOf("NSEC3PARAM", parameters), 0));
  for (const [i, { owner, hash, types }] of entries.entries()) {
    const nextHash =
      flaw === "not covering" ? behindHash(hash) : (entries[(i + 1) % entries.length]?.hash ?? hash);
    const own = owner.equals(zone.origin) ? [...types, RRType.NSEC3PARAM].sort((a, b) => a - b) : types;
    const fields = { ...parameters, flags: plan.isOptOut === true ? 1 : 0, nextHash, types: own };
    zone.add(packed(nsec3Owner(hash, zone.origin), RRType.NSEC3, encodeRdataOf("NSEC3", fields), DENIAL_TTL));
  }
}

/** RFC 5155 §7.1: with opt-out, unsigned delegations and what is empty but for them have no record. */
function hashedNames(zone: Zone, isOptOut: boolean): Name[] {
  const owners = [...zone.nodes].map((node) => node.owner).filter((owner) => zone.isAuthoritativeFor(owner));
  const isLeftOut = (owner: Name): boolean =>
    isOptOut && zone.cutAbove(owner) !== undefined && zone.rrset(owner, RRType.DS).length === 0;
  const kept = owners.filter((owner) => !isLeftOut(owner));
  const empty = zone.emptyNonTerminals.filter(
    (name) => zone.isAuthoritativeFor(name) && kept.some((owner) => owner.isBelow(name)),
  );
  return [...kept, ...empty];
}

/** Types at a name as its denial record lists them: at a cut only what the parent has authority for, and NS. */
function typesAt(zone: Zone, owner: Name, extra: readonly RRType[]): RRType[] {
  const isCut = zone.cutAbove(owner) !== undefined;
  const present = [...(zone.node(owner)?.rrsets.keys() ?? [])].filter(
    (type) => !isCut || type === RRType.NS || type === RRType.DS,
  );
  const isSigned = !isCut || present.includes(RRType.DS) || extra.includes(RRType.NSEC);
  const all = present.length === 0 ? [] : [...present, ...(isSigned ? [RRType.RRSIG] : []), ...extra];
  return [...new Set(all)].sort((a, b) => a - b);
}

/** RFC 5155 §5. */
export function nsec3Hash(name: Name, { iterations = 0, salt = "" }: Nsec3Plan): Uint8Array {
  const saltOctets = Buffer.from(salt, "hex");
  let hash = createHash("sha1").update(name.toLowerCase().wire).update(saltOctets).digest();
  for (let i = 0; i < iterations; i++) hash = createHash("sha1").update(hash).update(saltOctets).digest();
  return new Uint8Array(hash);
}

function behindHash(hash: Uint8Array): Uint8Array {
  const next = hash.slice();
  const last = next.length - 1;
  next[last] = ((next[last] ?? 0) + 1) & 0xff;
  return next;
}

/** `~~`: nobody asks for names that begin with it. */
const OTHER_LABEL = Uint8Array.of(0x7e, 0x7e);
const BASE32HEX = "0123456789abcdefghijklmnopqrstuv";

/** The owner name of the NSEC3 record for a hash. */
export function nsec3Owner(hash: Uint8Array, origin: Name): Name {
  let text = "";
  let held = 0;
  let bits = 0;
  for (const octet of hash) {
    held = (held << 8) | octet;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32HEX[(held >>> bits) & 31];
    }
    held &= 0xff;
  }
  const owner = origin.tryPrepend(new TextEncoder().encode(text));
  return owner.ok ? owner.value : origin;
}

/** A record of rdata that has just been written. */
export function packed(
  owner: Name,
  type: RRType,
  rdata: { ok: true; value: Uint8Array } | { ok: false; problem: string },
  ttl: number,
): ResourceRecord {
  if (!rdata.ok) throw new RangeError(rdata.problem);
  return { owner, type, class: RRClass.IN, ttl, rdata: rdata.value };
}
