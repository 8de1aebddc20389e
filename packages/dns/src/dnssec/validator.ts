/**
 * Validates record sets and denials from trust anchors down (RFC 4033 to 4035, 5155, 6840). Does no I/O: DS and DNSKEY
 * sets come from a {@link ValidationSession}, whose caller may be a recursor or a stub. The way up follows signatures: the
 * signer of a DS set is the zone above, so only real cuts are asked for.
 */
import { EdeCode, type ExtendedError, type Name, RRType, rrTypeToText } from "@sotto/dns/wire";
import { type AlgorithmPolicy, isSupportedAlgorithm, isSupportedDigest } from "./algorithms.ts";
import { DS_PER_ZONE_MAX, KEYS_PER_ZONE_MAX, type ValidationBudget } from "./budget.ts";
import type { DenialClaim, NoDsVerdict } from "./denial.ts";
import { type Ds, isDigestOf, usableDs } from "./ds.ts";
import { Dnskey } from "./key.ts";
import { judgeNsec, judgeNsecNoDs, Nsec } from "./nsec.ts";
import { Nsec3Proofs } from "./nsec3.ts";
import { RightSignatures } from "./right-signatures.ts";
import {
  checkSignatures,
  isTimely,
  readRrsig,
  type SignatureVerdict,
  type SkewPolicy,
  signedLabelCount,
  signersOf,
} from "./rrsig.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import { isAnchored, type TrustAnchor, type TrustAnchors } from "./trust-anchors.ts";
import { bogus, INDETERMINATE, INSECURE, type Verdict, weakest } from "./verdict.ts";
import { type TimedTrust, type ZoneTrust, ZoneTrustCache } from "./zone-trust.ts";

/** What asking for DS or DNSKEY gave. */
export type Evidence =
  | { readonly kind: "rrset"; readonly rrset: SignedRRset }
  | { readonly kind: "negative"; readonly proofs: readonly SignedRRset[]; readonly ttlSeconds: number }
  /** The name is an alias, so it is no zone. */
  | { readonly kind: "alias"; readonly rrset: SignedRRset }
  | { readonly kind: "failed"; readonly errors: readonly ExtendedError[] };

/** What validation for one question needs of its caller. */
export interface ValidationSession {
  readonly budget: ValidationBudget;
  /** Something could not be had for want of the asker's own time or means. Default false. */
  readonly isStarved?: boolean;
  /** Asks for DS or DNSKEY; `isAgain`: what came before was bogus, so other servers should be asked. Never rejects. */
  ask(name: Name, type: RRType, isAgain: boolean): Promise<Evidence>;
  /** Is told of denials that were verified on the way to a zone's keys. */
  onProved?(zone: Name, proofs: readonly SignedRRset[], ttlSeconds: number): void;
}

export interface ValidatorOptions {
  readonly anchors: TrustAnchors;
  /** Seconds since 1970. */
  readonly nowSeconds: () => number;
  /** Seconds of a clock that is never set, for how long things are remembered. */
  readonly uptimeSeconds: () => number;
  readonly policy?: AlgorithmPolicy;
  readonly skew?: SkewPolicy;
  /** Default {@link NSEC3_ITERATIONS_MAX_DEFAULT}. */
  readonly nsec3IterationsMax?: number;
  /**
   * Wants a right signature of every algorithm that the DS set or the anchor names, where one would do (RFC 6840 §5.11 leaves
   * that to signers). Default false.
   */
  readonly wantsEveryAlgorithm?: boolean;
  /** Takes zones whose keys cannot be had as unsigned: whoever strips signatures then wins. Default false. */
  readonly takesStripped?: boolean;
}

/** A negative answer to be judged. */
export interface Denial {
  readonly qname: Name;
  readonly qtype: RRType;
  readonly kind: "nxdomain" | "nodata";
  readonly soa: SignedRRset | undefined;
  /** NSEC and NSEC3 sets. */
  readonly proofs: readonly SignedRRset[];
}

/** The verdict, and what the proofs really show. */
export type DenialJudgement = Verdict & { readonly kind: Denial["kind"] };

