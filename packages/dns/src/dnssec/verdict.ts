/** What validation ends in, in the words of RFC 4033 §5. */
import type { ExtendedError } from "@sotto/dns/wire";
import type { SignedRRset } from "./signed-rrset.ts";

export type Verdict =
  /** `ttlSecondsMax`: the longest time it may be kept. `provedBy`: denials that were verified on the way. */
  | {
      readonly status: "secure";
      readonly ttlSecondsMax: number;
      readonly provedBy?: readonly SignedRRset[] | undefined;
    }
  /** `errors`: why it is not secure although an anchor stands above it, such as an unknown algorithm; often empty. */
  | { readonly status: "insecure"; readonly errors: readonly ExtendedError[] }
  /** No trust anchor stands above it. */
  | { readonly status: "indeterminate" }
  | { readonly status: "bogus"; readonly errors: readonly ExtendedError[] };

export const INSECURE: Verdict = { status: "insecure", errors: [] };
export const INDETERMINATE: Verdict = { status: "indeterminate" };

export function bogus(code: number, text: string): Verdict & { readonly status: "bogus" } {
  return { status: "bogus", errors: [{ code, text }] };
}

/** The weakest of several: one bogus part spoils the whole (RFC 4035 §4.3). */
export function weakest(verdicts: readonly Verdict[]): Verdict {
  let result: Verdict = { status: "secure", ttlSecondsMax: Number.POSITIVE_INFINITY };
  for (const verdict of verdicts) {
    if (verdict.status === "bogus") return verdict;
    if (verdict.status === "secure" && result.status === "secure") {
      const ttlSecondsMax = Math.min(verdict.ttlSecondsMax, result.ttlSecondsMax);
      result = { status: "secure", ttlSecondsMax, provedBy: result.provedBy ?? verdict.provedBy };
    } else if (RANK[verdict.status] < RANK[result.status]) result = verdict;
  }
  return result;
}

const RANK = { secure: 3, insecure: 2, indeterminate: 1, bogus: 0 } as const;
