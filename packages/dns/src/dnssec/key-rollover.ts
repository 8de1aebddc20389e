/**
 * Automated updates of trust anchors (RFC 5011) as a pure step: a trust point, a DNSKEY set and the time go in, the trust
 * point after it and what happened come out. Asking, keeping time and writing down are the caller's. Does not delete a
 * trust point because one above it would do (RFC 5011 §5, last paragraph: a MAY).
 */
import { octetsEqual } from "@sotto/dns/wire";
import { KEYS_PER_ZONE_MAX } from "./budget.ts";
import { isDigestOf } from "./ds.ts";
import { Dnskey } from "./key.ts";
import type { KeySetJudge, KeySetProof } from "./key-set-judge.ts";
import { readRrsig } from "./rrsig.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import type { TrustAnchor } from "./trust-anchors.ts";
import {
  anchorOf,
  type FollowedKey,
  identityOf,
  isTrusted,
  type KeyState,
  keyLabel,
  type QueryTimes,
  type TrustPoint,
  unrevoked,
  unsettled,
  withoutKey,
} from "./trust-point.ts";

/** What a step tells, for logs. */
export type RolloverEvent =
  | {
      readonly kind: "key changed";
      readonly keyTag: number;
      readonly algorithm: number;
      readonly from: KeyState | "start";
      readonly to: KeyState | "start";
    }
  /** There was no answer, or none that an anchor signed. */
  | { readonly kind: "not validated"; readonly why: string }
  /** A key that could become an anchor is left out: {@link FOLLOWED_KEYS_MAX}. */
  | { readonly kind: "no room"; readonly keyTag: number; readonly algorithm: number }
  /** RFC 5011 §5: all anchors are revoked; what is at and below the zone is as good as unsigned from now on. */
  | { readonly kind: "trust point deleted" };

export interface RolloverStep {
  readonly point: TrustPoint;
  readonly events: readonly RolloverEvent[];
}

/** What follows from the answer to a query for the DNSKEY set of the trust point; undefined: there was none. */
export function followKeySet(
  point: TrustPoint,
  rrset: SignedRRset | undefined,
  nowSeconds: number,
  judge: KeySetJudge,
): RolloverStep {
  const round = new Round(point, nowSeconds, judge);
  if (rrset === undefined) return round.end([], "no answer");
  const seen = rrset.rdatas
    .slice(0, KEYS_PER_ZONE_MAX)
    .map((rdata) => new Dnskey(rdata))
    .filter((key) => key.isZoneKey && judge.isUsable(key));
  round.revoke(seen, rrset);
  const vouchers = round.vouchers(seen, rrset);
  if (vouchers.length > 0) round.update(seen, vouchers);
  return round.end(vouchers, round.whyNot(rrset));
}

interface Voucher {
  readonly key: Dnskey;
  readonly proof: KeySetProof;
}

/** One pass through the state table of RFC 5011 §4.1. */
class Round {
  readonly #point: TrustPoint;
  readonly #nowSeconds: number;
  readonly #judge: KeySetJudge;
  readonly #keys: Map<string, FollowedKey>;
  #configured: TrustAnchor;
  readonly #events: RolloverEvent[] = [];

  constructor(point: TrustPoint, nowSeconds: number, judge: KeySetJudge) {
    this.#point = point;
    this.#nowSeconds = nowSeconds;
    this.#judge = judge;
    this.#configured = point.configured;
    this.#keys = new Map(point.keys.map((followed) => [identityOf(followed.key), followed]));
  }

