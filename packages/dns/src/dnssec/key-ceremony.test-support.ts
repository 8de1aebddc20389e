/** Keys that follow from a word, and DNSKEY sets signed with them, for tests of rollovers. */
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import {
  concatOctets,
  encodeRdataOf,
  type Name,
  parseName,
  RRType,
  setUint16,
  setUint32,
} from "@sotto/dns/wire";
import { Dnskey } from "./key.ts";
import type { SignedRRset } from "./signed-rrset.ts";
import type { TrustAnchor } from "./trust-anchors.ts";

export const ZONE: Name = parseName("example.");
/** 2026-01-01T00:00:00Z. */
export const START_SECONDS = 1_767_225_600;
export const HOUR = 3600;
export const DAY = 86_400;

/** An Ed25519 key; the same word gives the same key. */
export class CeremonyKey {
  /** As it is published, with or without the REVOKE bit. */
  readonly dnskey: Dnskey;
  readonly #word: string;
  readonly #flags: number;

  constructor(word: string, flags = 257) {
    this.#word = word;
    this.#flags = flags;
    const jwk = createPublicKey(privateKeyOf(word)).export({ format: "jwk" });
    const publicKey = new Uint8Array(Buffer.from(jwk.x ?? "", "base64url"));
    this.dnskey = new Dnskey(rdataOf("DNSKEY", { flags, protocol: 3, algorithm: 15, publicKey }));
  }

  get tag(): number {
    return this.dnskey.tag;
  }

  /** The same key with the REVOKE bit (RFC 5011 §3). */
  revoked(): CeremonyKey {
    return new CeremonyKey(this.#word, this.#flags | 0x80);
  }

  sign(octets: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, octets, privateKeyOf(this.#word)));
  }
}

export interface KeySetTimes {
  readonly ttlSeconds?: number;
  readonly inceptionSeconds?: number;
  readonly expirationSeconds?: number;
  readonly zone?: Name;
}

/** A DNSKEY set of these keys with a signature by each of the signers. */
export function keySet(
  keys: readonly Pick<CeremonyKey, "dnskey">[],
  signers: readonly CeremonyKey[],
  nowSeconds: number,
  times: KeySetTimes = {},
): SignedRRset {
  const { ttlSeconds = DAY, zone = ZONE } = times;
  const rdatas = keys.map(({ dnskey }) => dnskey.rdata);
  const signatures = signers.map((signer) => {
    const fields = {
      typeCovered: RRType.DNSKEY,
      algorithm: 15,
      labels: zone.labelCount,
      originalTtl: ttlSeconds,
      expiration: times.expirationSeconds ?? nowSeconds + 20 * DAY,
      inception: times.inceptionSeconds ?? nowSeconds - DAY,
      keyTag: signer.tag,
      signerName: zone,
    };
    const head = rdataOf("RRSIG", { ...fields, signature: new Uint8Array(0) });
    const pieces = rdatas.toSorted(Buffer.compare).flatMap((rdata) => {
      const fixed = new Uint8Array(10);
      setUint16(fixed, 0, RRType.DNSKEY);
      setUint16(fixed, 2, 1);
      setUint32(fixed, 4, ttlSeconds);
      setUint16(fixed, 8, rdata.length);
      return [zone.wire, fixed, rdata];
    });
    return rdataOf("RRSIG", { ...fields, signature: signer.sign(concatOctets([head, ...pieces])) });
  });
  return { owner: zone, type: RRType.DNSKEY, ttlSeconds, rdatas, signatures };
}

/** An anchor of the digests of keys. */
export function dsAnchor(keys: readonly CeremonyKey[], zone = ZONE): TrustAnchor {
  const ds = keys.map(({ dnskey }) => {
    const digest = createHash("sha256").update(zone.wire).update(dnskey.rdata).digest();
    return { keyTag: dnskey.tag, algorithm: 15, digestType: 2, digest: new Uint8Array(digest) };
  });
  return { zone, ds, keys: [] };
}

/** An anchor of keys. */
export function keyAnchor(keys: readonly CeremonyKey[], zone = ZONE): TrustAnchor {
  return { zone, ds: [], keys: keys.map(({ dnskey }) => dnskey) };
}

/** PKCS #8 for Ed25519 is this head and the seed (RFC 8410 §7). */
function privateKeyOf(word: string): ReturnType<typeof createPrivateKey> {
  const seed = createHash("sha256").update(`key ceremony ${word}`).digest();
  const head = Buffer.from("302e020100300506032b657004220420", "hex");
  return createPrivateKey({ key: Buffer.concat([head, seed]), format: "der", type: "pkcs8" });
}

function rdataOf(...[mnemonic, values]: Parameters<typeof encodeRdataOf>): Uint8Array {
  const rdata = encodeRdataOf(mnemonic, values);
  if (!rdata.ok) throw new RangeError(rdata.problem);
  return rdata.value;
}
