/**
 * Every record type we know, each as a list of fields in wire order. All of checking, decoding, encoding, text and
 * canonical form comes from this table; types that are not here are octets (RFC 3597).
 */
import { RRType, rrTypeFromText, rrTypeToText } from "../iana/rr-type.ts";
import { addressPrefixes } from "./address-prefixes.ts";
import {
  base64Rest,
  characterString,
  characterStrings,
  countedBase32hex,
  countedHex,
  eui48,
  eui64,
  type Field,
  hexRest,
  ipv4,
  ipv6,
  locator64,
  mnemonic,
  name,
  nameAsIs,
  optionalString,
  textRest,
  timestamp,
  uint8,
  uint16,
  uint32,
  uint48,
} from "./field.ts";
import { amtRelay, hostIdentity, ipsecGateway } from "./gateway.ts";
import { location } from "./location.ts";
import { svcParams } from "./svc-params.ts";
import { countedBase64 } from "./transaction.ts";
import { typeBitmap } from "./type-bitmap.ts";
import { wellKnownServices } from "./well-known-services.ts";

/** DNSSEC algorithms by mnemonic (IANA "DNS Security Algorithm Numbers"): understood, not printed. */
const ALGORITHMS = {
  RSAMD5: 1,
  DH: 2,
  DSA: 3,
  RSASHA1: 5,
  "DSA-NSEC3-SHA1": 6,
  "RSASHA1-NSEC3-SHA1": 7,
  RSASHA256: 8,
  RSASHA512: 10,
  "ECC-GOST": 12,
  ECDSAP256SHA256: 13,
  ECDSAP384SHA384: 14,
  ED25519: 15,
  ED448: 16,
  INDIRECT: 252,
  PRIVATEDNS: 253,
  PRIVATEOID: 254,
} as const;
const algorithm = mnemonic(uint8, ALGORITHMS, false);
/** RFC 4398 §2.1. */
const certificateType = mnemonic(
  uint16,
  { PKIX: 1, SPKI: 2, PGP: 3, IPKIX: 4, ISPKI: 5, IPGP: 6, ACPKIX: 7, IACPKIX: 8, URI: 253, OID: 254 },
  true,
);
/** A type covered by a signature or a notification, by mnemonic; `TYPEn` for others. */
const coveredType: Field<number> = {
  ...mnemonic(uint16, RRType, true),
  toText: (value) => rrTypeToText(value),
  parse(tokens, what) {
    const { text } = tokens.next(what);
    const type = rrTypeFromText(text);
    if (type === undefined) tokens.fail(`${what} ${JSON.stringify(text)} is not a record type`);
    return type ?? 0;
  },
};

const preferenceAndName = { preference: uint16, host: name } as const;
const key = { flags: uint16, protocol: uint8, algorithm, publicKey: base64Rest } as const;
const digest = { keyTag: uint16, algorithm, digestType: uint8, digest: hexRest } as const;
const signature = {
  typeCovered: coveredType,
  algorithm,
  labels: uint8,
  originalTtl: uint32,
  expiration: timestamp,
  inception: timestamp,
  keyTag: uint16,
  signerName: name,
  signature: base64Rest,
} as const;
const association = { usage: uint8, selector: uint8, matchingType: uint8, data: hexRest } as const;
const oneName = { host: name } as const;
const texts = { strings: characterStrings } as const;
const serviceBinding = { priority: uint16, target: nameAsIs, params: svcParams } as const;

