/** Signatures over record sets (RFC 4034 §3, RFC 4035 §5.3). */
import {
  canonicalRdata,
  concatOctets,
  EdeCode,
  type ExtendedError,
  Name,
  RRClass,
  RRType,
  rrTypeToText,
  setUint16,
  setUint32,
  uint16At,
  uint32At,
} from "@sotto/dns/wire";
import { type AlgorithmPolicy, isRightSignature, isSupportedAlgorithm } from "./algorithms.ts";
import { KEYS_PER_TAG_MAX, SIGNATURES_PER_SET_MAX, type ValidationBudget } from "./budget.ts";
import type { Dnskey } from "./key.ts";
import type { RightSignatures } from "./right-signatures.ts";
import type { SignedRRset } from "./signed-rrset.ts";

/** The fields of RRSIG rdata. */
export interface Rrsig {
  readonly typeCovered: RRType;
  readonly algorithm: number;
  readonly labels: number;
  readonly originalTtl: number;
  /** Seconds since 1970, modulo 2^32 (RFC 4034 §3.1.5). */
  readonly expiration: number;
  readonly inception: number;
  readonly keyTag: number;
  readonly signer: Name;
  readonly signature: Uint8Array;
}

/** Takes rdata that is known to be well-formed: every decoded RRSIG is. */
export function readRrsig(rdata: Uint8Array): Rrsig {
  let end = SIGNER_AT;
  for (let octets = rdata[end] ?? 0; octets !== 0; octets = rdata[end] ?? 0) end += octets + 1;
  return {
    typeCovered: uint16At(rdata, 0),
    algorithm: rdata[2] ?? 0,
    labels: rdata[3] ?? 0,
    originalTtl: uint32At(rdata, 4),
    expiration: uint32At(rdata, 8),
    inception: uint32At(rdata, 12),
    keyTag: uint16At(rdata, 16),
    signer: new Name(rdata.subarray(SIGNER_AT, end + 1)),
    signature: rdata.subarray(end + 1),
  };
}

/** Labels of an owner as RRSIG counts them: without the root and a leading `*` (RFC 4034 §3.1.3). */
export function signedLabelCount(owner: Name): number {
  return owner.labelCount - (isWildcard(owner) ? 1 : 0);
}

/** True when the leftmost label is `*`. */
export function isWildcard(name: Name): boolean {
  return name.wire[0] === 1 && name.wire[1] === 0x2a;
}

/** Seconds around the validity of signatures in which clocks may be wrong. */
export interface SkewPolicy {
  readonly minSeconds: number;
  readonly maxSeconds: number;
}

/** What signatures are checked with. */
export interface SignatureCheck {
  readonly keys: readonly Dnskey[];
  /** The zone whose keys these are. */
  readonly zone: Name;
  readonly nowSeconds: number;
  readonly skew: SkewPolicy;
  readonly policy: AlgorithmPolicy;
  readonly budget: ValidationBudget;
  /** Absent: each signature is computed. */
  readonly right?: RightSignatures | undefined;
  /** Absent: one right signature will do (RFC 6840 §5.11). Otherwise one of each of these algorithms has to be right. */
  readonly algorithms?: ReadonlySet<number> | undefined;
}

export type SignatureVerdict =
  /** `ttlSeconds`: as long as the set may be kept (RFC 4035 §5.3.3). `labels`: of the signature that was right. */
  | { readonly kind: "right"; readonly ttlSeconds: number; readonly labels: number }
  | { readonly kind: "wrong"; readonly error: ExtendedError };

