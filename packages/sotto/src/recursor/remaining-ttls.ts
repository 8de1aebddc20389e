/**
 * What is left of the TTLs of an answer when it is given: between the first alias, its target and the last key that validation
 * needed, seconds may pass.
 */
import { type RRset, ttlSecondsAt } from "@sotto/dns/cache";
import type { Runtime } from "@sotto/dns/runtime";
import { RRType } from "@sotto/dns/wire";
import type { Outcome } from "./outcome.ts";
import type { FoundRRset, Scrubbed } from "./scrubber.ts";
import type { JudgedOutcome } from "./validated-answers.ts";

/** The same sets with the moment at which their TTLs are right. */
export function asOf({ clock }: Runtime, rrsets: readonly RRset[]): RRset[] {
  const nowMs = clock.nowMs();
  return rrsets.map((rrset) => ({ ...rrset, asOfMs: rrset.asOfMs ?? nowMs }));
}

/** A reply that is put aside, for when nobody knows better. */
export function putAside(scrubbed: Scrubbed, { clock }: Runtime): Scrubbed {
  const asOfMs = clock.nowMs();
  const stamped = (found: FoundRRset): FoundRRset => ({ ...found, rrset: { ...found.rrset, asOfMs } });
  switch (scrubbed.kind) {
    case "answer":
      return { ...scrubbed, chain: scrubbed.chain.map(stamped), rrsets: scrubbed.rrsets.map(stamped) };
    case "alias":
      return { ...scrubbed, chain: scrubbed.chain.map(stamped) };
    case "negative": {
      const { answer } = scrubbed;
      const { soa } = answer;
      const aside = soa === undefined ? { ...answer, asOfMs } : { ...answer, soa: { ...soa, asOfMs } };
      return { ...scrubbed, answer: aside };
    }
    default:
      return scrubbed;
  }
}

/** The same outcome with TTLs as they are now. */
export function withRemainingTtls(judged: JudgedOutcome, nowMs: number): JudgedOutcome {
  const { outcome } = judged;
  if (outcome.kind === "failed") return judged;
  const aged = (rrset: RRset): RRset => shortened(rrset, ttlSecondsAt(rrset, nowMs));
  const chain = withMadeAliases(outcome.chain.map(aged));
  if (outcome.kind === "overflow") return { ...judged, outcome: { ...outcome, chain } };
  if (outcome.kind === "answer")
    return { ...judged, outcome: { ...outcome, chain, rrsets: outcome.rrsets.map(aged) } };
  const { answer } = outcome;
  if (answer.soa === undefined) {
    const { asOfMs } = answer;
    const proofs = answer.proofs.map((proof) => aged({ ...proof, asOfMs }));
    return { ...judged, outcome: { ...outcome, chain, answer: { ...answer, proofs } } };
  }
  const soa = aged(answer.soa);
  // The SOA's TTL is that of the whole denial (RFC 2308 §5).
  const proofs = answer.proofs.map((proof) => shortened(proof, soa.ttlSeconds));
  return { ...judged, outcome: { ...outcome, chain, answer: { ...answer, soa, proofs } } };
}

/** A CNAME that was made from a DNAME ends with it. */
function withMadeAliases(chain: readonly RRset[]): RRset[] {
  return chain.map((rrset, at) => {
    const { synthesizedFrom } = rrset;
    if (synthesizedFrom === undefined) return rrset;
    const dname = chain
      .slice(0, at)
      .findLast(({ type, owner }) => type === RRType.DNAME && owner.equals(synthesizedFrom));
    return dname === undefined ? rrset : shortened(rrset, dname.ttlSeconds);
  });
}

/** A set that does not live longer from now on, nor do its proofs; what is left of it may be less. */
export function withTtlMax(rrset: RRset, ttlSecondsMax: number, nowMs: number): RRset {
  if (ttlSecondsAt(rrset, nowMs) <= ttlSecondsMax) return rrset;
  return { ...shortened(rrset, ttlSecondsMax), asOfMs: nowMs };
}

/** A set with that TTL as it is given, unless it has less. */
function shortened(rrset: RRset, ttlSeconds: number): RRset {
  if (rrset.ttlSeconds <= ttlSeconds) return rrset;
  const proofs = rrset.proofs.map((proof) => shortened(proof, ttlSeconds));
  return { ...rrset, ttlSeconds, asOfMs: undefined, proofs };
}

/** No part of a validated answer outlives its signatures (RFC 4035 §5.3.3). */
export function withTtlsMax<T extends Exclude<Outcome, { kind: "failed" }>>(
  outcome: T,
  ttlSecondsMax: number,
  nowMs: number,
): T {
  const cap = (rrset: RRset): RRset => withTtlMax(rrset, ttlSecondsMax, nowMs);
  const chain = outcome.chain.map(cap);
  if (outcome.kind === "answer") return { ...outcome, chain, rrsets: outcome.rrsets.map(cap) };
  if (outcome.kind !== "negative") return { ...outcome, chain };
  const { answer } = outcome;
  const soa = answer.soa === undefined ? undefined : cap(answer.soa);
  return { ...outcome, chain, answer: { ...answer, soa, proofs: answer.proofs.map(cap) } };
}