export class Validator {
  readonly anchors: TrustAnchors;
  readonly #trusts = new ZoneTrustCache();
  readonly #nowSeconds: () => number;
  readonly #uptimeSeconds: () => number;
  readonly #policy: AlgorithmPolicy;
  readonly #right = new RightSignatures();
  readonly #skew: SkewPolicy;
  readonly #nsec3IterationsMax: number;
  readonly #wantsEveryAlgorithm: boolean;
  readonly #takesStripped: boolean;

  constructor(options: ValidatorOptions) {
    this.anchors = options.anchors;
    this.#nowSeconds = options.nowSeconds;
    this.#uptimeSeconds = options.uptimeSeconds;
    this.#policy = options.policy ?? { sha1: true };
    this.#skew = options.skew ?? SKEW_DEFAULT;
    this.#nsec3IterationsMax = options.nsec3IterationsMax ?? NSEC3_ITERATIONS_MAX_DEFAULT;
    this.#wantsEveryAlgorithm = options.wantsEveryAlgorithm ?? false;
    this.#takesStripped = options.takesStripped ?? false;
  }

  /** Zones of which something is known. */
  get zoneCount(): number {
    return this.#trusts.size;
  }

  /** True when answers of the zone must be signed: an anchor or a usable DS set says so. */
  expectsSignatures(zone: Name, ds: SignedRRset | undefined): boolean {
    const anchor = this.anchors.closest(zone);
    if (anchor === undefined) return false;
    if (anchor.zone.equals(zone)) return true;
    return ds !== undefined && usableDs(ds.rdatas, this.#policy).kind === "usable";
  }

  /** True when the time of one of its signatures has come and not gone; whether it is right is not looked at. */
  hasTimelySignature(rrset: SignedRRset): boolean {
    const time = { nowSeconds: this.#nowSeconds(), skew: this.#skew };
    return rrset.signatures.some((signature) => isTimely(readRrsig(signature), time));
  }

  flush(name: Name): void {
    this.#trusts.flush(name);
  }

  /**
   * Judges a set of a positive answer. `fromZone` is the zone whose server sent it, as a hint where an unsigned set may
   * belong; `proofs` are the denials that came along, for sets made from wildcards.
   */
  async judgeRRset(
    rrset: SignedRRset,
    proofs: readonly SignedRRset[],
    fromZone: Name,
    session: ValidationSession,
  ): Promise<Verdict> {
    const anchor = this.#anchorFor(rrset.owner, rrset.type);
    if (anchor === undefined) return INDETERMINATE;
    const signer = await this.#believedSigner(signersOf(rrset), anchor, session);
    if (signer === undefined) return this.#judgeUnsigned(rrset.owner, rrset.type, fromZone, session);
    const trust = await this.#trustOfSigner(signer, session);
    if (trust.kind !== "secure") return verdictOf(trust);
    if (!trust.apex.equals(signer)) return bogus(EdeCode.DnssecBogus, `${signer} signs and is no zone`);
    const checked = this.#check(rrset, trust, session);
    if (checked.kind === "wrong") return { status: "bogus", errors: [checked.error] };
    const secure: Verdict = { status: "secure", ttlSecondsMax: checked.ttlSeconds };
    if (checked.labels >= signedLabelCount(rrset.owner)) return secure;
    const claim = { kind: "wildcard", encloserLabels: checked.labels } as const;
    return weakest([secure, this.#judgeClaim(claim, rrset.owner, rrset.type, proofs, trust, session)]);
  }

  /** Judges a negative answer (RFC 4035 §5.4). */
  async judgeDenial(denial: Denial, fromZone: Name, session: ValidationSession): Promise<DenialJudgement> {
    const { qname, qtype, soa, proofs } = denial;
    const anchor = this.#anchorFor(qname, qtype);
    if (anchor === undefined) return { ...INDETERMINATE, kind: denial.kind };
    const signers = proofs.flatMap(signersOf).filter((zone) => qname.isAtOrBelow(zone));
    const signer = await this.#believedSigner(signers, anchor, session);
    if (signer === undefined) {
      const verdict = await this.#judgeUnsigned(qname, qtype, fromZone, session);
      const explained = verdict.status === "bogus" ? explainMissingProof(denial, verdict) : verdict;
      return { ...explained, kind: denial.kind };
    }
    const trust = await this.#trustOfSigner(signer, session);
    let { kind } = denial;
    if (trust.kind !== "secure") return { ...verdictOf(trust), kind };
    if (!trust.apex.equals(signer))
      return { ...bogus(EdeCode.DnssecBogus, `${signer} signs and is no zone`), kind };
    let denied = this.#judgeClaim({ kind }, qname, qtype, proofs, trust, session);
    if (denied.status === "bogus" && kind === "nxdomain") {
      // Some servers say NXDOMAIN for names that exist only because of deeper ones; their proofs know better.
      const milder = this.#judgeClaim({ kind: "nodata" }, qname, qtype, proofs, trust, session);
      if (milder.status === "secure") [kind, denied] = ["nodata", milder];
    }
    if (soa === undefined || denied.status === "bogus") return { ...denied, kind };
    const checked = this.#check(soa, trust, session);
    if (checked.kind === "wrong") return { status: "bogus", errors: [checked.error], kind };
    return { ...weakest([denied, { status: "secure", ttlSecondsMax: checked.ttlSeconds }]), kind };
  }

  #check(
    rrset: SignedRRset,
    trust: ZoneTrust & { kind: "secure" },
    session: ValidationSession,
  ): SignatureVerdict {
    return checkSignatures(rrset, {
      keys: trust.keys,
      zone: trust.apex,
      nowSeconds: this.#nowSeconds(),
      skew: this.#skew,
      policy: this.#policy,
      budget: session.budget,
      algorithms: trust.algorithms,
      right: this.#right,
    });
  }

  /** The proofs that verify; those that do not are as if they were not there. */
  #verified(
    proofs: readonly SignedRRset[],
    trust: ZoneTrust & { kind: "secure" },
    session: ValidationSession,
  ): {
    readonly rrsets: SignedRRset[];
    readonly ttlSeconds: number;
    readonly error: ExtendedError | undefined;
  } {
    const rrsets: SignedRRset[] = [];
    let ttlSeconds = Number.POSITIVE_INFINITY;
    let error: ExtendedError | undefined;
    for (const proof of proofs) {
      const checked = this.#check(proof, trust, session);
      if (checked.kind === "wrong") error ??= checked.error;
      // RFC 4035 §5.3.4: a denial that a wildcard made denies nothing.
      else if (checked.labels >= signedLabelCount(proof.owner)) {
        rrsets.push(proof);
        ttlSeconds = Math.min(ttlSeconds, checked.ttlSeconds);
      }
    }
    return { rrsets, ttlSeconds, error };
  }

  #judgeClaim(
    claim: DenialClaim,
    qname: Name,
    qtype: RRType,
    proofs: readonly SignedRRset[],
    trust: ZoneTrust & { kind: "secure" },
    session: ValidationSession,
  ): Verdict {
    const { rrsets, ttlSeconds, error } = this.#verified(proofs, trust, session);
    const nsecs = rrsets.filter(({ type }) => type === RRType.NSEC).map((rrset) => new Nsec(rrset));
    const byNsec = judgeNsec(claim, qname, qtype, trust.apex, nsecs);
    const secure = { status: "secure", ttlSecondsMax: ttlSeconds, provedBy: rrsets } as const;
    if (byNsec.kind === "proved") return secure;
    const nsec3s = this.#nsec3Proofs(rrsets, trust.apex, session);
    const byNsec3 = nsec3s.judge(claim, qname, qtype);
    switch (byNsec3.kind) {
      case "proved":
        return secure;
      case "opt-out":
        return INSECURE;
      case "too many iterations":
        return { status: "insecure", errors: [tooManyIterations(trust.apex)] };
      case "not proved":
        if (error !== undefined) return { status: "bogus", errors: [error] };
        return bogus(
          EdeCode.NsecMissing,
          `${claim.kind} of ${qname} ${rrTypeToText(qtype)}: ${nsec3s.isEmpty ? why(byNsec) : byNsec3.why}`,
        );
    }
  }

  #nsec3Proofs(rrsets: readonly SignedRRset[], zone: Name, session: ValidationSession): Nsec3Proofs {
    const nsec3s = rrsets.filter(({ type }) => type === RRType.NSEC3);
    return new Nsec3Proofs(nsec3s, zone, this.#nsec3IterationsMax, session.budget);
  }

  /** Something without a usable signature is insecure only below a proved unsigned delegation (RFC 4035 §4.3, §5.2). */
  async #judgeUnsigned(
    owner: Name,
    type: RRType,
    fromZone: Name,
    session: ValidationSession,
  ): Promise<Verdict> {
    const anchor = this.#anchorFor(owner, type);
    if (anchor === undefined) return INDETERMINATE;
    const name = holderOf(owner, type);
    const isHintUsable = name.isAtOrBelow(fromZone) && fromZone.isAtOrBelow(anchor.zone);
    const start = isHintUsable ? fromZone : anchor.zone;
    // One server may serve parent and child, so the cut can be anywhere between the hint and the name.
    for (let labels = start.labelCount; labels <= name.labelCount; labels++) {
      const trust = await this.#trustOf(name.suffix(labels), session);
      if (trust.kind !== "secure") return verdictOf(trust);
    }
    return bogus(EdeCode.RrsigsMissing, `no signature over ${owner} ${rrTypeToText(type)} in a signed zone`);
  }

