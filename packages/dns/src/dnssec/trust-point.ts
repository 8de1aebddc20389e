/** What is known of the keys of one trust point (RFC 5011 §4): a value that is written down between queries. */
import { type Name, octetsEqual, octetsToHex } from "@sotto/dns/wire";
import { isDigestOf } from "./ds.ts";
import { Dnskey } from "./key.ts";
import type { TrustAnchor } from "./trust-anchors.ts";

/** RFC 5011 §4.2. Start is not here: such a key is not known yet, or not any more. */
export const KEY_STATES = ["add-pending", "valid", "missing", "revoked", "removed"] as const;
export type KeyState = (typeof KEY_STATES)[number];

/** A key that is followed. */
export interface FollowedKey {
  /** Without the REVOKE bit, so that it is the same key and the same tag in every state. */
  readonly key: Dnskey;
  readonly state: KeyState;
  /** Seconds since 1970 in which the state began; for a revoked key when the zone was last seen to publish it. */
  readonly sinceSeconds: number;
  /** Add-pending only: the key is not believed in before (RFC 5011 §2.4.1). */
  readonly untilSeconds?: number;
  /** Add-pending only: the anchors that signed the first set with this key, as `ALGORITHM/TAG` (RFC 5011 §2.2). */
  readonly vouchedBy?: readonly string[];
}

/** When the zone was asked, and will be. Moments are seconds since 1970. */
export interface QueryTimes {
  readonly askedSeconds: number | undefined;
  readonly validatedSeconds: number | undefined;
  /** Undefined: never again, the trust point is deleted. */
  readonly nextSeconds: number | undefined;
  /** Queries since the last set that was validated. */
  readonly failures: number;
  readonly intervalSeconds: number;
  readonly retrySeconds: number;
}

export interface TrustPoint {
  readonly zone: Name;
  readonly keys: readonly FollowedKey[];
  /** What is configured and no followed key stands for. */
  readonly configured: TrustAnchor;
  readonly times: QueryTimes;
}

/** A trust point at start: what is configured, and what an earlier run has written down. */
export function beginTrustPoint(
  anchor: TrustAnchor,
  known: TrustPoint | undefined,
  nowSeconds: number,
): TrustPoint {
  const keys = known?.keys ?? [];
  const configured = unsettled(anchor, keys);
  const point = { zone: anchor.zone, keys, configured, times: known?.times ?? neverAsked(nowSeconds) };
  // Somebody configured a new anchor after all others were revoked.
  const isBack = point.times.nextSeconds === undefined && anchorOf(point) !== undefined;
  return isBack ? { ...point, times: { ...point.times, nextSeconds: nowSeconds } } : point;
}

function neverAsked(nowSeconds: number): QueryTimes {
  return {
    askedSeconds: undefined,
    validatedSeconds: undefined,
    nextSeconds: nowSeconds,
    failures: 0,
    intervalSeconds: RETRY_SECONDS_FIRST,
    retrySeconds: RETRY_SECONDS_FIRST,
  };
}

/** What validation begins with; undefined when the trust point is deleted, as if it had never been (RFC 5011 §5). */
export function anchorOf({ zone, keys, configured }: TrustPoint): TrustAnchor | undefined {
  const trusted = [...configured.keys, ...keys.filter(isTrusted).map(({ key }) => key)];
  return configured.ds.length + trusted.length === 0 ? undefined : { zone, ds: configured.ds, keys: trusted };
}

/** RFC 5011 §4.2: a missing key stays an anchor until it is revoked. */
export function isTrusted({ state }: FollowedKey): boolean {
  return state === "valid" || state === "missing";
}

/**
 * Configured anchors that no followed key stands for; a pending key stands for none yet. A key without SEP cannot be
 * followed: it has done its work once there are keys that can.
 */
export function unsettled(anchor: TrustAnchor, keys: readonly FollowedKey[]): TrustAnchor {
  const settled = keys.filter(({ state }) => state !== "add-pending").map(({ key }) => key);
  const rest = settled.reduce((left, key) => withoutKey(left, key), anchor);
  return keys.some(isTrusted) ? { ...rest, keys: rest.keys.filter((key) => key.isSecureEntryPoint) } : rest;
}

/** `key` has no REVOKE bit. */
export function withoutKey(anchor: TrustAnchor, key: Dnskey): TrustAnchor {
  return {
    zone: anchor.zone,
    ds: anchor.ds.filter((ds) => !isDigestOf(ds, anchor.zone, key)),
    keys: anchor.keys.filter((known) => !octetsEqual(unrevoked(known).rdata, key.rdata)),
  };
}

/** The key as it was before its revocation: another tag, and what DS records were made of (RFC 5011 §2.1, §3). */
export function unrevoked(key: Dnskey): Dnskey {
  if (!key.isRevoked) return key;
  const rdata = Uint8Array.from(key.rdata);
  rdata[1] = (rdata[1] ?? 0) & ~REVOKE;
  return new Dnskey(rdata);
}

/** The same for a key with and without the REVOKE bit. */
export function identityOf(key: Dnskey): string {
  return octetsToHex(unrevoked(key).rdata);
}

/** `8/20326`: what people and the state file call a key. */
export function keyLabel({ algorithm, tag }: { readonly algorithm: number; readonly tag: number }): string {
  return `${algorithm}/${tag}`;
}

/** Bit 8 of the flags (RFC 5011 §3), in the second octet. */
const REVOKE = 0x80;
/** RFC 5011 §2.3: no more often than once an hour; nothing better is known before the first answer. */
const RETRY_SECONDS_FIRST = 3600;
