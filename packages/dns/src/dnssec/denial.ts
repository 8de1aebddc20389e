/** What NSEC and NSEC3 proofs can show, in the same words for both (RFC 4035 §5.4, RFC 5155 §8). */
import type { Name } from "@sotto/dns/wire";

/** What is to be shown. */
export type DenialClaim =
  /** The name does not exist, nor a wildcard for it. */
  | { readonly kind: "nxdomain" }
  /** The name exists, or a wildcard for it, without the type. */
  | { readonly kind: "nodata" }
  /** No closer match than the wildcard at `encloserLabels` labels exists (RFC 4035 §5.3.4). */
  | { readonly kind: "wildcard"; readonly encloserLabels: number };

export type DenialVerdict =
  | { readonly kind: "proved" }
  /** Shown as far as an opt-out span can: there may be an unsigned delegation (RFC 5155 §9.2). */
  | { readonly kind: "opt-out" }
  /** RFC 9276 §3.2: more hash rounds than are computed here. */
  | { readonly kind: "too many iterations" }
  | { readonly kind: "not proved"; readonly why: string };

/** What the proofs of a negative answer to DS say about a name (RFC 4035 §5.2, RFC 5155 §8.6, §8.9). */
export type NoDsVerdict =
  /** An unsigned delegation is here, or may be in an opt-out span. */
  | { readonly kind: "insecure delegation" }
  /** The name belongs to the zone above: nothing is delegated here. */
  | { readonly kind: "no cut" }
  | { readonly kind: "too many iterations" }
  | { readonly kind: "not proved"; readonly why: string };

/** The longest common ancestor of two names. */
export function commonAncestor(a: Name, b: Name): Name {
  let count = Math.min(a.labelCount, b.labelCount);
  while (count > 0 && !a.suffix(count).equals(b.suffix(count))) count--;
  return a.suffix(count);
}

export const notProved = (why: string): { readonly kind: "not proved"; readonly why: string } => ({
  kind: "not proved",
  why,
});
