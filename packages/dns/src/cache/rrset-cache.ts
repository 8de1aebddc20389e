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

/**
 * Record sets by owner and type, negative answers beside them, in one byte budget. All that is known of a name stands together: a
 * question looks for several things at its name, and what leaves for others leaves as a whole.
 */
export class RRsetCache {
  readonly #names: BudgetMap<Known>;
  /** Of which types there has been a validated set: most caches never see a DNAME, and every question looks for one. */
  readonly #secureTypes = new Set<RRType>();
  readonly #clock: Clock;
  readonly #ttlSecondsMin: number;
  readonly #ttlSecondsMax: number;
  readonly #negativeTtlSecondsMin: number;
  readonly #negativeTtlSecondsMax: number;

  constructor(options: RRsetCacheOptions, clock: Clock) {
    this.#names = new BudgetMap(options.bytesMax ?? CACHE_BYTES_DEFAULT);
    this.#clock = clock;
    this.#ttlSecondsMin = options.ttlSecondsMin ?? 0;
    this.#ttlSecondsMax = options.ttlSecondsMax ?? TTL_SECONDS_MAX_DEFAULT;
    this.#negativeTtlSecondsMin = options.negativeTtlSecondsMin ?? this.#ttlSecondsMin;
    this.#negativeTtlSecondsMax = options.negativeTtlSecondsMax ?? NEGATIVE_TTL_SECONDS_MAX_DEFAULT;
  }

  /** Its entries are names. */
  get use(): BudgetUse {
    return this.#names.use;
  }

