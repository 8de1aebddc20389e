/**
 * Signature algorithms and digests by number: which are validated, and how their keys and signatures look
 * (RFC 3110, 5702, 5933, 6605, 8080; which ones: RFC 8624 §3.1 and §3.3).
 */
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { DnssecAlgorithm } from "@sotto/dns/wire";

interface SignatureAlgorithm {
  /** Name of the hash for `node:crypto`; null when the algorithm brings its own. */
  readonly hash: string | null;
  readonly kind: "rsa" | "ecdsa" | "eddsa";
  readonly curve: string;
  /** Octets of one coordinate or of the whole key. */
  readonly keyOctets: number;
  readonly signatureOctets: number;
}

const rsa = (hash: string): SignatureAlgorithm => ({
  hash,
  kind: "rsa",
  curve: "",
  keyOctets: 0,
  signatureOctets: 0,
});

const ALGORITHMS: ReadonlyMap<number, SignatureAlgorithm> = new Map([
  [DnssecAlgorithm.RSASHA1, rsa("sha1")],
  [DnssecAlgorithm["RSASHA1-NSEC3-SHA1"], rsa("sha1")],
  [DnssecAlgorithm.RSASHA256, rsa("sha256")],
  [DnssecAlgorithm.RSASHA512, rsa("sha512")],
  [
    DnssecAlgorithm.ECDSAP256SHA256,
    { hash: "sha256", kind: "ecdsa", curve: "P-256", keyOctets: 32, signatureOctets: 64 },
  ],
  [
    DnssecAlgorithm.ECDSAP384SHA384,
    { hash: "sha384", kind: "ecdsa", curve: "P-384", keyOctets: 48, signatureOctets: 96 },
  ],
  [
    DnssecAlgorithm.ED25519,
    { hash: null, kind: "eddsa", curve: "Ed25519", keyOctets: 32, signatureOctets: 64 },
  ],
  [DnssecAlgorithm.ED448, { hash: null, kind: "eddsa", curve: "Ed448", keyOctets: 57, signatureOctets: 114 }],
]);

/** What is validated at all. */
export interface AlgorithmPolicy {
  /** Take signatures over SHA-1 (algorithms 5 and 7). Without, zones that have no others are insecure. */
  readonly sha1: boolean;
}

/** True when signatures of this algorithm are validated; zones with no other are insecure (RFC 4035 §5.2). */
export function isSupportedAlgorithm(algorithm: number, policy: AlgorithmPolicy): boolean {
  const known = ALGORITHMS.get(algorithm);
  return known !== undefined && (policy.sha1 || known.hash !== "sha1");
}

/** The public key field of a DNSKEY as a key object; undefined when it cannot be one. */
export function publicKeyOf(algorithm: number, octets: Uint8Array): KeyObject | undefined {
  const known = ALGORITHMS.get(algorithm);
  if (known === undefined) return undefined;
  const jwk = known.kind === "rsa" ? rsaJwk(octets) : curveJwk(known, octets);
  if (jwk === undefined) return undefined;
  try {
    return createPublicKey({ key: jwk, format: "jwk" });
  } catch {
    // Octets that are no point of the curve, or a modulus that OpenSSL refuses.
    return undefined;
  }
}

type Jwk = Record<string, string>;

/** RFC 3110 §2: length of the exponent in one octet, or in two after a zero. */
function rsaJwk(octets: Uint8Array): Jwk | undefined {
  const isLong = octets[0] === 0;
  const exponentAt = isLong ? 3 : 1;
  const exponentOctets = isLong ? ((octets[1] ?? 0) << 8) | (octets[2] ?? 0) : (octets[0] ?? 0);
  const modulusAt = exponentAt + exponentOctets;
  const modulusOctets = octets.length - modulusAt;
  if (exponentOctets === 0 || exponentOctets > RSA_EXPONENT_OCTETS_MAX) return undefined;
  if (modulusOctets < RSA_MODULUS_OCTETS_MIN || modulusOctets > RSA_MODULUS_OCTETS_MAX) return undefined;
  return {
    kty: "RSA",
    e: base64url(octets.subarray(exponentAt, modulusAt)),
    n: base64url(octets.subarray(modulusAt)),
  };
}

function curveJwk({ kind, curve, keyOctets }: SignatureAlgorithm, octets: Uint8Array): Jwk | undefined {
  if (kind === "eddsa")
    return octets.length === keyOctets ? { kty: "OKP", crv: curve, x: base64url(octets) } : undefined;
  if (octets.length !== keyOctets * 2) return undefined;
  const [x, y] = [octets.subarray(0, keyOctets), octets.subarray(keyOctets)];
  return { kty: "EC", crv: curve, x: base64url(x), y: base64url(y) };
}

function base64url(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("base64url");
}

/** True when the signature is right. Anything malformed is simply not right. */
export function isRightSignature(
  algorithm: number,
  key: KeyObject,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  const known = ALGORITHMS.get(algorithm);
  if (known === undefined) return false;
  if (known.kind !== "rsa" && signature.length !== known.signatureOctets) return false;
  try {
    const input = known.kind === "ecdsa" ? { key, dsaEncoding: "ieee-p1363" as const } : key;
    return verify(known.hash, signed, input, signature);
  } catch {
    return false;
  }
}

const DIGESTS: ReadonlyMap<number, { readonly hash: string; readonly octets: number }> = new Map([
  [1, { hash: "sha1", octets: 20 }],
  [2, { hash: "sha256", octets: 32 }],
  [4, { hash: "sha384", octets: 48 }],
]);

/** True for the DS digest types that are computed here (RFC 8624 §3.3). */
export function isSupportedDigest(digestType: number): boolean {
  return DIGESTS.has(digestType);
}

/** The digest of DS type `digestType` over the pieces; undefined for unknown types. */
export function dsDigest(digestType: number, pieces: readonly Uint8Array[]): Uint8Array | undefined {
  const known = DIGESTS.get(digestType);
  if (known === undefined) return undefined;
  const hash = createHash(known.hash);
  for (const piece of pieces) hash.update(piece);
  return new Uint8Array(hash.digest());
}

/** RFC 3110 §2 allows more; honest exponents have one to four octets, and a huge one only costs us time. */
const RSA_EXPONENT_OCTETS_MAX = 8;
/** RFC 3110 §2: 512 to 4096 bits. */
const RSA_MODULUS_OCTETS_MIN = 64;
const RSA_MODULUS_OCTETS_MAX = 512;
