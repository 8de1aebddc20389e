/**
 * Record sets and negative answers as the recursor learnt them, ranked by where they came from (RFC 2181 §5.4.1).
 * Class IN only: other classes are refused before anything is looked up. Data is kept as it came;
 * `security` is what a validator has said of it since.
 */
import type { Clock } from "@sotto/dns/runtime";
import type { Name, RRType } from "@sotto/dns/wire";
import { type BudgetEntry, BudgetMap, type BudgetUse, ENTRY_OVERHEAD_BYTES } from "./budget-map.ts";

/** All records of one owner and type (RFC 2181 §5), with the signatures over them. */
export interface RRset {
  readonly owner: Name;
  readonly type: RRType;
  /** Remaining seconds; the smallest of the records' (RFC 2181 §5.2). */
  readonly ttlSeconds: number;
  /** Monotonic milliseconds at which that was so; absent: now. Sets wait for others and for their validation. */
  readonly asOfMs?: number | undefined;
  readonly rdatas: readonly Uint8Array[];
  /** Rdata of the RRSIG records that cover this set; empty when unsigned or not sent. */
  readonly signatures: readonly Uint8Array[];
  /** NSEC or NSEC3 sets that show why a wildcard was used (RFC 4035 §3.1.3.3); empty otherwise. */
  readonly proofs: readonly RRset[];
  /** Owner of the DNAME that a CNAME was made from (RFC 6672 §3.1); undefined for records that exist. */
  readonly synthesizedFrom: Name | undefined;
  /** The zone whose server sent it; absent for sets that were made here. */
  readonly fromZone?: Name | undefined;
  /** What validation found; absent while nobody has looked. */
  readonly security?: CachedSecurity | undefined;
}

/** How far data can be believed, from least to most (RFC 2181 §5.4.1). Gaps leave room. */
export const Trust = {
  /** Additional section: never an answer to a client. */
  Additional: 1,
  /** Authority section of a reply without AA, such as a referral. */
  Referral: 2,
  /** Answer section of a reply without AA, or behind the first alias of a reply with AA. */
  Answer: 4,
  /** Authority section of a reply with AA. */
  AuthorityAuthoritative: 5,
  /** The owner that was asked for in the answer section of a reply with AA. */
  AnswerAuthoritative: 6,
  /** Validated by DNSSEC. */
  Validated: 8,
} as const;
export type Trust = (typeof Trust)[keyof typeof Trust];

/** Same values as `SecurityStatus` in transport, which the cache does not import. */
export type CachedSecurity = "secure" | "insecure" | "bogus" | "indeterminate";

/** An {@link RRset} found in the cache; `ttlSeconds` is what remains. */
export interface CachedRRset extends RRset {
  readonly trust: Trust;
  readonly security: CachedSecurity;
}

/** That a name (`nxdomain`) or a type at a name (`nodata`) does not exist (RFC 2308). */
export interface NegativeAnswer {
  readonly kind: "nxdomain" | "nodata";
  /** With the negative TTL as its TTL (RFC 2308 §5); undefined when the server sent none. */
  readonly soa: RRset | undefined;
  /** NSEC or NSEC3 sets with their signatures; empty when unsigned. */
  readonly proofs: readonly RRset[];
  /** Monotonic milliseconds when the TTLs of the proofs were right; only without a SOA, which otherwise tells. */
  readonly asOfMs?: number | undefined;
  /** The zone whose server said so. */
  readonly fromZone?: Name | undefined;
  /** There were records that must not come from outside. Absent: false. */
  readonly isBlocked?: boolean | undefined;
  /** What validation found; absent while nobody has looked. */
  readonly security?: CachedSecurity | undefined;
}

export interface RRsetCacheOptions {
  /** Memory for all entries together. Default {@link CACHE_BYTES_DEFAULT}. */
  readonly bytesMax?: number;
  /** Default 0: what the owner says counts. */
  readonly ttlSecondsMin?: number;
  /** Default {@link TTL_SECONDS_MAX_DEFAULT}. */
  readonly ttlSecondsMax?: number;
  /** The same for negative answers. Default: `ttlSecondsMin`. */
  readonly negativeTtlSecondsMin?: number | undefined;
  /** Default {@link NEGATIVE_TTL_SECONDS_MAX_DEFAULT}. */
  readonly negativeTtlSecondsMax?: number;
}

