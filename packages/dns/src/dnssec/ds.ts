/** DS records: which of them count, and which key they stand for (RFC 4034 §5, RFC 4509 §3, RFC 4035 §5.2). */
import { type Name, octetsEqual, uint16At } from "@sotto/dns/wire";
import { type AlgorithmPolicy, dsDigest, isSupportedAlgorithm, isSupportedDigest } from "./algorithms.ts";
import type { Dnskey } from "./key.ts";

/** One DS record. */
export interface Ds {
  readonly keyTag: number;
  readonly algorithm: number;
  readonly digestType: number;
  readonly digest: Uint8Array;
}

/** Takes rdata that is known to be well-formed. */
export function readDs(rdata: Uint8Array): Ds {
  return {
    keyTag: uint16At(rdata, 0),
    algorithm: rdata[2] ?? 0,
    digestType: rdata[3] ?? 0,
    digest: rdata.subarray(4),
  };
}

/** What a DS set leaves for validation. */
export type UsableDs =
  | { readonly kind: "usable"; readonly records: readonly Ds[] }
  /** RFC 4035 §5.2: without a record that can be checked the zone counts as unsigned. */
  | { readonly kind: "unsupported algorithm" }
  | { readonly kind: "unsupported digest" };

/** The records that can be checked: SHA-1 only where nothing better stands beside it (RFC 4509 §3). */
export function usableDs(rdatas: readonly Uint8Array[], policy: AlgorithmPolicy): UsableDs {
  const known = rdatas.map(readDs).filter(({ algorithm }) => isSupportedAlgorithm(algorithm, policy));
  if (known.length === 0) return { kind: "unsupported algorithm" };
  const checkable = known.filter(({ digestType }) => isSupportedDigest(digestType));
  if (checkable.length === 0) return { kind: "unsupported digest" };
  const better = checkable.filter(({ digestType }) => digestType !== SHA1);
  return { kind: "usable", records: better.length > 0 ? better : checkable };
}

/** True when the record stands for this key of this zone. */
export function isDigestOf(ds: Ds, zone: Name, key: Dnskey): boolean {
  if (ds.keyTag !== key.tag || ds.algorithm !== key.algorithm) return false;
  const digest = dsDigest(ds.digestType, [zone.toLowerCase().wire, key.rdata]);
  return digest !== undefined && octetsEqual(digest, ds.digest);
}

const SHA1 = 1;
