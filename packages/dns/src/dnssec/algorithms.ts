/**
 * Signature algorithms and digests by number: which are validated, and how their keys and signatures look
 * (RFC 3110, 5702, 5933, 6605, 8080; which ones: RFC 8624 §3.1 and §3.3).
 */
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { concatOctets, DnssecAlgorithm } from "@sotto/dns/wire";

interface SignatureAlgorithm {
  /** Name of the hash for `node:crypto`; null when the algorithm brings its own. */
  readonly hash: string | null;
  readonly kind: "rsa" | "ecdsa" | "eddsa" | "dsa";
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

const dsa: SignatureAlgorithm = { hash: "sha1", kind: "dsa", curve: "", keyOctets: 0, signatureOctets: 41 };

const ALGORITHMS: ReadonlyMap<number, SignatureAlgorithm> = new Map([
  [DnssecAlgorithm.DSA, dsa],
  [DnssecAlgorithm["DSA-NSEC3-SHA1"], dsa],
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
  /**
   * Take DSA (algorithms 3 and 6), which RFC 8624 §3.1 forbids to validate: for replays of recorded scenarios only.
   * Default false.
   */
  readonly dsa?: boolean;
}

/** True when signatures of this algorithm are validated; zones with no other are insecure (RFC 4035 §5.2). */
export function isSupportedAlgorithm(algorithm: number, policy: AlgorithmPolicy): boolean {
  const known = ALGORITHMS.get(algorithm);
  if (known === undefined || (known.kind === "dsa" && policy.dsa !== true)) return false;
  return policy.sha1 || known.hash !== "sha1";
}

/** The public key field of a DNSKEY as a key object; undefined when it cannot be one. */
export function publicKeyOf(algorithm: number, octets: Uint8Array): KeyObject | undefined {
  const known = ALGORITHMS.get(algorithm);
  if (known === undefined) return undefined;
  try {
    if (known.kind === "dsa") return dsaKey(octets);
    const jwk = known.kind === "rsa" ? rsaJwk(octets) : curveJwk(known, octets);
    return jwk === undefined ? undefined : createPublicKey({ key: jwk, format: "jwk" });
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

/** RFC 2536 §2: T, then Q of 20 octets, then P, G and Y of 64 + 8 T octets each; as SubjectPublicKeyInfo (RFC 3279 §2.3.2). */
function dsaKey(octets: Uint8Array): KeyObject | undefined {
  const numberOctets = 64 + 8 * (octets[0] ?? 0);
  if (octets.length !== 21 + 3 * numberOctets) return undefined;
  const number = (at: number): Uint8Array =>
    derInteger(octets.subarray(21 + at * numberOctets, 21 + (at + 1) * numberOctets));
  const parameters = der(0x30, [number(0), derInteger(octets.subarray(1, 21)), number(1)]);
  const bits = der(0x03, [Uint8Array.of(0), number(2)]);
  const spki = der(0x30, [der(0x30, [DSA_OID, parameters]), bits]);
  return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
}

/** 1.2.840.10040.4.1. */
const DSA_OID = Uint8Array.of(0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01);

function der(tag: number, pieces: readonly Uint8Array[]): Uint8Array {
  const content = concatOctets(pieces);
  const { length } = content;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >>> 8, length & 0xff];
  return concatOctets([Uint8Array.from(head), content]);
}

function derInteger(octets: Uint8Array): Uint8Array {
  let start = 0;
  while (start < octets.length - 1 && octets[start] === 0) start++;
  const significant = octets.subarray(start);
  const isHigh = ((significant[0] ?? 0) & 0x80) !== 0;
  return der(0x02, isHigh ? [Uint8Array.of(0), significant] : [significant]);
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
  const isFixed = known.kind === "ecdsa" || known.kind === "eddsa";
  if (isFixed && signature.length !== known.signatureOctets) return false;
  try {
    // RFC 2536 §3: an octet that says nothing to us stands before R and S. Old signers wrote DER instead.
    if (known.kind === "dsa" && signature.length !== known.signatureOctets)
      return verify(known.hash, signed, key, signature);
    if (known.kind === "dsa")
      return verify(known.hash, signed, { key, dsaEncoding: "ieee-p1363" }, signature.subarray(1));
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