/** Record sets by owner and type, negative answers beside them, in one byte budget. */
export class RRsetCache {
  readonly #entries: BudgetMap<Entry>;
  readonly #clock: Clock;
  readonly #ttlSecondsMin: number;
  readonly #ttlSecondsMax: number;
  readonly #negativeTtlSecondsMin: number;
  readonly #negativeTtlSecondsMax: number;

  constructor(options: RRsetCacheOptions, clock: Clock) {
    this.#entries = new BudgetMap(options.bytesMax ?? CACHE_BYTES_DEFAULT);
    this.#clock = clock;
    this.#ttlSecondsMin = options.ttlSecondsMin ?? 0;
    this.#ttlSecondsMax = options.ttlSecondsMax ?? TTL_SECONDS_MAX_DEFAULT;
    this.#negativeTtlSecondsMin = options.negativeTtlSecondsMin ?? this.#ttlSecondsMin;
    this.#negativeTtlSecondsMax = options.negativeTtlSecondsMax ?? NEGATIVE_TTL_SECONDS_MAX_DEFAULT;
  }

  get use(): BudgetUse {
    return this.#entries.use;
  }

  /** The set when it is there, fresh, and trusted at least that much (default: enough to answer a client). */
  find(owner: Name, type: RRType, trustMin: Trust = Trust.Answer): CachedRRset | undefined {
    const entry = this.#entries.find(keyOf(owner, type), this.#clock.nowMs());
    if (entry?.kind !== "rrset" || entry.trust < trustMin) return undefined;
    const { rrset, trust, security } = entry;
    const ttlSeconds = this.#remainingSeconds(entry);
    const proofs =
      rrset.proofs.length === 0 ? rrset.proofs : rrset.proofs.map((proof) => ({ ...proof, ttlSeconds }));
    return { ...rrset, ttlSeconds, proofs, trust, security };
  }