  /**
   * The anchor that counts for a set. Zones above it neither vouch for what is below nor excuse it (RFC 6840 §5.10), so
   * signatures that name them are as if they were not there: anybody can write those.
   */
  #anchorFor(owner: Name, type: RRType): TrustAnchor | undefined {
    return this.anchors.closest(holderOf(owner, type));
  }

  /** A signer at or below the anchor, or one above it that another anchor vouches for (RFC 6840 §5.10, "accept any success"). */
  async #believedSigner(
    signers: readonly Name[],
    anchor: TrustAnchor,
    session: ValidationSession,
  ): Promise<Name | undefined> {
    const inside = signers.find((zone) => zone.isAtOrBelow(anchor.zone));
    if (inside !== undefined) return inside;
    const [above] = signers;
    if (above === undefined || this.anchors.closest(above) === undefined) return undefined;
    const trust = await this.#trustOf(above, session);
    return trust.kind === "secure" && trust.apex.equals(above) ? above : undefined;
  }

  /** What is known of the zone that a name belongs to, as seen from its parents. */
  async #trustOf(name: Name, session: ValidationSession): Promise<ZoneTrust> {
    return (await this.#timedTrustOf(name, session)).trust;
  }

  /** Whoever signs must be a zone: when its DS seemed not to be there, others may know better. */
  async #trustOfSigner(signer: Name, session: ValidationSession): Promise<ZoneTrust> {
    const { trust } = await this.#timedTrustOf(signer, session);
    const anchor = this.anchors.closest(signer);
    if (trust.kind !== "secure" || trust.apex.equals(signer) || anchor === undefined) return trust;
    const again = await this.#findOut(signer, anchor, session, true);
    if (again.trust.kind !== "secure" || !again.trust.apex.equals(signer)) return trust;
    this.#trusts.keep(signer, again, this.#uptimeSeconds());
    return again.trust;
  }

  async #timedTrustOf(name: Name, session: ValidationSession): Promise<TimedTrust> {
    const anchor = this.anchors.closest(name);
    if (anchor === undefined) return { trust: { kind: "indeterminate" }, ttlSeconds: 0 };
    const known = this.#trusts.find(name, this.#uptimeSeconds());
    if (known !== undefined) return known;
    let found = await this.#findOut(name, anchor, session, false);
    for (let again = 1; found.trust.kind === "bogus" && !found.isFinal && again < ATTEMPTS_MAX; again++)
      found = moreTelling(found, await this.#findOut(name, anchor, session, true));
    // A purse that is empty says nothing about the zone, nor does a client whose time is up: others may find its keys.
    const isOwnFault = session.budget.isSpent || session.isStarved === true;
    if (found.trust.kind === "secure" || !isOwnFault) this.#trusts.keep(name, found, this.#uptimeSeconds());
    return found;
  }

  #findOut(
    name: Name,
    anchor: TrustAnchor,
    session: ValidationSession,
    isAgain: boolean,
  ): Promise<TimedTrust> {
    return name.equals(anchor.zone)
      ? this.#keysOfAnchor(anchor, session)
      : this.#fromParent(name, anchor, session, isAgain);
  }

  async #fromParent(
    name: Name,
    anchor: TrustAnchor,
    session: ValidationSession,
    isAgain: boolean,
  ): Promise<TimedTrust> {
    const evidence = await session.ask(name, RRType.DS, isAgain);
    if (evidence.kind === "failed") {
      const text = `DS of ${name} cannot be had`;
      return unheardTrust([{ code: EdeCode.DnssecBogus, text }, ...evidence.errors]);
    }
    const sets = evidence.kind === "negative" ? evidence.proofs : [evidence.rrset];
    // Each step goes up, or it would never end: an alias may claim to be signed by its own name.
    const signer = sets
      .flatMap(signersOf)
      .find((zone) => name.isBelow(zone) && zone.isAtOrBelow(anchor.zone));
    // Nothing is signed: then the zone around the parent's name must be unsigned.
    if (signer === undefined) {
      const above = await this.#timedTrustOf(name.parent(), session);
      if (above.trust.kind !== "secure") return above;
      return failedTrust([{ code: EdeCode.RrsigsMissing, text: `nothing signed about the DS of ${name}` }]);
    }
    const above = await this.#timedTrustOf(signer, session);
    if (above.trust.kind !== "secure") return above;
    if (!above.trust.apex.equals(signer))
      return failedTrust([{ code: EdeCode.DnssecBogus, text: `${signer} signs and is no zone` }]);
    return evidence.kind === "negative"
      ? this.#fromNoDs(name, evidence, above, session)
      : this.#fromSigned(name, evidence, above, session);
  }

  async #fromSigned(
    name: Name,
    evidence: Evidence & { kind: "rrset" | "alias" },
    above: TimedTrust,
    session: ValidationSession,
  ): Promise<TimedTrust> {
    if (above.trust.kind !== "secure") return above;
    const checked = this.#check(evidence.rrset, above.trust, session);
    if (checked.kind === "wrong") return failedTrust([checked.error]);
    const ttlSeconds = Math.min(checked.ttlSeconds, above.ttlSeconds);
    // An alias and a zone cannot have one name (RFC 2181 §10.1).
    if (evidence.kind === "alias") return { trust: above.trust, ttlSeconds };
    const ds = usableDs(evidence.rrset.rdatas, this.#policy);
    if (ds.kind !== "usable") {
      const code =
        ds.kind === "unsupported digest" ? EdeCode.UnsupportedDsDigest : EdeCode.UnsupportedDnskeyAlgorithm;
      const errors = [{ code, text: `${ds.kind} in the DS of ${name}` }];
      return { trust: { kind: "insecure", errors }, ttlSeconds };
    }
    // Counted last: whoever answers chooses the order.
    const records = ds.records.slice(0, DS_PER_ZONE_MAX);
    const isTrusted = (key: Dnskey): boolean => records.some((one) => isDigestOf(one, name, key));
    return this.#keysOf(name, isTrusted, ttlSeconds, session, records, records);
  }

  /** RFC 4035 §5.2: an unsigned delegation must be proved. */
  #fromNoDs(
    name: Name,
    evidence: Evidence & { kind: "negative" },
    above: TimedTrust,
    session: ValidationSession,
  ): TimedTrust {
    if (above.trust.kind !== "secure") return above;
    const { rrsets, ttlSeconds, error } = this.#verified(evidence.proofs, above.trust, session);
    const nsecs = rrsets.filter(({ type }) => type === RRType.NSEC).map((rrset) => new Nsec(rrset));
    const byNsec = judgeNsecNoDs(name, above.trust.apex, nsecs);
    const nsec3s = this.#nsec3Proofs(rrsets, above.trust.apex, session);
    const verdict: NoDsVerdict =
      byNsec.kind === "not proved" && !nsec3s.isEmpty ? nsec3s.judgeNoDs(name) : byNsec;
    const life = Math.min(ttlSeconds, above.ttlSeconds, evidence.ttlSeconds);
    session.onProved?.(above.trust.apex, rrsets, ttlSeconds);
    switch (verdict.kind) {
      case "insecure delegation":
        return { trust: { kind: "insecure", errors: [] }, ttlSeconds: life };
      case "too many iterations":
        return {
          trust: { kind: "insecure", errors: [tooManyIterations(above.trust.apex)] },
          ttlSeconds: life,
        };
      case "no cut":
        return { trust: above.trust, ttlSeconds: life };
      case "not proved":
        return failedTrust([error ?? { code: EdeCode.NsecMissing, text: `DS of ${name}: ${verdict.why}` }]);
    }
  }

  async #keysOfAnchor(anchor: TrustAnchor, session: ValidationSession): Promise<TimedTrust> {
    const problem = unusableAnchor(anchor, this.#policy);
    if (problem !== undefined)
      return { trust: { kind: "insecure", errors: [problem] }, ttlSeconds: ANCHOR_TTL_SECONDS };
    return this.#keysOf(
      anchor.zone,
      (key) => isAnchored(anchor, key),
      Number.POSITIVE_INFINITY,
      session,
      anchor.ds,
      [...anchor.ds, ...anchor.keys].filter(({ algorithm }) => isSupportedAlgorithm(algorithm, this.#policy)),
    );
  }

  /** The keys of a zone, asked for again while they are wrong. */
  async #keysOf(
    zone: Name,
    isTrusted: (key: Dnskey) => boolean,
    ttlSeconds: number,
    session: ValidationSession,
    ds: readonly Ds[],
    named: readonly { readonly algorithm: number }[],
  ): Promise<TimedTrust> {
    const algorithms = this.#wantsEveryAlgorithm
      ? new Set(named.map(({ algorithm }) => algorithm))
      : undefined;
    const attempt = (isAgain: boolean): Promise<TimedTrust> =>
      this.#tryKeysOf({ zone, isTrusted, ttlSeconds, ds, algorithms }, session, isAgain);
    let found = await attempt(false);
    for (let again = 1; found.trust.kind === "bogus" && again < ATTEMPTS_MAX; again++)
      found = moreTelling(found, await attempt(true));
    return { ...found, isFinal: true };
  }

  /** The keys of a zone, when one that is trusted signs them all (RFC 4035 §5.2). */
  async #tryKeysOf(
    { zone, isTrusted, ttlSeconds, ds, algorithms }: KeySource,
    session: ValidationSession,
    isAgain: boolean,
  ): Promise<TimedTrust> {
    const evidence = await session.ask(zone, RRType.DNSKEY, isAgain);
    if (evidence.kind !== "rrset") {
      const text = `DNSKEY of ${zone} cannot be had`;
      const errors = evidence.kind === "failed" ? evidence.errors : [];
      if (this.#takesStripped)
        return {
          trust: { kind: "insecure", errors: [{ code: EdeCode.DnskeyMissing, text }] },
          ttlSeconds: BOGUS_TTL_SECONDS,
          isUnheard: true,
        };
      return unheardTrust([{ code: EdeCode.DnskeyMissing, text }, ...errors]);
    }
    const { rrset } = evidence;
    const keys = rrset.rdatas.slice(0, KEYS_PER_ZONE_MAX).map((rdata) => new Dnskey(rdata));
    const trusted = keys.filter((key) => !key.isRevoked && isTrusted(key));
    if (trusted.length === 0) return failedTrust([noTrustedKey(zone, keys, ds)]);
    const check = this.#check(rrset, { kind: "secure", apex: zone, keys: trusted, algorithms }, session);
    if (check.kind === "wrong") return failedTrust([check.error]);
    const life = Math.min(ttlSeconds, check.ttlSeconds, KEYS_TTL_SECONDS_MAX);
    return { trust: { kind: "secure", apex: zone, keys, algorithms }, ttlSeconds: life };
  }
}

