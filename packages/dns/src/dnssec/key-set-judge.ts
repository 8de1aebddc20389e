/**
 * Signatures over DNSKEY sets as RFC 5011 looks at them: not whether some key signed the set, but whether this one did. Here
 * a revoked key may speak, because its own signature is what proves the revocation (RFC 5011 §2.1).
 */
import { RRType } from "@sotto/dns/wire";
import { type AlgorithmPolicy, isSupportedAlgorithm } from "./algorithms.ts";
import { SIGNATURES_PER_SET_MAX, ValidationBudget } from "./budget.ts";
import { Dnskey } from "./key.ts";
import { checkSignatures, readRrsig, type SkewPolicy } from "./rrsig.ts";
import type { SignedRRset } from "./signed-rrset.ts";

/** What a right signature says of when to ask again. */
export interface KeySetProof {
  /** Seconds; what the signer gave the set, whatever is left of it in caches. */
  readonly originalTtlSeconds: number;
  /** Seconds until the signature ends; below zero when only the allowance for clocks keeps it right. */
  readonly leftSeconds: number;
}

/** Judges keys and their signatures for one look at one DNSKEY set. */
export interface KeySetJudge {
  /** False for keys that could never validate anything here: they cannot become trust anchors. */
  isUsable(key: Dnskey): boolean;
  /** Undefined when no signature over the set is right and by this key. */
  proofOf(rrset: SignedRRset, key: Dnskey): KeySetProof | undefined;
}

export interface KeySetJudgeOptions {
  readonly nowSeconds: number;
  readonly policy: AlgorithmPolicy;
  readonly skew: SkewPolicy;
}

/** The judge that computes. It has a purse of its own, so a hostile set costs no more than one query of a client. */
export function keySetJudge({ nowSeconds, policy, skew }: KeySetJudgeOptions): KeySetJudge {
  const budget = new ValidationBudget();
  return {
    isUsable: (key) => isSupportedAlgorithm(key.algorithm, policy) && key.publicKey !== undefined,
    proofOf(rrset, key) {
      const check = {
        keys: [new SelfSigner(key.rdata)],
        zone: rrset.owner,
        nowSeconds,
        policy,
        skew,
        budget,
      };
      for (const signature of signaturesBy(rrset, key)) {
        if (checkSignatures({ ...rrset, signatures: [signature] }, check).kind === "wrong") continue;
        const { originalTtl, expiration } = readRrsig(signature);
        // RFC 4034 §3.1.5: serial arithmetic.
        return { originalTtlSeconds: originalTtl, leftSeconds: (expiration - nowSeconds) | 0 };
      }
      return undefined;
    },
  };
}

/** Chosen before they are counted, so that signatures by others cannot push out those that matter. */
function signaturesBy(rrset: SignedRRset, key: Dnskey): Uint8Array[] {
  return rrset.signatures
    .filter((rdata) => {
      const { typeCovered, keyTag, algorithm } = readRrsig(rdata);
      return typeCovered === RRType.DNSKEY && keyTag === key.tag && algorithm === key.algorithm;
    })
    .slice(0, SIGNATURES_PER_SET_MAX);
}

/** A key in the one place where its REVOKE bit does not silence it. */
class SelfSigner extends Dnskey {
  override get isRevoked(): boolean {
    return false;
  }
}
