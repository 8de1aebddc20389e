/** What can be wrong with the signatures of a zone, as small named changes to how they are made. */
import { type Name, type ResourceRecord, RRType } from "@sotto/dns/wire";
import type { ChainFlaw } from "./denial-chain.ts";

/** The fields of an RRSIG before it is signed. */
export interface RrsigFields {
  readonly typeCovered: number;
  readonly algorithm: number;
  readonly labels: number;
  readonly originalTtl: number;
  readonly expiration: number;
  readonly inception: number;
  readonly keyTag: number;
  readonly signerName: Name;
}

/** Days from now between which signatures are valid. */
export interface Validity {
  readonly fromDays: number;
  readonly toDays: number;
}

export interface SigningFlaw {
  /** When its signatures are valid, by type; each entry gives a signature of its own. */
  readonly validity?: (type: RRType) => readonly Validity[];
  /** False: nothing signs the set. */
  readonly isSigned?: (type: RRType, owner: Name) => boolean;
  /** Signed with another key than the one named. */
  readonly isWrongKey?: boolean;
  /** The zone above signs the data. */
  readonly isSignedAbove?: (type: RRType) => boolean;
  readonly fields?: (fields: RrsigFields) => RrsigFields;
  /** Changes a finished signature. */
  readonly isCorrupt?: (type: RRType) => boolean;
  readonly chain?: ChainFlaw;
  /** So many keys that nobody has, with the tag of the first one. RSA only. */
  readonly crowdKeys?: number;
  /** So many wrong signatures beside every set of addresses, in place of the right ones. */
  readonly crowdSignatures?: number;
  /** Changes records that have been signed. */
  readonly afterwards?: (record: ResourceRecord) => ResourceRecord;
}

export const VALID: Validity = { fromDays: -1, toDays: 30 };
const EXPIRED: Validity = { fromDays: -30, toDays: -10 };
const isDenial = (type: RRType): boolean => type === RRType.NSEC || type === RRType.NSEC3;

/** Flaws by name; the zones refer to them. */
export const SIGNING_FLAWS = {
  expired: { validity: () => [EXPIRED] },
  "not yet valid": { validity: () => [{ fromDays: 10, toDays: 30 }] },
  /** RFC 4034 §3.1.5: the times are compared as serial numbers. */
  "ends before it begins": { validity: () => [{ fromDays: 2, toDays: -2 }] },
  "keys expired": { validity: (type) => [type === RRType.DNSKEY ? EXPIRED : VALID] },
  /** An old signature stands beside the new one: any right one will do (RFC 4035 §5.3.3). */
  "one of two expired": { validity: () => [EXPIRED, VALID] },
  "wrong key": { isWrongKey: true },
  "no signatures": { isSigned: () => false },
  "addresses unsigned": { isSigned: (type) => type !== RRType.A },
  "denials unsigned": { isSigned: (type) => !isDenial(type) },
  "SOA unsigned": { isSigned: (type) => type !== RRType.SOA },
  "keys unsigned": { isSigned: (type) => type !== RRType.DNSKEY },
  "addresses corrupt": { isCorrupt: (type) => type === RRType.A },
  "denials corrupt": { isCorrupt: isDenial },
  /** RFC 4035 §5.3.1: more labels than the owner has. */
  "too many labels": {
    fields: (fields) => (fields.typeCovered === RRType.A ? { ...fields, labels: fields.labels + 1 } : fields),
  },
  /** As if a wildcard had made the name. */
  "too few labels": {
    fields: (fields) => (fields.typeCovered === RRType.A ? { ...fields, labels: fields.labels - 1 } : fields),
  },
  /** RFC 4035 §5.3.1: the signer is not the zone that holds the set. */
  "signed by the zone above": { isSignedAbove: (type) => type === RRType.A },
  "signer below": {
    fields: (fields) => {
      const below = fields.signerName.tryPrepend(Uint8Array.of(0x78));
      return fields.typeCovered === RRType.A && below.ok ? { ...fields, signerName: below.value } : fields;
    },
  },
  /** RFC 4035 §5.3.3: then the original TTL counts. */
  "TTL raised": {
    afterwards: (record) => (record.type === RRType.A ? { ...record, ttl: record.ttl * 10 } : record),
  },
  "crowd of keys": { crowdKeys: 60, crowdSignatures: 60 },
  "crowd of signatures": { crowdSignatures: 500 },
  "denials do not cover": { chain: "not covering" },
  "denials of other names": { chain: "other names" },
} as const satisfies Readonly<Record<string, SigningFlaw>>;

export type SigningFlawName = keyof typeof SIGNING_FLAWS;