/** True when one of the signatures over the set is right (RFC 4035 §5.3); otherwise the most telling reason. */
export function checkSignatures(rrset: SignedRRset, check: SignatureCheck): SignatureVerdict {
  let reason: ExtendedError | undefined;
  const signatures = rrset.signatures.slice(0, SIGNATURES_PER_SET_MAX).map(readRrsig);
  const missing = new Set(check.algorithms);
  let ttlSeconds = Number.POSITIVE_INFINITY;
  for (const rrsig of signatures) {
    const found = checkOne(rrset, rrsig, check);
    if (found === undefined) {
      ttlSeconds = Math.min(ttlSeconds, lifeOf(rrset, rrsig, check));
      missing.delete(rrsig.algorithm);
      if (missing.size === 0) return { kind: "right", ttlSeconds, labels: rrsig.labels };
      continue;
    }
    // A signature that was checked and is wrong tells more than one that could not be checked.
    if (reason === undefined || found.code === EdeCode.DnssecBogus) reason = found;
  }
  const what = whatOf(rrset);
  const [algorithm] = missing;
  const text = `no ${algorithm === undefined ? "" : `right `}signature over ${what}${algorithm === undefined ? "" : ` of algorithm ${algorithm}`}`;
  reason ??= { code: EdeCode.RrsigsMissing, text };
  return { kind: "wrong", error: reason };
}

/** Undefined when the signature is right. */
function checkOne(rrset: SignedRRset, rrsig: Rrsig, check: SignatureCheck): ExtendedError | undefined {
  const wrong = (text: string, code: EdeCode = EdeCode.DnssecBogus): ExtendedError => ({ code, text });
  if (!rrsig.signer.equals(check.zone) || !rrset.owner.isAtOrBelow(check.zone))
    return wrong(`signature over ${whatOf(rrset)} is by ${rrsig.signer}`, EdeCode.RrsigsMissing);
  if (rrsig.labels > signedLabelCount(rrset.owner))
    return wrong(`signature over ${whatOf(rrset)} has too many labels`);
  if (!isSupportedAlgorithm(rrsig.algorithm, check.policy))
    return wrong(`signature over ${whatOf(rrset)} has algorithm ${rrsig.algorithm}`, EdeCode.RrsigsMissing);
  const untimely = checkTime(rrsig, check, rrset);
  if (untimely !== undefined) return untimely;
  const keys = check.keys
    .filter(({ algorithm, tag }) => algorithm === rrsig.algorithm && tag === rrsig.keyTag)
    .slice(0, KEYS_PER_TAG_MAX);
  if (keys.length === 0)
    return wrong(`no key ${rrsig.keyTag} at ${check.zone} for ${whatOf(rrset)}`, EdeCode.DnskeyMissing);
  if (!keys.some((key) => key.isZoneKey))
    return wrong(`key ${rrsig.keyTag} of ${check.zone} is no zone key`, EdeCode.NoZoneKeyBitSet);
  const signed = signedOctets(rrset, rrsig);
  for (const key of keys) {
    const { publicKey } = key;
    // RFC 5011 §2.1: a revoked key signs nothing but its own set, which is looked at elsewhere.
    if (publicKey === undefined || !key.isZoneKey || key.isRevoked) continue;
    if (check.right?.has(key, signed, rrsig.signature) === true) return undefined;
    if (!check.budget.takeSignature()) return wrong("validation needs more work than one query may cause");
    if (isRightSignature(rrsig.algorithm, publicKey, signed, rrsig.signature)) {
      check.right?.note(key, signed, rrsig.signature);
      return undefined;
    }
    check.budget.noteFailure();
  }
  return wrong(`signature over ${whatOf(rrset)} by key ${rrsig.keyTag} of ${check.zone} is wrong`);
}

/** Texts are made for what is wrong only. */
function whatOf({ owner, type }: Pick<SignedRRset, "owner" | "type">): string {
  return `${owner} ${rrTypeToText(type)}`;
}

/** True when the time of a signature has come and not gone. */
export function isTimely(rrsig: Rrsig, time: Pick<SignatureCheck, "nowSeconds" | "skew">): boolean {
  return checkTime(rrsig, time, undefined) === undefined;
}