/** Fields by mnemonic. */
export const RDATA_TYPES = {
  A: { address: ipv4 },
  NS: oneName,
  MD: oneName,
  MF: oneName,
  CNAME: oneName,
  SOA: {
    primary: name,
    mailbox: name,
    serial: uint32,
    refresh: uint32,
    retry: uint32,
    expire: uint32,
    minimum: uint32,
  },
  MB: oneName,
  MG: oneName,
  MR: oneName,
  WKS: { address: ipv4, services: wellKnownServices },
  PTR: oneName,
  HINFO: { cpu: characterString, os: characterString },
  MINFO: { responsible: name, errors: name },
  MX: { preference: uint16, exchange: name },
  TXT: texts,
  RP: { mailbox: name, text: name },
  AFSDB: { subtype: uint16, host: name },
  X25: { address: characterString },
  ISDN: { address: characterString, subaddress: optionalString },
  RT: preferenceAndName,
  SIG: signature,
  KEY: key,
  PX: { preference: uint16, map822: name, mapX400: name },
  GPOS: { longitude: characterString, latitude: characterString, altitude: characterString },
  AAAA: { address: ipv6 },
  LOC: { location },
  SRV: { priority: uint16, weight: uint16, port: uint16, target: name },
  NAPTR: {
    order: uint16,
    preference: uint16,
    flags: characterString,
    service: characterString,
    regexp: characterString,
    replacement: name,
  },
  KX: preferenceAndName,
  CERT: { type: certificateType, keyTag: uint16, algorithm, certificate: base64Rest },
  DNAME: { target: name },
  APL: { prefixes: addressPrefixes },
  DS: digest,
  SSHFP: { algorithm: uint8, fingerprintType: uint8, fingerprint: hexRest },
  IPSECKEY: { precedence: uint8, gateway: ipsecGateway, publicKey: base64Rest },
  RRSIG: signature,
  NSEC: { next: nameAsIs, types: typeBitmap },
  DNSKEY: key,
  DHCID: { data: base64Rest },
  NSEC3: {
    hashAlgorithm: uint8,
    flags: uint8,
    iterations: uint16,
    salt: countedHex,
    nextHash: countedBase32hex,
    types: typeBitmap,
  },
  NSEC3PARAM: { hashAlgorithm: uint8, flags: uint8, iterations: uint16, salt: countedHex },
  TLSA: association,
  SMIMEA: association,
  HIP: { identity: hostIdentity },
  NINFO: texts,
  RKEY: key,
  TALINK: { previous: nameAsIs, next: nameAsIs },
  CDS: digest,
  CDNSKEY: key,
  OPENPGPKEY: { data: base64Rest },
  CSYNC: { serial: uint32, flags: uint16, types: typeBitmap },
  ZONEMD: { serial: uint32, scheme: uint8, hashAlgorithm: uint8, digest: hexRest },
  SVCB: serviceBinding,
  HTTPS: serviceBinding,
  DSYNC: { type: coveredType, scheme: mnemonic(uint8, { NOTIFY: 1 }, true), port: uint16, target: nameAsIs },
  HHIT: { data: base64Rest },
  BRID: { data: base64Rest },
  SPF: texts,
  NID: { preference: uint16, nodeId: locator64 },
  L32: { preference: uint16, locator: ipv4 },
  L64: { preference: uint16, locator: locator64 },
  LP: { preference: uint16, host: nameAsIs },
  EUI48: { address: eui48 },
  EUI64: { address: eui64 },
  TKEY: {
    algorithm: nameAsIs,
    inception: timestamp,
    expiration: timestamp,
    mode: uint16,
    error: uint16,
    key: countedBase64,
    other: countedBase64,
  },
  TSIG: {
    algorithm: nameAsIs,
    timeSigned: uint48,
    fudge: uint16,
    mac: countedBase64,
    originalId: uint16,
    error: uint16,
    other: countedBase64,
  },
  URI: { priority: uint16, weight: uint16, target: textRest },
  CAA: { flags: uint8, tag: characterTag(), value: textRest },
  AVC: texts,
  AMTRELAY: { precedence: uint8, relay: amtRelay },
  RESINFO: texts,
  WALLET: texts,
  CLA: texts,
  TA: digest,
  DLV: digest,
} as const;

/** A character-string that is printed without quotes: CAA's tag (RFC 8659 §4.1: letters and digits). */
function characterTag(): Field<Uint8Array> {
  return {
    ...characterString,
    read(reader) {
      const tag = characterString.read(reader);
      if (reader.problem === undefined && !isTag(tag)) reader.fail("CAA tag is not letters and digits");
      return tag;
    },
    skip: (reader) => void characterTag().read(reader),
    toText: (value) => String.fromCharCode(...value),
    parse(tokens, what) {
      const tag = characterString.parse(tokens, what);
      if (tokens.problem === undefined && !isTag(tag)) tokens.fail(`${what} is not letters and digits`);
      return tag;
    },
  };
}

function isTag(tag: Uint8Array): boolean {
  return tag.length > 0 && tag.every((octet) => /[A-Za-z0-9-]/.test(String.fromCharCode(octet)));
}

/** The mnemonic of a type whose rdata has fields. */
export type RdataMnemonic = keyof typeof RDATA_TYPES;

/** The typed fields of a type, such as `RdataOf<"MX">`. */
export type RdataOf<M extends RdataMnemonic> = {
  readonly [K in keyof (typeof RDATA_TYPES)[M]]: (typeof RDATA_TYPES)[M][K] extends Field<infer T>
    ? T
    : never;
};