  /** The set when it is there, fresh, and trusted at least that much (default: enough to answer a client). */
  find(owner: Name, type: RRType, trustMin: Trust = Trust.Answer): CachedRRset | undefined {
    const nowMs = this.#clock.nowMs();
    const entry = entryIn(this.#names.find(owner.key, nowMs), type, nowMs);
    if (entry?.kind !== "rrset" || entry.trust < trustMin) return undefined;
    return asFound(entry, nowMs);
  }

  /** Whether {@link find} would give a set. */
  has(owner: Name, type: RRType, trustMin: Trust = Trust.Answer): boolean {
    const nowMs = this.#clock.nowMs();
    const entry = entryIn(this.#names.find(owner.key, nowMs), type, nowMs);
    return entry?.kind === "rrset" && entry.trust >= trustMin;
  }

  /** Whether anything is known at the name, of whatever type and trust. */
  isKnown(owner: Name): boolean {
    return this.#names.find(owner.key, this.#clock.nowMs()) !== undefined;
  }

  /** Whether an answer has shown that the name with this key exists: one of that type, or that it has none. */
  isKnownToExist(key: string, type: RRType): boolean {
    const nowMs = this.#clock.nowMs();
    const known = this.#names.find(key, nowMs);
    const entry = entryIn(known, type, nowMs) ?? entryIn(known, NXDOMAIN_SLOT, nowMs);
    return entry?.kind === "rrset" ? entry.trust >= Trust.Answer : entry?.answer.kind === "nodata";
  }

  /** The validated set of that type at the closest name above that has one. */
  findSecureAbove(owner: Name, type: RRType): CachedRRset | undefined {
    if (!this.#secureTypes.has(type)) return undefined;
    const nowMs = this.#clock.nowMs();
    const { wire, key } = owner;
    for (let at = (wire[0] ?? 0) + 1; at < wire.length; at += (wire[at] ?? 0) + 1) {
      const entry = entryIn(this.#names.find(key.substring(at), nowMs), type, nowMs);
      if (entry?.kind === "rrset" && entry.trust >= Trust.Answer && entry.security === "secure")
        return asFound(entry, nowMs);
    }
    return undefined;
  }

  /**
   * Keeps a set and gives what the cache believes now: an unexpired set of higher trust stays and is returned instead
   * (RFC 2181 §5.4.1). A TTL of 0 is for the present question only and is not stored (RFC 1035 §3.2.1).
   */
  store(rrset: RRset, trust: Trust, security: CachedSecurity = rrset.security ?? "indeterminate"): RRset {
    const nowMs = this.#clock.nowMs();
    const known = this.#names.find(rrset.owner.key, nowMs);
    const entry = entryIn(known, rrset.type, nowMs);
    if (entry?.kind === "rrset" && entry.trust > trust) return asFound(entry, nowMs);
    const ownSeconds = Math.min(ttlSecondsAt(rrset, nowMs), ttlWithProofs(rrset, rrset.proofs));
    const ttlSeconds = Math.min(Math.max(ownSeconds, this.#ttlSecondsMin), this.#ttlSecondsMax);
    const kept: RRset = { ...rrset, ttlSeconds, asOfMs: undefined };
    if (known !== undefined && trust >= Trust.Answer) this.#forget(rrset.owner, NXDOMAIN_SLOT);
    if (ttlSeconds === 0) {
      this.#forget(rrset.owner, rrset.type);
      return kept;
    }
    const expiresAtMs = nowMs + ttlSeconds * 1000;
    const bytes = ENTRY_OVERHEAD_BYTES + rrsetBytes(kept);
    const slot = rrset.type;
    this.#keep(rrset.owner, { kind: "rrset", slot, rrset: kept, trust, security, bytes, expiresAtMs });
    return kept;
  }

  /** That the name does not exist, or has no such type; undefined when neither is known. */
  findNegative(owner: Name, type: RRType): NegativeAnswer | undefined {
    const nowMs = this.#clock.nowMs();
    const known = this.#names.find(owner.key, nowMs);
    if (known === undefined) return undefined;
    const ofType = entryIn(known, type, nowMs);
    const entry = ofType?.kind === "negative" ? ofType : entryIn(known, NXDOMAIN_SLOT, nowMs);
    if (entry?.kind !== "negative") return undefined;
    if (entry.answer.soa === undefined) return entry.answer;
    const ttlSeconds = remainingSeconds(entry, nowMs);
    const withTtl = (rrset: RRset): RRset => ({ ...rrset, ttlSeconds });
    return {
      ...entry.answer,
      soa: { ...entry.answer.soa, ttlSeconds, asOfMs: nowMs },
      proofs: entry.answer.proofs.map(withTtl),
    };
  }

  /** A validated NXDOMAIN of the name itself. */
  findValidatedNxdomain(owner: Name): NegativeAnswer | undefined {
    const nowMs = this.#clock.nowMs();
    const entry = entryIn(this.#names.find(owner.key, nowMs), NXDOMAIN_SLOT, nowMs);
    if (entry?.kind !== "negative" || entry.answer.security !== "secure") return undefined;
    return this.findNegative(owner, NXDOMAIN_SLOT);
  }

  /** Notes what validation found about a set that is still the one in the cache, and how long it may stay. */
  noteSecurity(rrset: RRset, security: CachedSecurity, ttlSecondsMax: number): void {
    const nowMs = this.#clock.nowMs();
    const entry = entryIn(this.#names.find(rrset.owner.key, nowMs), rrset.type, nowMs);
    if (entry?.kind !== "rrset" || entry.rrset.rdatas !== rrset.rdatas) {
      // What was fetched past the cache takes its place there once it is proved.
      const ttlSeconds = Math.min(rrset.ttlSeconds, ttlSecondsMax);
      if (security === "secure") this.store({ ...rrset, ttlSeconds, security }, Trust.Validated);
      return;
    }
    const expiresAtMs = this.#capped(entry, ttlSecondsMax);
    const trust = security === "secure" ? Trust.Validated : entry.trust;
    this.#keep(rrset.owner, { ...entry, security, trust, expiresAtMs });
  }

  /** The same for a negative answer that {@link findNegative} or {@link storeNegative} gave. */
  noteNegativeSecurity(
    owner: Name,
    type: RRType,
    answer: NegativeAnswer,
    security: CachedSecurity,
    ttlSecondsMax: number,
  ): void {
    const nowMs = this.#clock.nowMs();
    const slot = answer.kind === "nxdomain" ? NXDOMAIN_SLOT : type;
    const entry = entryIn(this.#names.find(owner.key, nowMs), slot, nowMs);
    if (entry?.kind !== "negative" || entry.answer.soa?.rdatas !== answer.soa?.rdatas) return;
    const expiresAtMs = this.#capped(entry, ttlSecondsMax);
    this.#keep(owner, { ...entry, answer: { ...entry.answer, security }, expiresAtMs });
  }

  /** Forgets one set, and that it does not exist. */
  forget(owner: Name, type: RRType): void {
    this.#forget(owner, type);
    this.#forget(owner, NXDOMAIN_SLOT);
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
    this.#keep(owner, { kind: "negative", slot, answer: kept, bytes, expiresAtMs });
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
    const kept = { ...answer, asOfMs: answer.asOfMs ?? nowMs };
    const bytes = ENTRY_OVERHEAD_BYTES;
    this.#keep(owner, { kind: "negative", slot: type, answer: kept, bytes, expiresAtMs });
  }

  /** Forgets what is known of a name, of one type only when one is given, or of everything at and below it. */
  flush(name: Name, what: "zone" | "name" | RRType = "zone"): number {
    let flushed = 0;
    if (what === "zone") {
      this.#names.deleteWhere(({ owner, entries }) => {
        if (!owner.isAtOrBelow(name)) return false;
        flushed += entries.length;
        return true;
      });
      return flushed;
    }
    for (const { slot } of this.#names.find(name.key, this.#clock.nowMs())?.entries ?? []) {
      // That the name does not exist says something about every type.
      if (what !== "name" && slot !== what && slot !== NXDOMAIN_SLOT) continue;
      this.#forget(name, slot);
      flushed++;
    }
    return flushed;
  }

  /** Sets that clients may be given, with what is left of their TTLs. */
  *all(): Generator<RRset> {
    const nowMs = this.#clock.nowMs();
    for (const { entries } of this.#names.values(nowMs))
      for (const entry of entries)
        if (entry.kind === "rrset" && entry.trust >= Trust.Answer && entry.expiresAtMs > nowMs)
          yield { ...entry.rrset, ttlSeconds: remainingSeconds(entry, nowMs) };
  }

  clear(): void {
    this.#names.clear();
  }

  /** Puts an entry in the place of what stood in its slot. What has expired leaves on the way. */
  #keep(owner: Name, entry: Entry): void {
    const nowMs = this.#clock.nowMs();
    const entries: Entry[] = [entry];
    let { bytes, expiresAtMs } = entry;
    if (entry.kind === "rrset" && entry.security === "secure") this.#secureTypes.add(entry.slot);
    for (const other of this.#names.find(owner.key, nowMs)?.entries ?? []) {
      if (other.slot === entry.slot || other.expiresAtMs <= nowMs || entries.length >= ENTRIES_PER_NAME_MAX)
        continue;
      entries.push(other);
      bytes += other.bytes;
      expiresAtMs = Math.max(expiresAtMs, other.expiresAtMs);
    }
    // What is too large leaves what is known beside it.
    if (entry.bytes > this.#names.bytesMax) this.#forget(owner, entry.slot);
    else this.#names.store(owner.key, { owner, entries, bytes, expiresAtMs });
  }

  #forget(owner: Name, slot: RRType): void {
    const known = this.#names.find(owner.key, this.#clock.nowMs());
    const gone = known?.entries.find((entry) => entry.slot === slot);
    if (known === undefined || gone === undefined) return;
    const entries = known.entries.filter((entry) => entry !== gone);
    if (entries.length === 0) this.#names.delete(owner.key);
    else this.#names.store(owner.key, { ...known, entries, bytes: known.bytes - gone.bytes });
  }

  #capped(entry: BudgetEntry, ttlSecondsMax: number): number {
    return Math.min(entry.expiresAtMs, this.#clock.nowMs() + ttlSecondsMax * 1000);
  }
}

/** What is known of one name; the entry that was kept last comes first. */
interface Known extends BudgetEntry {
  readonly owner: Name;
  readonly entries: readonly Entry[];
}

type Entry =
  | (BudgetEntry & {
      readonly kind: "rrset";
      readonly slot: RRType;
      readonly rrset: RRset;
      readonly trust: Trust;
      readonly security: CachedSecurity;
    })
  | (BudgetEntry & {
      readonly kind: "negative";
      /** The type, or that of the whole name. */
      readonly slot: RRType;
      readonly answer: NegativeAnswer;
    });

function entryIn(known: Known | undefined, slot: RRType, nowMs: number): Entry | undefined {
  if (known === undefined) return undefined;
  for (const entry of known.entries)
    if (entry.slot === slot) return entry.expiresAtMs > nowMs ? entry : undefined;
  return undefined;
}

function asFound(entry: Entry & { readonly kind: "rrset" }, nowMs: number): CachedRRset {
  const { rrset, trust, security } = entry;
  const ttlSeconds = remainingSeconds(entry, nowMs);
  const proofs =
    rrset.proofs.length === 0 ? rrset.proofs : rrset.proofs.map((proof) => ({ ...proof, ttlSeconds }));
  return { ...rrset, ttlSeconds, proofs, trust, security };
}

/** Rounded up, so that data handed on at once keeps its whole TTL. */
function remainingSeconds(entry: BudgetEntry, nowMs: number): number {
  return Math.ceil((entry.expiresAtMs - nowMs) / 1000);
}

/** Type 0 is reserved (RFC 6895 §3.1), so it can stand for "no type at all". */
const NXDOMAIN_SLOT: RRType = 0;

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

/** No honest name has so many types; what was kept first leaves first. Looking for one looks at all. */
const ENTRIES_PER_NAME_MAX = 32;
/** A quarter of the message cache's default: the program's configuration gives it that share. */
const CACHE_BYTES_DEFAULT = 16 * 1024 * 1024;
/** RFC 8767 §4 allows a cap; a day bounds how long a wrong answer can live, as in Unbound. */
const TTL_SECONDS_MAX_DEFAULT = 86_400;
/** RFC 2308 §5 found one to three hours to work well. */
const NEGATIVE_TTL_SECONDS_MAX_DEFAULT = 3600;
/** Unbound and Kresd keep them as long. */
const EMPTY_SECONDS = 5;