/** What makes the keys of a zone trusted. */
interface KeySource {
  readonly zone: Name;
  readonly isTrusted: (key: Dnskey) => boolean;
  readonly ttlSeconds: number;
  readonly ds: readonly Ds[];
  readonly algorithms: ReadonlySet<number> | undefined;
}

/** Where a set stands as seen from above: DS is the parent's (RFC 4035 §3.1.4.1). */
function holderOf(owner: Name, type: RRType): Name {
  return type === RRType.DS ? owner.parent() : owner;
}

/** Why nothing that the anchor says can be checked here; then its zone is as if it were unsigned (RFC 4035 §5.2). */
function unusableAnchor({ zone, ds, keys }: TrustAnchor, policy: AlgorithmPolicy): ExtendedError | undefined {
  const known = [...ds, ...keys].filter(({ algorithm }) => isSupportedAlgorithm(algorithm, policy));
  if (ds.length + keys.length === 0) return undefined;
  if (known.length === 0) {
    const text = `the trust anchor of ${zone} has no supported algorithm`;
    return { code: EdeCode.UnsupportedDnskeyAlgorithm, text };
  }
  const isCheckable = known.some((one) => !("digestType" in one) || isSupportedDigest(one.digestType));
  if (isCheckable) return undefined;
  return { code: EdeCode.UnsupportedDsDigest, text: `the trust anchor of ${zone} has no supported digest` };
}

