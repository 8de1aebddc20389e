/**
 * What validated NSEC and NSEC3 records say about names that nobody asked for yet (RFC 8198): a name between two names
 * does not exist, a type that is not listed is not there, and a wildcard covers what is left.
 */
import { type NegativeAnswer, type RRset, type RRsetCache, ttlSecondsAt } from "@sotto/dns/cache";
import {
  base32hex,
  type DenialClaim,
  judgeNsec,
  Nsec,
  Nsec3Proofs,
  nsec3HashOf,
  ValidationBudget,
  wildcardAt,
} from "@sotto/dns/dnssec";
import type { Clock } from "@sotto/dns/runtime";
import { type Name, RRType, uint16At } from "@sotto/dns/wire";

/** What the records of a zone show. */
export type Synthesis =
  | { readonly kind: "negative"; readonly answer: NegativeAnswer }
  /** A wildcard answers: its records under the name that was asked for. */
  | { readonly kind: "answer"; readonly rrset: RRset }
  | { readonly kind: "alias"; readonly rrset: RRset };

/** Denial records by zone, in canonical order. */
export class DenialCache {
  readonly #zones = new Map<string, ZoneDenials>();
  readonly #rrsets: RRsetCache;
  readonly #clock: Clock;
  readonly #iterationsMax: number;
  readonly #isValidated: (name: Name) => boolean;
  #count = 0;

  /** `iterationsMax`: NSEC3 with more rounds are not looked at. `isValidated`: whether a name is validated at all. */
  constructor(rrsets: RRsetCache, iterationsMax: number, isValidated: (name: Name) => boolean, clock: Clock) {
    this.#isValidated = isValidated;
    this.#rrsets = rrsets;
    this.#clock = clock;
    this.#iterationsMax = iterationsMax;
  }

  get count(): number {
    return this.#count;
  }