  /** RevBit: the key's own signature is enough, at once and for ever, whoever else signed (RFC 5011 §2.1). */
  revoke(seen: readonly Dnskey[], rrset: SignedRRset): void {
    for (const key of seen) {
      if (!key.isRevoked) continue;
      const plain = unrevoked(key);
      const state = this.#stateOf(plain);
      const isAnchor = state === "valid" || state === "missing" || this.#isConfigured(plain);
      if (!isAnchor && state !== "add-pending") continue;
      if (this.#judge.proofOf(rrset, key) === undefined) continue;
      this.#configured = withoutKey(this.#configured, plain);
      // A key that was never an anchor goes back to Start: it is simply not wanted (RFC 5011 §4.1).
      this.#change(plain, isAnchor ? "revoked" : "start");
    }
  }

  /** The anchors that signed this set. They need not be in it: a missing key is still an anchor. */
  vouchers(seen: readonly Dnskey[], rrset: SignedRRset): Voucher[] {
    const candidates = new Map<string, Dnskey>();
    const add = (key: Dnskey): void => {
      if (!key.isRevoked) candidates.set(identityOf(key), key);
    };
    for (const followed of this.#keys.values()) if (isTrusted(followed)) add(followed.key);
    for (const key of [...this.#configured.keys, ...seen]) if (this.#isConfigured(key)) add(key);
    const vouchers: Voucher[] = [];
    for (const key of candidates.values()) {
      const proof = this.#judge.proofOf(rrset, key);
      if (proof !== undefined) vouchers.push({ key, proof });
    }
    return vouchers;
  }

  /** The set is validated: NewKey, KeyPres, KeyRem, AddTime and RemTime (RFC 5011 §4.1). */
  update(seen: readonly Dnskey[], vouchers: readonly Voucher[]): void {
    const published = new Set(seen.map(identityOf));
    const usable = new Map<string, Dnskey>();
    for (const key of seen) if (!key.isRevoked && key.isSecureEntryPoint) usable.set(identityOf(key), key);
    // An anchor without SEP cannot be followed: what it vouches for first stands in for it.
    const isFirst = this.#point.keys.length === 0 && vouchers.every(({ key }) => !key.isSecureEntryPoint);
    for (const [identity, followed] of [...this.#keys])
      this.#updateKey(followed, usable.has(identity), published.has(identity), vouchers);
    for (const [identity, key] of usable) {
      if (this.#keys.has(identity)) continue;
      if (isFirst || this.#isConfigured(key)) this.#change(key, "valid");
      else if (this.#followedCount() < FOLLOWED_KEYS_MAX) this.#pend(key, vouchers);
      else this.#events.push({ kind: "no room", keyTag: key.tag, algorithm: key.algorithm });
    }
    this.#configured = unsettled(this.#configured, [...this.#keys.values()]);
    this.#forgetOldest();
  }

  #updateKey(
    followed: FollowedKey,
    isPresent: boolean,
    isPublished: boolean,
    vouchers: readonly Voucher[],
  ): void {
    const { key, state, sinceSeconds } = followed;
    switch (state) {
      case "add-pending":
        // RFC 5011 §2.2: one validated set without the key, and its time begins anew.
        if (!isPresent) this.#change(key, "start");
        else if (this.#isConfigured(key)) this.#change(key, "valid");
        else if (this.#mustBeginAgain(followed)) this.#pend(key, vouchers);
        // RFC 5011 §2.2: accepted with the first validated set after the hold-down, not when a timer ends.
        else if (this.#nowSeconds >= (followed.untilSeconds ?? Number.POSITIVE_INFINITY))
          this.#change(key, "valid");
        return;
      case "valid":
        if (!isPresent) this.#change(key, "missing");
        return;
      case "missing":
        if (isPresent) this.#change(key, "valid");
        return;
      case "revoked":
        if (isPublished) this.#keys.set(identityOf(key), { ...followed, sinceSeconds: this.#nowSeconds });
        else if (this.#nowSeconds - sinceSeconds >= REMOVE_HOLD_DOWN_SECONDS) this.#change(key, "removed");
        return;
      case "removed":
        return;
    }
  }

  /** RFC 5011 §2.2: when all that vouched for it are revoked; and when the clock shows that it was wrong. */
  #mustBeginAgain({ vouchedBy = [], sinceSeconds }: FollowedKey): boolean {
    const trusted = new Set(this.#trustedLabels());
    return sinceSeconds > this.#nowSeconds || !vouchedBy.some((label) => trusted.has(label));
  }

  #pend(key: Dnskey, vouchers: readonly Voucher[]): void {
    // RFC 5011 §2.4.1: thirty days, or longer when the set lives longer, so that at least two sets are seen.
    const ttlSeconds = Math.max(...vouchers.map(({ proof }) => proof.originalTtlSeconds));
    this.#change(key, "add-pending", {
      untilSeconds: this.#nowSeconds + Math.max(ADD_HOLD_DOWN_SECONDS, ttlSeconds),
      vouchedBy: vouchers.map((voucher) => keyLabel(voucher.key)),
    });
  }

  #change(
    key: Dnskey,
    to: KeyState | "start",
    pending?: Pick<FollowedKey, "untilSeconds" | "vouchedBy">,
  ): void {
    const identity = identityOf(key);
    const from = this.#keys.get(identity)?.state ?? "start";
    this.#events.push({ kind: "key changed", keyTag: key.tag, algorithm: key.algorithm, from, to });
    if (to === "start") this.#keys.delete(identity);
    else this.#keys.set(identity, { key, state: to, sinceSeconds: this.#nowSeconds, ...pending });
  }

  #stateOf(key: Dnskey): KeyState | undefined {
    return this.#keys.get(identityOf(key))?.state;
  }

  #isConfigured(key: Dnskey): boolean {
    const { zone, ds, keys } = this.#configured;
    return (
      keys.some((known) => octetsEqual(known.rdata, key.rdata)) ||
      ds.some((one) => isDigestOf(one, zone, key))
    );
  }

  #trustedLabels(): string[] {
    const { ds, keys } = this.#configured;
    const followed = [...this.#keys.values()].filter(isTrusted).map(({ key }) => key);
    return [
      ...ds.map(({ algorithm, keyTag }) => keyLabel({ algorithm, tag: keyTag })),
      ...[...keys, ...followed].map(keyLabel),
    ];
  }

  #followedCount(): number {
    return [...this.#keys.values()].filter(({ state }) => state !== "removed").length;
  }

  /** Removed keys are remembered so that a configured digest does not bring them back; the oldest leave. */
  #forgetOldest(): void {
    const removed = [...this.#keys.entries()].filter(([, { state }]) => state === "removed");
    removed.sort(([, a], [, b]) => b.sinceSeconds - a.sinceSeconds);
    for (const [identity] of removed.slice(REMOVED_KEYS_MAX)) this.#keys.delete(identity);
  }

  /** Why nothing vouched for a set, for people. */
  whyNot({ signatures }: SignedRRset): string {
    const by = signatures.slice(0, LABELS_TOLD_MAX).map((rdata) => {
      const { algorithm, keyTag } = readRrsig(rdata);
      return keyLabel({ algorithm, tag: keyTag });
    });
    const trusted = this.#trustedLabels().join(", ");
    return `no right signature by ${trusted}; signed by ${by.length === 0 ? "nobody" : by.join(", ")}`;
  }

  end(vouchers: readonly Voucher[], whyNot: string): RolloverStep {
    const { zone } = this.#point;
    const after = { zone, keys: [...this.#keys.values()], configured: this.#configured };
    const times = this.#timesAfter(vouchers);
    const isDeleted = anchorOf({ ...after, times }) === undefined;
    if (isDeleted) this.#events.push({ kind: "trust point deleted" });
    else if (vouchers.length === 0) this.#events.push({ kind: "not validated", why: whyNot });
    const point = { ...after, times: isDeleted ? { ...times, nextSeconds: undefined } : times };
    return { point, events: this.#events };
  }

  #timesAfter(vouchers: readonly Voucher[]): QueryTimes {
    const { times } = this.#point;
    const now = this.#nowSeconds;
    if (vouchers.length === 0)
      return {
        ...times,
        askedSeconds: now,
        nextSeconds: now + times.retrySeconds,
        failures: Math.min(times.failures + 1, FAILURES_COUNTED_MAX),
      };
    const { intervalSeconds, retrySeconds } = queryIntervals(vouchers.map(({ proof }) => proof));
    return {
      askedSeconds: now,
      validatedSeconds: now,
      nextSeconds: now + intervalSeconds,
      failures: 0,
      intervalSeconds,
      retrySeconds,
    };
  }
}

/** Active refresh (RFC 5011 §2.3), from the shortest-lived of the proofs. */
function queryIntervals(proofs: readonly KeySetProof[]): { intervalSeconds: number; retrySeconds: number } {
  const ttlSeconds = Math.min(...proofs.map(({ originalTtlSeconds }) => originalTtlSeconds));
  const leftSeconds = Math.min(...proofs.map((proof) => proof.leftSeconds));
  const part = (share: number, mostSeconds: number): number =>
    Math.max(HOUR_SECONDS, Math.floor(Math.min(mostSeconds, ttlSeconds * share, leftSeconds * share)));
  return {
    intervalSeconds: part(0.5, QUERY_INTERVAL_SECONDS_MAX),
    retrySeconds: part(0.1, RETRY_INTERVAL_SECONDS_MAX),
  };
}

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 86_400;
/** RFC 5011 §2.4.1. */
const ADD_HOLD_DOWN_SECONDS = 30 * DAY_SECONDS;
/** RFC 5011 §2.4.2. */
const REMOVE_HOLD_DOWN_SECONDS = 30 * DAY_SECONDS;
/** RFC 5011 §2.3. */
export const QUERY_INTERVAL_SECONDS_MAX = 15 * DAY_SECONDS;
/** RFC 5011 §2.3. */
const RETRY_INTERVAL_SECONDS_MAX = DAY_SECONDS;
/** RFC 5011 §2.4.3 wants five at least; the root has two or three. */
export const FOLLOWED_KEYS_MAX = 32;
/** Decades of rollovers. */
const REMOVED_KEYS_MAX = 32;
const LABELS_TOLD_MAX = 8;
/** It is for people only. */
const FAILURES_COUNTED_MAX = 1_000_000;
