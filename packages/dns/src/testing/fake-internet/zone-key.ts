/**
 * Keys that follow from the zone's name, so that the trust anchor of the fake internet never changes, and the DS records
 * that stand for them. For tests only: anybody can compute these keys.
 */
import { createECDH, createHash, createPrivateKey, sign as cryptoSign, type KeyObject } from "node:crypto";
import {
  concatOctets,
  DnssecAlgorithm,
  encodeRdataOf,
  type Name,
  type ResourceRecord,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import { RSA_KEY_PEM } from "./rsa-key.ts";

/** One key of a zone: what it is for and how it looks in DNSKEY. */
export interface KeyPlan {
  /** Numbers that nobody knows give keys and signatures of arbitrary octets. */
  readonly algorithm: number;
  /** `csk` signs everything, `ksk` the keys, `zsk` the rest, `idle` nothing. */
  readonly role: "csk" | "ksk" | "zsk" | "idle";
  /** Tells keys of one zone and algorithm apart; RSA keys are all the same. Default empty. */
  readonly seed?: string;
  /** Default: 256 for a `zsk`, 257 for the others (RFC 4034 §2.1.1). */
  readonly flags?: number;
  /** Default 3, the only right value (RFC 4034 §2.1.2). */
  readonly protocol?: number;
  /** Default: true for `csk` and `ksk`. */
  readonly hasDs?: boolean;
  /** Default true. */
  readonly isPublished?: boolean;
}

/** A DS record for a key of a zone. */
export interface DsPlan {
  /** Default 2. Unknown types have arbitrary digests. */
  readonly digestType?: number;
  /** The digest is of something else. */
  readonly isWrong?: boolean;
  /** The key; absent: each key of the zone that has DS. */
  readonly key?: KeyPlan;
}

/** A key that signs. */
export interface ZoneKey {
  readonly plan: KeyPlan;
  readonly dnskeyRdata: Uint8Array;
  readonly keyTag: number;
  sign(octets: Uint8Array): Uint8Array;
}

const SHA256_DIGEST = 2;
const DIGEST_HASHES: ReadonlyMap<number, string> = new Map([
  [1, "sha1"],
  [2, "sha256"],
  [4, "sha384"],
]);

/** DS records for the keys of a zone, without doubles. */
export function dsRecords(
  origin: Name,
  keys: readonly KeyPlan[],
  plans: readonly DsPlan[],
  ttl: number,
): ResourceRecord[] {
  return plans.flatMap((plan) => {
    const chosen =
      plan.key === undefined
        ? keys.filter(({ role, hasDs }) => hasDs ?? (role === "csk" || role === "ksk"))
        : [plan.key];
    return chosen.map((key) => dsRecord(origin, key, plan, ttl));
  });
}

function dsRecord(origin: Name, keyPlan: KeyPlan, plan: DsPlan, ttl: number): ResourceRecord {
  const key = zoneKey(origin, keyPlan);
  const digestType = plan.digestType ?? SHA256_DIGEST;
  const digest = createHash(DIGEST_HASHES.get(digestType) ?? "sha512")
    .update(plan.isWrong === true ? "wrong" : "")
    .update(origin.toLowerCase().wire)
    .update(key.dnskeyRdata)
    .digest();
  const rdata = encodeRdataOf("DS", {
    keyTag: key.keyTag,
    algorithm: keyPlan.algorithm,
    digestType,
    digest: new Uint8Array(digest),
  });
  if (!rdata.ok) throw new RangeError(rdata.problem);
  return { owner: origin, type: RRType.DS, class: RRClass.IN, ttl, rdata: rdata.value };
}

/** The key that a plan means at a zone; always the same one. */
export function zoneKey(origin: Name, plan: KeyPlan): ZoneKey {
  const seed = createHash("sha256")
    .update("sotto fake internet ")
    .update(origin.toLowerCase().wire)
    .update(plan.seed ?? "")
    .digest();
  const maker = makerOf(plan.algorithm, seed);
  const rdata = encodeRdataOf("DNSKEY", {
    flags: plan.flags ?? (plan.role === "zsk" ? 256 : 257),
    protocol: plan.protocol ?? 3,
    algorithm: plan.algorithm,
    publicKey: maker.publicKey,
  });
  if (!rdata.ok) throw new RangeError(rdata.problem);
  return { plan, dnskeyRdata: rdata.value, keyTag: keyTagOf(rdata.value), sign: maker.sign };
}

/** The DNSKEY of an RSA key that nobody has, with the tag of another (KeyTrap): the modulus is made to fit. */
export function keyWithTag({ dnskeyRdata, keyTag }: ZoneKey, number: number): Uint8Array {
  const rdata = dnskeyRdata.slice();
  const modulusAt = 4 + 1 + (rdata[4] ?? 0);
  const noise = createHash("shake256", { outputLength: rdata.length - modulusAt - 2 })
    .update(`crowd ${number}`)
    .digest();
  // The first octets stay, so that the size does; the last stays, so that it is odd.
  rdata.set(noise.subarray(8, noise.length - 8), modulusAt + 8);
  const at = (modulusAt + 16) & ~1;
  rdata.fill(0, at, at + 2);
  const rest = tagSumOf(rdata);
  let word = 0;
  while (word < 0xffff && foldTag(rest + word) !== keyTag) word++;
  rdata[at] = word >> 8;
  rdata[at + 1] = word & 0xff;
  return rdata;
}

interface Maker {
  /** As DNSKEY wants it. */
  readonly publicKey: Uint8Array;
  readonly sign: (octets: Uint8Array) => Uint8Array;
}

function makerOf(algorithm: number, seed: Buffer): Maker {
  switch (algorithm) {
    case DnssecAlgorithm.RSASHA1:
    case DnssecAlgorithm["RSASHA1-NSEC3-SHA1"]:
      return rsa("sha1");
    case DnssecAlgorithm.RSASHA256:
      return rsa("sha256");
    case DnssecAlgorithm.RSASHA512:
      return rsa("sha512");
    case DnssecAlgorithm.ECDSAP256SHA256:
      return ecdsa("prime256v1", "P-256", "sha256", seed);
    case DnssecAlgorithm.ECDSAP384SHA384:
      return ecdsa("secp384r1", "P-384", "sha384", createHash("sha384").update(seed).digest());
    case DnssecAlgorithm.ED25519:
      return eddsa("302e020100300506032b657004220420", seed);
    case DnssecAlgorithm.ED448:
      return eddsa(
        "3047020100300506032b6571043b0439",
        createHash("sha512").update(seed).digest().subarray(0, 57),
      );
    default:
      return unknown(seed);
  }
}

/** RFC 3110 §2. */
function rsa(hash: string): Maker {
  const key = createPrivateKey(RSA_KEY_PEM);
  const { e, n } = jwkOf(key);
  return {
    publicKey: concatOctets([Uint8Array.of(e.length), e, n]),
    sign: (octets) => new Uint8Array(cryptoSign(hash, octets, key)),
  };
}

/** RFC 6605 §4. */
function ecdsa(curveName: string, crv: string, hash: string, secret: Buffer): Maker {
  const curve = createECDH(curveName);
  curve.setPrivateKey(secret);
  const point = curve.getPublicKey().subarray(1);
  const half = point.length / 2;
  const key = createPrivateKey({
    key: {
      kty: "EC",
      crv,
      d: secret.toString("base64url"),
      x: point.subarray(0, half).toString("base64url"),
      y: point.subarray(half).toString("base64url"),
    },
    format: "jwk",
  });
  return {
    publicKey: new Uint8Array(point),
    sign: (octets) => new Uint8Array(cryptoSign(hash, octets, { key, dsaEncoding: "ieee-p1363" })),
  };
}

/** RFC 8080 §3; PKCS #8 is this head and the secret (RFC 8410 §7). */
function eddsa(head: string, secret: Buffer): Maker {
  const der = Buffer.concat([Buffer.from(head, "hex"), secret]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  return { publicKey: jwkOf(key).x, sign: (octets) => new Uint8Array(cryptoSign(null, octets, key)) };
}

/** Octets that look like a key and signatures of an algorithm that nobody knows. */
function unknown(seed: Buffer): Maker {
  return {
    publicKey: new Uint8Array(seed),
    sign: (octets) => new Uint8Array(createHash("sha512").update(seed).update(octets).digest()),
  };
}

function jwkOf(key: KeyObject): { readonly e: Uint8Array; readonly n: Uint8Array; readonly x: Uint8Array } {
  const { e, n, x } = key.export({ format: "jwk" });
  const octets = (text: string | undefined): Uint8Array =>
    new Uint8Array(Buffer.from(text ?? "", "base64url"));
  return { e: octets(e), n: octets(n), x: octets(x) };
}

/** RFC 4034 Appendix B, but for algorithm 1 (B.1), whose keys are arbitrary here. */
function keyTagOf(dnskeyRdata: Uint8Array): number {
  const at = dnskeyRdata.length - 3;
  if (dnskeyRdata[3] === DnssecAlgorithm.RSAMD5)
    return ((dnskeyRdata[at] ?? 0) << 8) | (dnskeyRdata[at + 1] ?? 0);
  return foldTag(tagSumOf(dnskeyRdata));
}

function tagSumOf(dnskeyRdata: Uint8Array): number {
  let sum = 0;
  for (const [i, octet] of dnskeyRdata.entries()) sum += i % 2 === 0 ? octet << 8 : octet;
  return sum;
}

function foldTag(sum: number): number {
  return (sum + (sum >>> 16)) & 0xffff;
}
