/**
 * Every record type we know, each as a list of fields in wire order. All of checking, decoding, encoding, text and
 * canonical form comes from this table; types that are not here are octets (RFC 3597).
 */
import { dnssecAlgorithmFromText, dnssecAlgorithmToText } from "../iana/dnssec-algorithm.ts";
import { rrTypeFromText, rrTypeToText } from "../iana/rr-type.ts";
import { addressPrefixes } from "./address-prefixes.ts";
import {
  characterString,
  characterStrings,
  optionalString,
  propertyTag,
  textRest,
} from "./character-strings.ts";
import { type Field, mnemonic, name, nameAsIs, named, uint8, uint16, uint32, uint48 } from "./field.ts";
import { amtRelay, hostIdentity, ipsecGateway } from "./gateway.ts";
import { location } from "./location.ts";
import {
  base64Rest,
  base64Some,
  countedBase32hex,
  countedHex,
  eui48,
  eui64,
  hexSome,
  ipv4,
  ipv6,
  locator64,
  nsapAddress,
  zoneDigest,
} from "./octet-fields.ts";
import { svcParams } from "./svc-params.ts";
import { period, timestamp } from "./time-fields.ts";
import { countedBase64, transactionError } from "./transaction.ts";
import { typeBitmap } from "./type-bitmap.ts";
import { wellKnownServices } from "./well-known-services.ts";

/** DNSSEC algorithms: names are understood, numbers printed, as dig and kdig do. */
const algorithm = mnemonic(uint8, dnssecAlgorithmFromText);
/** RFC 4398 §2.1. */
const certificateType = named(uint16, {
  ...{ PKIX: 1, SPKI: 2, PGP: 3, IPKIX: 4, ISPKI: 5, IPGP: 6, ACPKIX: 7, IACPKIX: 8 },
  ...{ URI: 253, OID: 254 },
});
/** In CERT dig prints the name (RFC 4398 §2.2). */
const certificateAlgorithm = mnemonic(uint8, dnssecAlgorithmFromText, dnssecAlgorithmToText);
/** A type covered by a signature or a notification, by mnemonic; `TYPEn` for others. */
const coveredType: Field<number> = {
  ...uint16,
  toText: rrTypeToText,
  parse(tokens, what) {
    const { text } = tokens.next(what);
    const type = rrTypeFromText(text);
    if (type === undefined) tokens.fail(`${what} ${JSON.stringify(text)} is not a record type`);
    return type ?? 0;
  },
};

const preferenceAndName = { preference: uint16, host: name } as const;
/** Without a key when the flags say so (RFC 2535 §3.1.2). */
const key = { flags: uint16, protocol: uint8, algorithm, publicKey: base64Rest } as const;
const dnssecKey = { flags: uint16, protocol: uint8, algorithm, publicKey: base64Some } as const;
const digest = { keyTag: uint16, algorithm, digestType: uint8, digest: hexSome } as const;
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
const association = { usage: uint8, selector: uint8, matchingType: uint8, data: hexSome } as const;
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
    refresh: period,
    retry: period,
    expire: period,
    minimum: period,
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
  NSAP: { address: nsapAddress },
  "NSAP-PTR": { host: nameAsIs },
  SIG: signature,
  KEY: key,
  PX: { preference: uint16, map822: name, mapX400: name },
  GPOS: { longitude: characterString, latitude: characterString, altitude: characterString },
  AAAA: { address: ipv6 },
  LOC: { location },
  EID: { data: hexSome },
  NIMLOC: { data: hexSome },
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
  CERT: { type: certificateType, keyTag: uint16, algorithm: certificateAlgorithm, certificate: base64Some },
  DNAME: { target: name },
  APL: { prefixes: addressPrefixes },
  DS: digest,
  SSHFP: { algorithm: uint8, fingerprintType: uint8, fingerprint: hexSome },
  IPSECKEY: { precedence: uint8, gateway: ipsecGateway, publicKey: base64Rest },
  RRSIG: signature,
  NSEC: { next: nameAsIs, types: typeBitmap },
  DNSKEY: dnssecKey,
  DHCID: { data: base64Some },
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
  CDNSKEY: dnssecKey,
  OPENPGPKEY: { data: base64Some },
  CSYNC: { serial: uint32, flags: uint16, types: typeBitmap },
  ZONEMD: { serial: uint32, scheme: uint8, hashAlgorithm: uint8, digest: zoneDigest },
  SVCB: serviceBinding,
  HTTPS: serviceBinding,
  DSYNC: { type: coveredType, scheme: named(uint8, { NOTIFY: 1 }), port: uint16, target: nameAsIs },
  HHIT: { data: base64Some },
  BRID: { data: base64Some },
  SPF: texts,
  NID: { preference: uint16, nodeId: locator64 },
  L32: { preference: uint16, locator: ipv4 },
  L64: { preference: uint16, locator: locator64 },
  LP: { preference: uint16, host: nameAsIs },
  EUI48: { address: eui48 },
  EUI64: { address: eui64 },
  TKEY: {
    algorithm: nameAsIs,
    inception: uint32,
    expiration: uint32,
    mode: uint16,
    error: transactionError,
    key: countedBase64,
    other: countedBase64,
  },
  TSIG: {
    algorithm: nameAsIs,
    timeSigned: uint48,
    fudge: uint16,
    mac: countedBase64,
    originalId: uint16,
    error: transactionError,
    other: countedBase64,
  },
  URI: { priority: uint16, weight: uint16, target: textRest },
  CAA: { flags: uint8, tag: propertyTag, value: textRest },
  AVC: texts,
  AMTRELAY: { precedence: uint8, relay: amtRelay },
  RESINFO: texts,
  WALLET: texts,
  CLA: texts,
  TA: digest,
  DLV: digest,
} as const;

/** The mnemonic of a type whose rdata has fields. */
export type RdataMnemonic = keyof typeof RDATA_TYPES;

/** The typed fields of a type, such as `RdataOf<"MX">`. */
export type RdataOf<M extends RdataMnemonic> = {
  readonly [K in keyof (typeof RDATA_TYPES)[M]]: (typeof RDATA_TYPES)[M][K] extends Field<infer T>
    ? T
    : never;
};