function noTrustedKey(zone: Name, keys: readonly Dnskey[], ds: readonly Ds[]): ExtendedError {
  const hasOther = keys.some(
    (key) =>
      !key.isRevoked && ds.some(({ algorithm, keyTag }) => algorithm === key.algorithm && keyTag === key.tag),
  );
  if (hasOther)
    return { code: EdeCode.DnssecBogus, text: `keys of ${zone} do not have the digest of its DS` };
  return { code: EdeCode.DnskeyMissing, text: `no key of ${zone} matches its DS or trust anchor` };
}

function verdictOf(trust: Exclude<ZoneTrust, { kind: "secure" }>): Verdict {
  switch (trust.kind) {
    case "insecure":
      return { status: "insecure", errors: trust.errors };
    case "indeterminate":
      return INDETERMINATE;
    case "bogus":
      return { status: "bogus", errors: trust.errors };
  }
}

function failedTrust(errors: readonly ExtendedError[]): TimedTrust {
  return { trust: { kind: "bogus", errors }, ttlSeconds: BOGUS_TTL_SECONDS };
}

function unheardTrust(errors: readonly ExtendedError[]): TimedTrust {
  return { ...failedTrust(errors), isUnheard: true };
}

/** That nobody else can be asked says less than what was wrong before, and cures nothing. */
function moreTelling(before: TimedTrust, after: TimedTrust): TimedTrust {
  return after.isUnheard === true ? before : after;
}