  /**
   * Keeps a set and gives what the cache believes now: an unexpired set of higher trust stays and is returned instead
   * (RFC 2181 §5.4.1). A TTL of 0 is for the present question only and is not stored (RFC 1035 §3.2.1).
   */
  store(rrset: RRset, trust: Trust, security: CachedSecurity = rrset.security ?? "indeterminate"): RRset {
    const key = keyOf(rrset.owner, rrset.type);
    const known = this.find(rrset.owner, rrset.type, Trust.Additional);
    if (known !== undefined && known.trust > trust) return known;
    const ownSeconds = Math.min(ttlSecondsAt(rrset, this.#clock.nowMs()), ttlWithProofs(rrset, rrset.proofs));
    const ttlSeconds = Math.min(Math.max(ownSeconds, this.#ttlSecondsMin), this.#ttlSecondsMax);
    const kept: RRset = { ...rrset, ttlSeconds, asOfMs: undefined };
    if (trust >= Trust.Answer) this.#entries.delete(keyOf(rrset.owner, NXDOMAIN_SLOT));
    if (ttlSeconds === 0) {
      this.#entries.delete(key);
      return kept;
    }
    const expiresAtMs = this.#clock.nowMs() + ttlSeconds * 1000;
    const bytes = ENTRY_OVERHEAD_BYTES + rrsetBytes(kept);
    this.#entries.store(key, { kind: "rrset", key, rrset: kept, trust, security, bytes, expiresAtMs });
    return kept;
  }

  /** That the name does not exist, or has no such type; undefined when neither is known. */
  findNegative(owner: Name, type: RRType): NegativeAnswer | undefined {
    for (const slot of [type, NXDOMAIN_SLOT]) {
      const entry = this.#entries.find(keyOf(owner, slot), this.#clock.nowMs());
      if (entry?.kind !== "negative") continue;
      if (entry.answer.soa === undefined) return entry.answer;
      const ttlSeconds = this.#remainingSeconds(entry);
      const withTtl = (rrset: RRset): RRset => ({ ...rrset, ttlSeconds });
      return {
        ...entry.answer,
        soa: { ...entry.answer.soa, ttlSeconds, asOfMs: this.#clock.nowMs() },
        proofs: entry.answer.proofs.map(withTtl),
      };
    }
    return undefined;
  }

  /** A validated NXDOMAIN of the name itself. */
  findValidatedNxdomain(owner: Name): NegativeAnswer | undefined {
    const entry = this.#entries.find(keyOf(owner, NXDOMAIN_SLOT), this.#clock.nowMs());
    if (entry?.kind !== "negative" || entry.answer.security !== "secure") return undefined;
    return this.findNegative(owner, NXDOMAIN_SLOT);
  }

  /** Notes what validation found about a set that is still the one in the cache, and how long it may stay. */
  noteSecurity(rrset: RRset, security: CachedSecurity, ttlSecondsMax: number): void {
    const key = keyOf(rrset.owner, rrset.type);
    const entry = this.#entries.find(key, this.#clock.nowMs());
    if (entry?.kind !== "rrset" || entry.rrset.rdatas !== rrset.rdatas) {
      // What was fetched past the cache takes its place there once it is proved.
      const ttlSeconds = Math.min(rrset.ttlSeconds, ttlSecondsMax);
      if (security === "secure") this.store({ ...rrset, ttlSeconds, security }, Trust.Validated);
      return;
    }
    const expiresAtMs = this.#capped(entry, ttlSecondsMax);
    const trust = security === "secure" ? Trust.Validated : entry.trust;
    this.#entries.store(key, { ...entry, security, trust, expiresAtMs });
  }

  /** The same for a negative answer that {@link findNegative} or {@link storeNegative} gave. */
  noteNegativeSecurity(
    owner: Name,
    type: RRType,
    answer: NegativeAnswer,
    security: CachedSecurity,
    ttlSecondsMax: number,
  ): void {
    const key = keyOf(owner, answer.kind === "nxdomain" ? NXDOMAIN_SLOT : type);
    const entry = this.#entries.find(key, this.#clock.nowMs());
    if (entry?.kind !== "negative" || entry.answer.soa?.rdatas !== answer.soa?.rdatas) return;
    const expiresAtMs = this.#capped(entry, ttlSecondsMax);
    this.#entries.store(key, { ...entry, answer: { ...entry.answer, security }, expiresAtMs });
  }

  /** Forgets one set, and that it does not exist. */
  forget(owner: Name, type: RRType): void {
    this.#entries.delete(keyOf(owner, type));
    this.#entries.delete(keyOf(owner, NXDOMAIN_SLOT));
  }

  /**
   * Keeps a negative answer for the TTL of its SOA, within the cap (RFC 2308 §5), and gives it with that TTL. Without a
   * SOA nothing is kept: see {@link storeEmpty}. A NODATA takes the place of a set of the same owner and type.
   */
  storeNegative(owner: Name, type: RRType, answer: NegativeAnswer): NegativeAnswer {
    const asOfMs = this.#clock.nowMs();
    if (answer.soa === undefined) return { ...answer, asOfMs: answer.asOfMs ?? asOfMs };
    const ownSeconds = Math.min(ttlSecondsAt(answer.soa, asOfMs), ttlWithProofs(answer.soa, answer.proofs));
    const ttlSeconds = Math.min(
      Math.max(ownSeconds, this.#negativeTtlSecondsMin),
      this.#negativeTtlSecondsMax,
    );
    const kept: NegativeAnswer = { ...answer, soa: { ...answer.soa, ttlSeconds, asOfMs } };
    if (ttlSeconds === 0) return kept;
    let bytes = ENTRY_OVERHEAD_BYTES + rrsetBytes(answer.soa);
    for (const proof of answer.proofs) bytes += rrsetBytes(proof);
    const expiresAtMs = asOfMs + ttlSeconds * 1000;
    const slot = answer.kind === "nxdomain" ? NXDOMAIN_SLOT : type;
    const key = keyOf(owner, slot);
    this.#entries.store(key, { kind: "negative", key, owner, answer: kept, bytes, expiresAtMs });
    return kept;
  }

  /**
   * Keeps for {@link EMPTY_SECONDS} that all servers of a zone gave empty replies. RFC 2308 §5 warns of caches that hand such
   * answers to each other for ever, so this is for what authorities said; asking them again at once would help nobody
   * (RFC 9520 §3.2).
   */
  storeEmpty(owner: Name, type: RRType, answer: NegativeAnswer): void {
    if (answer.soa !== undefined || answer.proofs.length > 0) return;
    const nowMs = this.#clock.nowMs();
    const expiresAtMs = nowMs + EMPTY_SECONDS * 1000;
    const key = keyOf(owner, type);
    const kept = { ...answer, asOfMs: answer.asOfMs ?? nowMs };
    const bytes = ENTRY_OVERHEAD_BYTES;
    this.#entries.store(key, { kind: "negative", key, owner, answer: kept, bytes, expiresAtMs });
  }

  /** Forgets what is known of a name, of one type only when one is given, or of everything at and below it. */
  flush(name: Name, what: "zone" | "name" | RRType = "zone"): number {
    if (what === "zone") return this.#entries.deleteWhere((entry) => ownerOf(entry).isAtOrBelow(name));
    const key = what === "name" ? undefined : keyOf(name, what);
    return this.#entries.deleteWhere((entry) => {
      if (!ownerOf(entry).equals(name)) return false;
      // That the name does not exist says something about every type.
      const isNxdomain = entry.kind === "negative" && entry.answer.kind === "nxdomain";
      return key === undefined || isNxdomain || entry.key === key;
    });
  }

  /** Sets that clients may be given, with what is left of their TTLs. */
  *all(): Generator<RRset> {
    for (const entry of this.#entries.values(this.#clock.nowMs()))
      if (entry.kind === "rrset" && entry.trust >= Trust.Answer)
        yield { ...entry.rrset, ttlSeconds: this.#remainingSeconds(entry) };
  }

  clear(): void {
    this.#entries.clear();
  }

  #capped(entry: BudgetEntry, ttlSecondsMax: number): number {
    return Math.min(entry.expiresAtMs, this.#clock.nowMs() + ttlSecondsMax * 1000);
  }

  /** Rounded up, so that data handed on at once keeps its whole TTL. */
  #remainingSeconds(entry: BudgetEntry): number {
    return Math.ceil((entry.expiresAtMs - this.#clock.nowMs()) / 1000);
  }
}

type Entry =
  | (BudgetEntry & {
      readonly kind: "rrset";
      readonly key: string;
      readonly rrset: RRset;
      readonly trust: Trust;
      readonly security: CachedSecurity;
    })
  | (BudgetEntry & {
      readonly kind: "negative";
      readonly key: string;
      readonly owner: Name;
      readonly answer: NegativeAnswer;
    });

function ownerOf(entry: Entry): Name {
  return entry.kind === "rrset" ? entry.rrset.owner : entry.owner;
}

/** Type 0 is reserved (RFC 6895 §3.1), so it can stand for "no type at all". */
const NXDOMAIN_SLOT: RRType = 0;

function keyOf(owner: Name, type: RRType): string {
  return String.fromCharCode(type) + owner.key;
}

/** What is left of a set's TTL at a moment, in whole seconds. */
export function ttlSecondsAt({ ttlSeconds, asOfMs }: RRset, nowMs: number): number {
  if (asOfMs === undefined) return ttlSeconds;
  return Math.max(0, ttlSeconds - Math.floor((nowMs - asOfMs) / 1000));
}

/** What a set is given with must be there as long as the set. */
function ttlWithProofs({ ttlSeconds }: RRset, proofs: readonly RRset[]): number {
  return proofs.reduce((least, proof) => Math.min(least, proof.ttlSeconds), ttlSeconds);
}

/** What a set costs: its octets and one object per array of them. */
export function rrsetBytes(rrset: RRset): number {
  let bytes = RRSET_OVERHEAD_BYTES + rrset.owner.wire.length * 2;
  for (const rdata of rrset.rdatas) bytes += rdata.length + OCTETS_OVERHEAD_BYTES;
  for (const signature of rrset.signatures) bytes += signature.length + OCTETS_OVERHEAD_BYTES;
  for (const proof of rrset.proofs) bytes += rrsetBytes(proof);
  return bytes;
}

/** The object, its two arrays, the owner name and its key, on V8, rounded up. */
const RRSET_OVERHEAD_BYTES = 300;
/** One small Uint8Array with its buffer on V8, rounded up. */
const OCTETS_OVERHEAD_BYTES = 200;

/** A quarter of the message cache's default: the program's configuration gives it that share. */
const CACHE_BYTES_DEFAULT = 16 * 1024 * 1024;
/** RFC 8767 §4 allows a cap; a day bounds how long a wrong answer can live, as in Unbound. */
const TTL_SECONDS_MAX_DEFAULT = 86_400;
/** RFC 2308 §5 found one to three hours to work well. */
const NEGATIVE_TTL_SECONDS_MAX_DEFAULT = 3600;
/** Unbound and Kresd keep them as long. */
const EMPTY_SECONDS = 5;