  /** Takes validated records of a zone. A SOA is needed for negative answers (RFC 2308 §3). */
  learn(zone: Name, proofs: readonly RRset[], soa: RRset | undefined, ttlSecondsMax: number): void {
    if (this.#count + proofs.length > RECORDS_MAX) this.clear();
    let denials = this.#zones.get(zone.key);
    if (denials === undefined) {
      denials = new ZoneDenials(zone);
      this.#zones.set(zone.key, denials);
    }
    const nowMs = this.#clock.nowMs();
    const lifeMs = (rrset: RRset): number => Math.min(ttlSecondsAt(rrset, nowMs), ttlSecondsMax) * 1000;
    for (const proof of proofs) {
      if (proof.type === RRType.NSEC3 && uint16At(proof.rdatas[0] ?? EMPTY, 2) > this.#iterationsMax)
        continue;
      this.#count += denials.add(proof, nowMs + lifeMs(proof));
    }
    if (soa !== undefined)
      denials.soa = { rrset: { ...soa, asOfMs: undefined }, expiresAtMs: nowMs + lifeMs(soa) };
  }

  /** What is known of a name and type; undefined when it has to be asked for. */
  find(name: Name, type: RRType): Synthesis | undefined {
    // A DS may be denied by the zone above only, and ANY and RRSIG by nobody.
    if (this.#count === 0 || type === RRType.ANY || type === RRType.RRSIG) return undefined;
    if (!this.#isValidated(name)) return undefined;
    const side = type === RRType.DS && !name.isRoot ? name.parent() : name;
    for (let zone = side; ; zone = zone.parent()) {
      const denials = this.#zones.get(zone.key);
      if (denials !== undefined) return this.#synthesize(denials, name, type);
      if (zone.isRoot) return undefined;
    }
  }

  #synthesize(denials: ZoneDenials, name: Name, type: RRType): Synthesis | undefined {
    const nowMs = this.#clock.nowMs();
    const proofs = denials.proofsFor(name, nowMs);
    if (proofs.length === 0) return undefined;
    const { soa, zone } = denials;
    const isProved = (claim: DenialClaim): boolean =>
      judge(claim, name, type, zone, proofs, this.#iterationsMax);
    const soaMs = (soa?.expiresAtMs ?? 0) - nowMs;
    const used = proofs.map(({ rrset }) => rrset);
    const proofsMs = Math.min(...proofs.map((proof) => proof.expiresAtMs - nowMs));
    for (const kind of ["nxdomain", "nodata"] as const) {
      if (soa === undefined || soaMs <= 0 || !isProved({ kind })) continue;
      const withTtl = ttlMaxOf(Math.min(soaMs, proofsMs));
      const answer: NegativeAnswer = {
        kind,
        soa: withTtl(soa.rrset),
        proofs: used.map(withTtl),
        fromZone: zone,
        security: "secure",
      };
      return { kind: "negative", answer };
    }
    return this.#expand(name, type, zone, { used, withTtl: ttlMaxOf(proofsMs), isProved });
  }

  /** RFC 8198 §5.3: nothing closer exists than a wildcard whose records are known. */
  #expand(name: Name, type: RRType, zone: Name, { used, withTtl, isProved }: Proving): Synthesis | undefined {
    for (
      let encloser = name.parent();
      encloser.isAtOrBelow(zone) && !name.isRoot;
      encloser = encloser.parent()
    ) {
      const wildcard = wildcardAt(encloser);
      const claim = { kind: "wildcard", encloserLabels: encloser.labelCount } as const;
      for (const found of wildcard === undefined ? [] : [type, RRType.CNAME]) {
        const known = wildcard && this.#rrsets.find(wildcard, found);
        if (known?.security !== "secure" || !isProved(claim)) continue;
        const rrset = { ...withTtl(known), owner: name, proofs: used.map(withTtl) };
        return { kind: found === type ? "answer" : "alias", rrset };
      }
      if (encloser.isRoot) return undefined;
    }
    return undefined;
  }

  /** Forgets all zones at and below a name, and those that could still deny it. */
  flush(name: Name): void {
    for (const [key, denials] of this.#zones) {
      if (!denials.zone.isAtOrBelow(name) && !name.isAtOrBelow(denials.zone)) continue;
      this.#count -= denials.count;
      this.#zones.delete(key);
    }
  }

  clear(): void {
    this.#zones.clear();
    this.#count = 0;
  }
}

function judge(
  claim: DenialClaim,
  name: Name,
  type: RRType,
  zone: Name,
  proofs: readonly Timed[],
  iterationsMax: number,
): boolean {
  const rrsets = proofs.map(({ rrset }) => rrset);
  const nsecs = rrsets.filter((rrset) => rrset.type === RRType.NSEC).map((rrset) => new Nsec(rrset));
  if (nsecs.length > 0) return judgeNsec(claim, name, type, zone, nsecs).kind === "proved";
  // RFC 8198 §5.2 leaves opt-out spans alone: they are never "proved".
  const nsec3s = new Nsec3Proofs(rrsets, zone, iterationsMax, new ValidationBudget());
  return nsec3s.judge(claim, name, type).kind === "proved";
}

/** The records that may prove something now. */
interface Proving {
  readonly used: readonly RRset[];
  /** Cuts a TTL down to what is left of theirs: nothing outlives its proofs (RFC 8198 §5.4). */
  readonly withTtl: (rrset: RRset) => RRset;
  readonly isProved: (claim: DenialClaim) => boolean;
}

function ttlMaxOf(lifeMs: number): (rrset: RRset) => RRset {
  const ttlSecondsMax = Math.ceil(lifeMs / 1000);
  return (rrset) => ({ ...rrset, ttlSeconds: Math.min(rrset.ttlSeconds, ttlSecondsMax) });
}

interface Timed {
  readonly rrset: RRset;
  readonly expiresAtMs: number;
}

/** The denial records of one zone: NSEC by owner, NSEC3 by hash, both sorted. */
class ZoneDenials {
  readonly zone: Name;
  soa: Timed | undefined = undefined;
  readonly #nsecs: Timed[] = [];
  readonly #nsec3s: (Timed & { readonly hash: string })[] = [];

  constructor(zone: Name) {
    this.zone = zone;
  }

  get count(): number {
    return this.#nsecs.length + this.#nsec3s.length;
  }

  /** Gives how many records more there are now. */
  add(rrset: RRset, expiresAtMs: number): number {
    const before = this.count;
    if (rrset.type === RRType.NSEC) {
      const at = this.#nsecAtOrBefore(rrset.owner);
      const isSame = this.#nsecs[at]?.rrset.owner.equals(rrset.owner) === true;
      this.#nsecs.splice(isSame ? at : at + 1, isSame ? 1 : 0, { rrset, expiresAtMs });
    } else if (rrset.type === RRType.NSEC3) {
      const hash = hashOf(rrset);
      // RFC 5155 §7.3, RFC 8198 §5.2: after a change of parameters the old chain says nothing.
      const [first] = this.#nsec3s;
      if (first !== undefined && !sameParameters(first.rrset, rrset)) this.#nsec3s.length = 0;
      const at = this.#nsec3AtOrBefore(hash);
      const isSame = this.#nsec3s[at]?.hash === hash;
      this.#nsec3s.splice(isSame ? at : at + 1, isSame ? 1 : 0, { rrset, expiresAtMs, hash });
    }
    return this.count - before;
  }

  /** The records that can say something about a name: those at or before it, its enclosers and their wildcards. */
  proofsFor(name: Name, nowMs: number): Timed[] {
    const found = new Set<Timed>();
    const take = (timed: Timed | undefined): void => {
      if (timed !== undefined && timed.expiresAtMs > nowMs) found.add(timed);
    };
    const labels = name.labelCount;
    if (this.#nsecs.length > 0) {
      take(this.#nsecs[this.#nsecAtOrBefore(name)]);
      const covering = [...found][0];
      if (covering === undefined) return [];
      // The next name lies below: this one exists without records (RFC 4592 §2.2.2).
      const isEmptyNonTerminal = new Nsec(covering.rrset).next.isBelow(name);
      if (covering.rrset.owner.equals(name) || isEmptyNonTerminal) return [covering];
      // Only the wildcard of the closest encloser counts; which one that is the covering record tells.
      for (let count = labels - 1; count >= this.zone.labelCount; count--) {
        const encloser = name.suffix(count);
        const isEncloser =
          covering.rrset.owner.isAtOrBelow(encloser) || new Nsec(covering.rrset).next.isAtOrBelow(encloser);
        if (!isEncloser) continue;
        const wildcard = wildcardAt(encloser);
        if (wildcard !== undefined) take(this.#nsecs[this.#nsecAtOrBefore(wildcard)]);
        break;
      }
      return [...found];
    }
    const [first] = this.#nsec3s;
    if (first === undefined) return [];
    const rounds = uint16At(first.rrset.rdatas[0] ?? EMPTY, 2) + 1;
    // It is only to save a question: deep names of costly zones are asked for.
    if ((labels - this.zone.labelCount + 2) * rounds > HASH_ROUNDS_MAX) return [];
    for (let count = this.zone.labelCount; count <= labels; count++) {
      const at = name.suffix(count);
      const matching = this.#matching(at, first.rrset);
      if (matching === undefined || matching.expiresAtMs <= nowMs) continue;
      if (count === labels) return [matching];
      // A longer name that exists has its own record.
      const covering = this.#covering(name.suffix(count + 1), first.rrset);
      if (covering === undefined) continue;
      take(matching);
      take(covering);
      const wildcard = wildcardAt(at);
      if (wildcard !== undefined)
        take(this.#matching(wildcard, first.rrset) ?? this.#covering(wildcard, first.rrset));
      break;
    }
    return [...found];
  }

  #matching(name: Name, like: RRset): (Timed & { readonly hash: string }) | undefined {
    const hash = hashLike(name, like);
    const timed = this.#nsec3s[this.#nsec3AtOrBefore(hash)];
    return timed?.hash === hash ? timed : undefined;
  }

  #covering(name: Name, like: RRset): Timed | undefined {
    const hash = hashLike(name, like);
    const at = this.#nsec3AtOrBefore(hash);
    // Before the first record the last one of the chain covers, when it is known.
    const timed = this.#nsec3s[at < 0 ? this.#nsec3s.length - 1 : at];
    if (timed === undefined) return undefined;
    const next = nextHashOf(timed.rrset);
    const isLast = next <= timed.hash;
    const isInside = isLast ? hash > timed.hash || hash < next : hash > timed.hash && hash < next;
    return isInside ? timed : undefined;
  }

  /** Index of the last record whose owner is not after the name; -1 when all are. */
  #nsecAtOrBefore(name: Name): number {
    return lastIndex(this.#nsecs, ({ rrset }) => rrset.owner.compare(name) <= 0);
  }

  #nsec3AtOrBefore(hash: string): number {
    return lastIndex(this.#nsec3s, (timed) => timed.hash <= hash);
  }
}

/** Index of the last element for which the condition holds, which must hold for all before it; -1 without one. */
function lastIndex<T>(sorted: readonly T[], holds: (element: T) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const element = sorted[middle];
    if (element !== undefined && holds(element)) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function hashOf(rrset: RRset): string {
  return rrset.owner.key.slice(1, 1 + (rrset.owner.wire[0] ?? 0));
}

/** The hash after the record's own (RFC 5155 §3.2). */
function nextHashOf({ rdatas: [rdata = EMPTY] }: RRset): string {
  const at = 5 + (rdata[4] ?? 0);
  return base32hex(rdata.subarray(at + 1, at + 1 + (rdata[at] ?? 0)));
}

function hashLike(name: Name, like: RRset): string {
  const rdata = like.rdatas[0] ?? EMPTY;
  const salt = rdata.subarray(5, 5 + (rdata[4] ?? 0));
  return base32hex(nsec3HashOf(name, salt, uint16At(rdata, 2)));
}

function sameParameters(a: RRset, b: RRset): boolean {
  const [x = EMPTY, y = EMPTY] = [a.rdatas[0], b.rdatas[0]];
  const end = 5 + (x[4] ?? 0);
  return Buffer.compare(x.subarray(2, end), y.subarray(2, end)) === 0;
}

const EMPTY = new Uint8Array(5);
/** SHA-1 rounds for one look: about 0.3 ms. RFC 9276 §3.1 wants one round a name. */
const HASH_ROUNDS_MAX = 600;
/** About 1 kB each with signatures: 20 MB. When there are more, all are forgotten: they come back with the next answers. */
const RECORDS_MAX = 20_000;
