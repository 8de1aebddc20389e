/** Which names are asked for one that is not fully qualified (resolv.conf(5): search, ndots). */
import { type Name, tryParseName } from "@sotto/dns/wire";

export interface SearchOptions {
  /** Domains that are appended, in order. */
  readonly domains: readonly Name[];
  /** A name with at least so many dots is tried as it is first. Default 1. */
  readonly ndots: number;
}

/** The names to try, in order; names that get too long are left out. Empty when the text is no name at all. */
export function searchCandidates(text: string, { domains, ndots }: SearchOptions): Name[] {
  const bare = tryParseName(text);
  if (!bare.ok) return [];
  if (text.endsWith(".") || domains.length === 0) return [bare.value];
  const appended: Name[] = [];
  for (const domain of domains.slice(0, DOMAINS_MAX)) {
    const longer = tryParseName(text, domain);
    if (longer.ok) appended.push(longer.value);
  }
  const dots = text.split(".").length - 1;
  return dots >= ndots ? [bare.value, ...appended] : [...appended, bare.value];
}

/** As many as glibc took before it took any number. */
const DOMAINS_MAX = 6;