/** In a signed zone a denial without a proof lacks NSEC, whatever else is signed (RFC 8914 §4.13). */
function explainMissingProof(denial: Denial, verdict: Verdict & { status: "bogus" }): Verdict {
  const isMissing = verdict.errors.some(({ code }) => code === EdeCode.RrsigsMissing);
  if (!isMissing) return verdict;
  const code = denial.soa?.signatures.length === 0 ? EdeCode.RrsigsMissing : EdeCode.NsecMissing;
  return bogus(code, `nothing signed denies ${denial.qname} ${rrTypeToText(denial.qtype)}`);
}

function tooManyIterations(zone: Name): ExtendedError {
  return { code: EdeCode.UnsupportedNsec3Iterations, text: `NSEC3 of ${zone} has too many iterations` };
}

function why(verdict: { readonly kind: string; readonly why?: string }): string {
  return verdict.why ?? "";
}

/** RFC 4035 §5.3.1 wants exact times; clocks of clients and signers are not: a tenth, between an hour and a day (Unbound). */
const SKEW_DEFAULT: SkewPolicy = { minSeconds: 3600, maxSeconds: 86_400 };
/** RFC 9276 §3.2: what Unbound, Knot Resolver and BIND took in 2022; above it answers are insecure. */
export const NSEC3_ITERATIONS_MAX_DEFAULT = 150;
/** RFC 4035 §4.7: bogus data is remembered for a short time only. */
export const BOGUS_TTL_SECONDS = 60;
/** The first answer, which may be a referral's word, and two tries elsewhere. */
const ATTEMPTS_MAX = 3;
const ANCHOR_TTL_SECONDS = 3600;
/** Keys are looked at again after this long even if their TTL is longer. */
const KEYS_TTL_SECONDS_MAX = 86_400;
