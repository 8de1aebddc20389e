/** What the cache says about one name and type: an answer, an alias, that there is none, or nothing. */
import type { NegativeAnswer, RRset, RRsetCache } from "@sotto/dns/cache";
import { type Name, RRType } from "@sotto/dns/wire";
import { synthesize } from "./scrubber.ts";

export type CacheFinding =
  /** `before` holds the DNAME that the answer, a CNAME that was asked for, was made from. */
  | { readonly kind: "answer"; readonly before: readonly RRset[]; readonly rrsets: readonly RRset[] }
  /** `alias` is the CNAME, `chain` that and the DNAME it was made from. */
  | { readonly kind: "alias"; readonly chain: readonly RRset[]; readonly alias: RRset }
  | { readonly kind: "negative"; readonly answer: NegativeAnswer };

/**
 * Looks a name up. ANY and RRSIG are always asked again: nobody knows whether what is cached is all there is. A DNAME
 * is not applied to other names than it came for, because nothing proves it before validation (RFC 6672 §5.3.1).
 */
export function findInCache(
  rrsets: RRsetCache,
  name: Name,
  type: RRType,
  hasNxdomainCut: boolean,
): CacheFinding | undefined {
  const isKnown = rrsets.isKnown(name);
  if (type !== RRType.ANY && type !== RRType.RRSIG) {
    const exact = isKnown ? rrsets.find(name, type) : undefined;
    const before = exact === undefined ? undefined : dnameBehind(rrsets, exact);
    if (exact !== undefined && before !== undefined) return { kind: "answer", before, rrsets: [exact] };
    const alias = findAlias(rrsets, name, type, isKnown);
    if (alias !== undefined) return alias;
    const made = type === RRType.CNAME ? fromDname(rrsets, name) : undefined;
    const dname = made && dnameBehind(rrsets, made);
    if (made !== undefined && dname !== undefined) return { kind: "answer", before: dname, rrsets: [made] };
  }
  const answer = isKnown ? rrsets.findNegative(name, type) : undefined;
  // RFC 4035 §3.1.4.1: a DS is the zone's above; that a zone denies its own name says nothing about it.
  const isFromBelow =
    type === RRType.DS && answer?.kind === "nxdomain" && answer.fromZone?.equals(name) === true;
  if (answer !== undefined && !isFromBelow) return { kind: "negative", answer };
  return hasNxdomainCut ? findNxdomainAbove(rrsets, name) : undefined;
}

/** RFC 8020 §2: below a name that does not exist nothing does. Only validated answers are taken at their word (§7). */
function findNxdomainAbove(rrsets: RRsetCache, name: Name): CacheFinding | undefined {
  for (let above = name; !above.isRoot; above = above.parent()) {
    const answer = rrsets.findValidatedNxdomain(above);
    if (answer !== undefined) return { kind: "negative", answer };
  }
  return undefined;
}

function findAlias(rrsets: RRsetCache, name: Name, type: RRType, isKnown: boolean): CacheFinding | undefined {
  // CNAME and NSEC themselves live beside a CNAME (RFC 4034 §4); DS belongs to the zone above, where the name is no alias.
  if (type === RRType.CNAME || type === RRType.NSEC || type === RRType.DS) return undefined;
  const alias = (isKnown ? rrsets.find(name, RRType.CNAME) : undefined) ?? fromDname(rrsets, name);
  const before = alias === undefined ? undefined : dnameBehind(rrsets, alias);
  if (alias === undefined || before === undefined) return undefined;
  return { kind: "alias", chain: [...before, alias], alias };
}

/** A validated DNAME above holds for all names below it (RFC 6672 §5.3.1); others only for those it came with. */
function fromDname(rrsets: RRsetCache, name: Name): RRset | undefined {
  const dname = rrsets.findSecureAbove(name, RRType.DNAME);
  return dname && synthesize(name, dname);
}

/** The DNAME of a synthesized CNAME; nothing for other sets; undefined when the DNAME is gone. */
function dnameBehind(rrsets: RRsetCache, rrset: RRset): readonly RRset[] | undefined {
  if (rrset.synthesizedFrom === undefined) return [];
  const dname = rrsets.find(rrset.synthesizedFrom, RRType.DNAME);
  return dname === undefined ? undefined : [dname];
}
