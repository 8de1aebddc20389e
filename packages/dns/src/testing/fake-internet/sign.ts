/**
 * Signs zones (RFC 4034, RFC 5155) with keys that follow from the zone's name, so that the trust anchor of the fake internet
 * never changes. One key per zone signs everything. For tests only: anybody can compute these keys.
 */
import { createECDH, createHash, createPrivateKey, sign as cryptoSign, type KeyObject } from "node:crypto";
import {
  canonicalRdata,
  concatOctets,
  encodeRdataOf,
  type Name,
  type ResourceRecord,
  RRClass,
  RRType,
  setUint16,
  setUint32,
} from "@sotto/dns/wire";
import { RSA_KEY_PEM } from "./rsa-key.ts";
import { Zone } from "./zone.ts";

/** How a zone is signed. */
export interface SigningOptions {
  readonly algorithm: 8 | 13 | 15;
  readonly denial: "nsec" | "nsec3";
  /** Seconds since 1970. */
  readonly inception: number;
  readonly expiration: number;
  /** Signs with another key than the one in DNSKEY, so that no signature is right. */
  readonly isWrongKey?: boolean;
}

interface ZoneKey {
  readonly algorithm: number;
  readonly privateKey: KeyObject;
  readonly dnskeyRdata: Uint8Array;
  readonly keyTag: number;
}

const DENIAL_TTL = 300;
const SHA256_DIGEST = 2;
const NSEC3_ITERATIONS = 0;

/** The DS record that a parent needs for a zone signed with these options. */
export function dsRecord(origin: Name, algorithm: SigningOptions["algorithm"], ttl: number): ResourceRecord {
  const key = zoneKey(origin, algorithm);
  const digest = createHash("sha256").update(origin.toLowerCase().wire).update(key.dnskeyRdata).digest();
  return packed(
    origin,
    RRType.DS,
    ttl,
    encodeRdataOf("DS", {
      keyTag: key.keyTag,
      algorithm,
      digestType: SHA256_DIGEST,
      digest: new Uint8Array(digest),
    }),
  );
}

/** A signed copy of a zone. */
export function signZone(zone: Zone, options: SigningOptions): Zone {
  const key = zoneKey(zone.origin, options.algorithm);
  const signer = options.isWrongKey === true ? zoneKey(parentless(zone.origin), options.algorithm) : key;
  const records: ResourceRecord[] = [];
  for (const node of zone.nodes) for (const rrset of node.rrsets.values()) records.push(...rrset);
  const signed = new Zone(zone.origin, records);
  signed.add({
    owner: zone.origin,
    type: RRType.DNSKEY,
    class: RRClass.IN,
    ttl: DENIAL_TTL,
    rdata: key.dnskeyRdata,
  });
  if (options.denial === "nsec") addNsec(signed);
  else addNsec3(signed);
  for (const node of [...signed.nodes]) {
    if (!signed.isAuthoritativeFor(node.owner)) continue;
    const isCut = signed.cutAbove(node.owner) !== undefined;
    for (const [type, rrset] of [...node.rrsets]) {
      // At a cut only DS and the denial records are the parent's own.
      if (isCut && type !== RRType.DS && type !== RRType.NSEC) continue;
      if (type !== RRType.RRSIG) signed.add(signRRset(rrset, zone.origin, signer, key.keyTag, options));
    }
  }
  return signed;
}

/** Another name whose key is then a wrong one. */
function parentless(origin: Name): Name {
  const other = origin.tryPrepend(Uint8Array.of(0x78));
  return other.ok ? other.value : origin;
}

function zoneKey(origin: Name, algorithm: SigningOptions["algorithm"]): ZoneKey {
  const seed = createHash("sha256").update("sotto fake internet ").update(origin.toLowerCase().wire).digest();
  const privateKey = privateKeyOf(seed, algorithm);
  const rdata = encodeRdataOf("DNSKEY", {
    flags: 257,
    protocol: 3,
    algorithm,
    publicKey: publicKeyOf(privateKey, algorithm),
  });
  if (!rdata.ok) throw new RangeError(rdata.problem);
  return { algorithm, privateKey, dnskeyRdata: rdata.value, keyTag: keyTagOf(rdata.value) };
}

