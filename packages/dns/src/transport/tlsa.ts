/** TLSA records (RFC 6698 §2): which of them can be used, and which certificates they match. */
import { createHash, createPublicKey, X509Certificate } from "node:crypto";
import { tryReadCertificateParts } from "./certificate-parts.ts";

/** RFC 7218 §2.1. */
export const TlsaUsage = { PkixTa: 0, PkixEe: 1, DaneTa: 2, DaneEe: 3 } as const;
export type TlsaUsage = (typeof TlsaUsage)[keyof typeof TlsaUsage];

const Selector = { Certificate: 0, PublicKey: 1 } as const;
const MatchingType = { Full: 0, Sha256: 1, Sha512: 2 } as const;
const USAGE_NAMES = ["PKIX-TA", "PKIX-EE", "DANE-TA", "DANE-EE"] as const;

/** A certificate association that can be used. */
export interface TlsaRecord {
  readonly usage: TlsaUsage;
  readonly selector: 0 | 1;
  readonly matchingType: 0 | 1 | 2;
  /** Hexadecimal digits in lower case. */
  readonly data: string;
}

/** As people know it: `DANE-EE 3 1 1`. */
export function tlsaToText({ usage, selector, matchingType }: TlsaRecord): string {
  return `${USAGE_NAMES[usage]} ${usage} ${selector} ${matchingType}`;
}

/**
 * The records of a set that can be used, in an order that does not depend on the set's. Those with unknown parameters or
 * malformed data are unusable (RFC 6698 §4.1), and of digests only the strongest for each usage and selector counts (RFC
 * 7671 §9): else whoever breaks the weakest would break all.
 */
export function usableTlsa(rdatas: readonly Uint8Array[]): TlsaRecord[] {
  const usable = rdatas
    .slice(0, RECORDS_MAX)
    .map(readTlsa)
    .filter((record) => record !== undefined);
  return usable
    .filter(
      ({ usage, selector, matchingType }) =>
        matchingType === MatchingType.Full ||
        !usable.some(
          (other) =>
            other.usage === usage && other.selector === selector && other.matchingType > matchingType,
        ),
    )
    .sort((a, b) => (sortKey(a) < sortKey(b) ? 1 : -1));
}

/** True when the record stands for that certificate. A certificate that cannot be read has no key to compare. */
export function matchesTlsa({ selector, matchingType, data }: TlsaRecord, der: Uint8Array): boolean {
  let selected = der;
  if (selector === Selector.PublicKey) {
    const parts = tryReadCertificateParts(der);
    if (!parts.ok) return false;
    selected = parts.value.spki;
  }
  return data === digestOf(selected, matchingType);
}

/** What a record for the key of that certificate would hold: `3 1 1 …`, for operators to compare or to publish. */
export function tlsaOfKey(der: Uint8Array): string | undefined {
  const parts = tryReadCertificateParts(der);
  return parts.ok ? `3 1 1 ${digestOf(parts.value.spki, MatchingType.Sha256)}` : undefined;
}

function digestOf(octets: Uint8Array, matchingType: TlsaRecord["matchingType"]): string {
  if (matchingType === MatchingType.Full) return Buffer.from(octets).toString("hex");
  return createHash(matchingType === MatchingType.Sha256 ? "sha256" : "sha512")
    .update(octets)
    .digest("hex");
}

function readTlsa(rdata: Uint8Array): TlsaRecord | undefined {
  const [usage, selector, matchingType] = rdata;
  const data = rdata.subarray(3);
  if (usage !== 0 && usage !== 1 && usage !== 2 && usage !== 3) return undefined;
  if (selector !== Selector.Certificate && selector !== Selector.PublicKey) return undefined;
  if (
    matchingType !== MatchingType.Full &&
    matchingType !== MatchingType.Sha256 &&
    matchingType !== MatchingType.Sha512
  )
    return undefined;
  const isWhole =
    matchingType === MatchingType.Full
      ? isReadable(selector, data)
      : data.length === (matchingType === MatchingType.Sha256 ? SHA256_OCTETS : SHA512_OCTETS);
  return isWhole ? { usage, selector, matchingType, data: Buffer.from(data).toString("hex") } : undefined;
}

function isReadable(selector: 0 | 1, data: Uint8Array): boolean {
  try {
    if (selector === Selector.Certificate) new X509Certificate(data);
    else createPublicKey({ key: Buffer.from(data), format: "der", type: "spki" });
    return true;
  } catch {
    // RFC 7671 §4: a record whose data cannot be read is one that cannot be used.
    return false;
  }
}

function sortKey({ usage, selector, matchingType, data }: TlsaRecord): string {
  return `${usage} ${selector} ${matchingType} ${data}`;
}

/** Servers publish two to eight; what is beyond this limit is not looked at. */
const RECORDS_MAX = 64;
const SHA256_OCTETS = 32;
const SHA512_OCTETS = 64;