/** RFC 4035 §5.3.1 with the serial arithmetic of RFC 4034 §3.1.5, and a tenth of the validity as allowance for clocks. */
function checkTime(
  rrsig: Rrsig,
  check: Pick<SignatureCheck, "nowSeconds" | "skew">,
  rrset: SignedRRset | undefined,
): ExtendedError | undefined {
  const lifeSeconds = (rrsig.expiration - rrsig.inception) | 0;
  if (lifeSeconds < 0)
    return {
      code: EdeCode.SignatureExpiredBeforeValid,
      text: `signature${over(rrset)} ends before it begins`,
    };
  const { minSeconds, maxSeconds } = check.skew;
  const skewSeconds = Math.min(Math.max(lifeSeconds / 10, minSeconds), maxSeconds);
  const lateSeconds = (check.nowSeconds - rrsig.expiration) | 0;
  if (lateSeconds > skewSeconds)
    return {
      code: EdeCode.SignatureExpired,
      text: `signature${over(rrset)} expired ${lateSeconds} seconds ago`,
    };
  const earlySeconds = (rrsig.inception - check.nowSeconds) | 0;
  if (earlySeconds > skewSeconds)
    return {
      code: EdeCode.SignatureNotYetValid,
      text: `signature${over(rrset)} is valid in ${earlySeconds} seconds`,
    };
  return undefined;
}

function over(rrset: SignedRRset | undefined): string {
  return rrset === undefined ? "" : ` over ${whatOf(rrset)}`;
}

/** RFC 4035 §5.3.3: the smallest of the TTL, the original TTL and what is left of the signature; at least for now. */
function lifeOf(rrset: SignedRRset, rrsig: Rrsig, check: SignatureCheck): number {
  const leftSeconds = (rrsig.expiration - check.nowSeconds) | 0;
  const ttlSeconds = Math.min(rrset.ttlSeconds, rrsig.originalTtl);
  return leftSeconds > 0 ? Math.min(ttlSeconds, leftSeconds) : Math.min(ttlSeconds, EXPIRED_TTL_SECONDS);
}

/** The octets that the signature is made over (RFC 4034 §3.1.8.1, §6). */
function signedOctets(rrset: SignedRRset, rrsig: Rrsig): Uint8Array {
  const owner = ownerAsSigned(rrset.owner, rrsig.labels);
  const head = new Uint8Array(SIGNER_AT);
  setUint16(head, 0, rrsig.typeCovered);
  head[2] = rrsig.algorithm;
  head[3] = rrsig.labels;
  setUint32(head, 4, rrsig.originalTtl);
  setUint32(head, 8, rrsig.expiration);
  setUint32(head, 12, rrsig.inception);
  setUint16(head, 16, rrsig.keyTag);
  const pieces: Uint8Array[] = [head, rrsig.signer.toLowerCase().wire];
  const rdatas = rrset.rdatas.map((rdata) => canonicalRdata(rrset.type, rdata)).sort(Buffer.compare);
  let before: Uint8Array | undefined;
  for (const rdata of rdatas) {
    // RFC 4034 §6.3: a record that is there twice counts once.
    if (before !== undefined && Buffer.compare(before, rdata) === 0) continue;
    before = rdata;
    const fixed = new Uint8Array(10);
    setUint16(fixed, 0, rrset.type);
    setUint16(fixed, 2, RRClass.IN);
    setUint32(fixed, 4, rrsig.originalTtl);
    setUint16(fixed, 8, rdata.length);
    pieces.push(owner, fixed, rdata);
  }
  return concatOctets(pieces);
}

/** RFC 4035 §5.3.2: a name that a wildcard made is signed as the wildcard. */
function ownerAsSigned(owner: Name, labels: number): Uint8Array {
  const lower = owner.toLowerCase();
  if (signedLabelCount(lower) <= labels) return lower.wire;
  return concatOctets([WILDCARD_LABEL, lower.suffix(labels).wire]);
}

const WILDCARD_LABEL = Uint8Array.of(1, 0x2a);
/** Octets before the signer's name (RFC 4034 §3.1). */
const SIGNER_AT = 18;
/** What is right only thanks to the allowance for clocks is not kept for long. */
const EXPIRED_TTL_SECONDS = 60;

/** True when the set stands at the apex of its zone by its signature: for DS and NSEC that decides whose it is. */
export function signersOf(rrset: SignedRRset): Name[] {
  const signers: Name[] = [];
  for (const signature of rrset.signatures.slice(0, SIGNATURES_PER_SET_MAX)) {
    const { signer } = readRrsig(signature);
    const isAbove = rrset.type === RRType.DS ? rrset.owner.isBelow(signer) : rrset.owner.isAtOrBelow(signer);
    if (isAbove && !signers.some((known) => known.equals(signer))) signers.push(signer);
  }
  return signers;
}
