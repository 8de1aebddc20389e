/**
 * Signs single sets for tests, in every right and wrong way that a test asks for. Keys are those of the fake internet, whose
 * signer shares no code with what verifies here.
 */
import {
  canonicalRdata,
  concatOctets,
  DnssecAlgorithm,
  encodeRdataOf,
  type Name,
  parseName,
  parseRecord,
  setUint16,
  setUint32,
} from "@sotto/dns/wire";
import { type KeyPlan, type ZoneKey, zoneKey } from "../testing/fake-internet/zone-key.ts";
import { Dnskey } from "./key.ts";
import type { SignedRRset } from "./signed-rrset.ts";

export const APEX: Name = parseName("example.");
export const NOW_SECONDS = 1_900_000_000;
export const DAY_SECONDS = 86_400;
export const KEY_PLAN: KeyPlan = { algorithm: DnssecAlgorithm.ED25519, role: "csk" };

/** Fields of the signature that differ from the right ones. */
export interface SignatureParts {
  readonly typeCovered?: number;
  readonly algorithm?: number;
  readonly labels?: number;
  readonly originalTtl?: number;
  readonly expiration?: number;
  readonly inception?: number;
  readonly keyTag?: number;
  readonly signerName?: Name;
}

/** A set from the text of its records, without signatures. */
export function plainSet(...texts: readonly string[]): SignedRRset {
  const records = texts.map((text) => parseRecord(text, { ttl: 3600 }));
  const [first] = records;
  if (first === undefined) throw new RangeError("a set has records");
  const { owner, type, ttl } = first;
  return { owner, type, ttlSeconds: ttl, rdatas: records.map(({ rdata }) => rdata), signatures: [] };
}

/** The rdata of a signature over the set as `signedOwner` has it, which differs for wildcards. */
export function signatureOver(
  rrset: SignedRRset,
  key: ZoneKey,
  parts: SignatureParts = {},
  signedOwner: Name = rrset.owner,
): Uint8Array {
  const isWildcard = signedOwner.wire[0] === 1 && signedOwner.wire[1] === 0x2a;
  const fields = {
    typeCovered: rrset.type,
    algorithm: key.plan.algorithm,
    labels: signedOwner.labelCount - (isWildcard ? 1 : 0),
    originalTtl: rrset.ttlSeconds,
    expiration: NOW_SECONDS + 30 * DAY_SECONDS,
    inception: NOW_SECONDS - DAY_SECONDS,
    keyTag: key.keyTag,
    signerName: APEX,
    ...parts,
  };
  const head = rdataOf({ ...fields, signerName: fields.signerName.toLowerCase() }, new Uint8Array(0));
  const rdatas = rrset.rdatas.map((rdata) => canonicalRdata(rrset.type, rdata)).sort(Buffer.compare);
  const records = rdatas
    .filter((rdata, i) => i === 0 || Buffer.compare(rdata, rdatas[i - 1] ?? rdata) !== 0)
    .map((rdata) => {
      const fixed = new Uint8Array(10);
      setUint16(fixed, 0, rrset.type);
      setUint16(fixed, 2, 1);
      setUint32(fixed, 4, fields.originalTtl);
      setUint16(fixed, 8, rdata.length);
      return concatOctets([signedOwner.toLowerCase().wire, fixed, rdata]);
    });
  return rdataOf(fields, key.sign(concatOctets([head, ...records])));
}

function rdataOf(fields: Required<SignatureParts>, signature: Uint8Array): Uint8Array {
  const rdata = encodeRdataOf("RRSIG", { ...fields, signature });
  if (!rdata.ok) throw new RangeError(rdata.problem);
  return rdata.value;
}

/** The set with one signature more. */
export function signed(
  rrset: SignedRRset,
  key: ZoneKey = zoneKey(APEX, KEY_PLAN),
  parts: SignatureParts = {},
  signedOwner?: Name,
): SignedRRset {
  return { ...rrset, signatures: [...rrset.signatures, signatureOver(rrset, key, parts, signedOwner)] };
}

/** A key of `example.` that is like {@link KEY_PLAN} but for `parts`. */
export function testKey(parts: Partial<KeyPlan> = {}): ZoneKey & { readonly dnskey: Dnskey } {
  const key = zoneKey(APEX, { ...KEY_PLAN, ...parts });
  return { ...key, sign: (octets) => key.sign(octets), dnskey: new Dnskey(key.dnskeyRdata) };
}

/** Two keys with one tag and algorithm: one is the other with two 16-bit words of its public key exchanged. */
export function withSameTag(key: ZoneKey, nth: number): Dnskey {
  const rdata = key.dnskeyRdata.slice();
  const [a, b] = [4 + 2 * nth, 6 + 2 * nth];
  const held = rdata.slice(a, a + 2);
  rdata.copyWithin(a, b, b + 2);
  rdata.set(held, b);
  return new Dnskey(rdata);
}