function privateKeyOf(seed: Buffer, algorithm: SigningOptions["algorithm"]): KeyObject {
  if (algorithm === 8) return createPrivateKey(RSA_KEY_PEM);
  if (algorithm === 15) {
    // PKCS #8 for Ed25519 is this head and the seed (RFC 8410 §7).
    const head = Buffer.from("302e020100300506032b657004220420", "hex");
    return createPrivateKey({ key: Buffer.concat([head, seed]), format: "der", type: "pkcs8" });
  }
  const curve = createECDH("prime256v1");
  curve.setPrivateKey(seed);
  const point = curve.getPublicKey();
  const jwk = {
    kty: "EC",
    crv: "P-256",
    d: seed.toString("base64url"),
    x: point.subarray(1, 33).toString("base64url"),
    y: point.subarray(33).toString("base64url"),
  };
  return createPrivateKey({ key: jwk, format: "jwk" });
}

/** The public key as DNSKEY wants it (RFC 3110 §2, RFC 6605 §4, RFC 8080 §3). */
function publicKeyOf(privateKey: KeyObject, algorithm: SigningOptions["algorithm"]): Uint8Array {
  const jwk = privateKey.export({ format: "jwk" });
  const octets = (text: string | undefined): Uint8Array =>
    new Uint8Array(Buffer.from(text ?? "", "base64url"));
  if (algorithm === 15) return octets(jwk.x);
  if (algorithm === 13) return concatOctets([octets(jwk.x), octets(jwk.y)]);
  const exponent = octets(jwk.e);
  return concatOctets([Uint8Array.of(exponent.length), exponent, octets(jwk.n)]);
}

/** RFC 4034 Appendix B. */
function keyTagOf(dnskeyRdata: Uint8Array): number {
  let sum = 0;
  for (const [i, octet] of dnskeyRdata.entries()) sum += i % 2 === 0 ? octet << 8 : octet;
  return (sum + (sum >>> 16)) & 0xffff;
}

/** The octets that a signature is made over (RFC 4034 §3.1.8.1). */
function signedOctets(
  rrsigRdataWithoutSignature: Uint8Array,
  rrset: readonly ResourceRecord[],
  labels: number,
  originalTtl: number,
): Uint8Array {
  const first = rrset[0];
  if (first === undefined) return rrsigRdataWithoutSignature;
  const owner = ownerForSigning(first.owner, labels);
  const pieces = rrset.map((record) => {
    const rdata = canonicalRdata(record.type, record.rdata);
    const head = new Uint8Array(10);
    setUint16(head, 0, record.type);
    setUint16(head, 2, record.class);
    setUint32(head, 4, originalTtl);
    setUint16(head, 8, rdata.length);
    return { rdata, octets: concatOctets([owner, head, rdata]) };
  });
  pieces.sort((a, b) => Buffer.compare(a.rdata, b.rdata));
  return concatOctets([rrsigRdataWithoutSignature, ...pieces.map(({ octets }) => octets)]);
}

/** RFC 4035 §5.3.2: names made from a wildcard are signed as the wildcard. */
function ownerForSigning(owner: Name, labels: number): Uint8Array {
  const lower = owner.toLowerCase();
  if (lower.labelCount <= labels) return lower.wire;
  return concatOctets([Uint8Array.of(1, 0x2a), lower.suffix(labels).wire]);
}

function signRRset(
  rrset: readonly ResourceRecord[],
  origin: Name,
  key: ZoneKey,
  keyTag: number,
  options: SigningOptions,
): ResourceRecord {
  const first = rrset[0];
  if (first === undefined) throw new RangeError("an RRset has at least one record");
  const isWildcard = first.owner.wire[0] === 1 && first.owner.wire[1] === 0x2a;
  const labels = first.owner.labelCount - (isWildcard ? 1 : 0);
  const fields = {
    typeCovered: first.type,
    algorithm: options.algorithm,
    labels,
    originalTtl: first.ttl,
    expiration: options.expiration,
    inception: options.inception,
    keyTag,
    signerName: origin,
  };
  const head = encodeRdataOf("RRSIG", { ...fields, signature: new Uint8Array(0) });
  if (!head.ok) throw new RangeError(head.problem);
  const octets = signedOctets(head.value, rrset, labels, first.ttl);
  const digest = options.algorithm === 15 ? null : "sha256";
  const signature = cryptoSign(
    digest,
    octets,
    options.algorithm === 13 ? { key: key.privateKey, dsaEncoding: "ieee-p1363" } : key.privateKey,
  );
  return packed(
    first.owner,
    RRType.RRSIG,
    first.ttl,
    encodeRdataOf("RRSIG", { ...fields, signature: new Uint8Array(signature) }),
  );
}

function packed(
  owner: Name,
  type: RRType,
  ttl: number,
  rdata: { ok: true; value: Uint8Array } | { ok: false; problem: string },
): ResourceRecord {
  if (!rdata.ok) throw new RangeError(rdata.problem);
  return { owner, type, class: RRClass.IN, ttl, rdata: rdata.value };
}

/** Types at a name as its denial record lists them: at a cut only what the parent has authority for, and NS. */
function typesAt(zone: Zone, owner: Name, extra: readonly RRType[]): RRType[] {
  const isCut = zone.cutAbove(owner) !== undefined;
  const present = [...(zone.node(owner)?.rrsets.keys() ?? [])].filter(
    (type) => !isCut || type === RRType.NS || type === RRType.DS,
  );
  const isSigned = !isCut || present.includes(RRType.DS) || extra.includes(RRType.NSEC);
  const all = present.length === 0 ? [] : [...present, ...(isSigned ? [RRType.RRSIG] : []), ...extra];
  return [...new Set(all)].sort((a, b) => a - b);
}

function addNsec(zone: Zone): void {
  const owners = [...zone.nodes].map((node) => node.owner).filter((owner) => zone.isAuthoritativeFor(owner));
  owners.sort((a, b) => a.compare(b));
  for (const [i, owner] of owners.entries()) {
    const next = owners[(i + 1) % owners.length] ?? zone.origin;
    zone.add(
      packed(
        owner,
        RRType.NSEC,
        DENIAL_TTL,
        encodeRdataOf("NSEC", { next, types: typesAt(zone, owner, [RRType.NSEC]) }),
      ),
    );
  }
}

/** RFC 5155 §5, without salt or extra iterations (RFC 9276 §3.1). */
export function nsec3Hash(name: Name): Uint8Array {
  let hash = createHash("sha1").update(name.toLowerCase().wire).digest();
  for (let i = 0; i < NSEC3_ITERATIONS; i++) hash = createHash("sha1").update(hash).digest();
  return new Uint8Array(hash);
}

const BASE32HEX = "0123456789abcdefghijklmnopqrstuv";

/** The owner name of the NSEC3 record for a hash. */
export function nsec3Owner(hash: Uint8Array, origin: Name): Name {
  let text = "";
  let held = 0;
  let bits = 0;
  for (const octet of hash) {
    held = (held << 8) | octet;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32HEX[(held >>> bits) & 31];
    }
    held &= 0xff;
  }
  const owner = origin.tryPrepend(new TextEncoder().encode(text));
  return owner.ok ? owner.value : origin;
}

function addNsec3(zone: Zone): void {
  const names = [...[...zone.nodes].map((node) => node.owner), ...zone.emptyNonTerminals].filter((owner) =>
    zone.isAuthoritativeFor(owner),
  );
  const entries = names.map((owner) => ({ owner, hash: nsec3Hash(owner), types: typesAt(zone, owner, []) }));
  entries.sort((a, b) => Buffer.compare(a.hash, b.hash));
  const parameters = { hashAlgorithm: 1, flags: 0, iterations: NSEC3_ITERATIONS, salt: new Uint8Array(0) };
  zone.add(packed(zone.origin, RRType.NSEC3PARAM, 0, encodeRdataOf("NSEC3PARAM", parameters)));
  for (const [i, { owner, hash, types }] of entries.entries()) {
    const nextHash = entries[(i + 1) % entries.length]?.hash ?? hash;
    const own = owner.equals(zone.origin) ? [...types, RRType.NSEC3PARAM].sort((a, b) => a - b) : types;
    zone.add(
      packed(
        nsec3Owner(hash, zone.origin),
        RRType.NSEC3,
        DENIAL_TTL,
        encodeRdataOf("NSEC3", { ...parameters, nextHash, types: own }),
      ),
    );
  }
}
