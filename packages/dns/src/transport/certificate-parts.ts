/**
 * What authentication needs of a certificate's DER and no API of Node tells (RFC 5280 §4.1, X.690 §8): the public key exactly
 * as it stands there, the signature's algorithm and the extensions. Nothing is judged here.
 */
import { type Parsed, parsed, problem } from "@sotto/dns/wire";

export interface CertificateParts {
  /** DER of the SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** Object identifier of the algorithm by which the issuer signed, hexadecimal digits of its DER content. */
  readonly signatureAlgorithm: string;
  /** By object identifier, hexadecimal digits of its DER content. */
  readonly extensions: ReadonlyMap<string, CertificateExtension>;
}

export interface CertificateExtension {
  readonly isCritical: boolean;
  readonly value: Uint8Array;
}

/** One element of DER and what lies behind it. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Head and content. */
  readonly whole: Uint8Array;
  readonly rest: Uint8Array;
}

export const DerTag = {
  Boolean: 0x01,
  Integer: 0x02,
  BitString: 0x03,
  OctetString: 0x04,
  ObjectIdentifier: 0x06,
  Sequence: 0x30,
} as const;
const VERSION_TAG = 0xa0;
const EXTENSIONS_TAG = 0xa3;

/** Reads a whole certificate. */
export function tryReadCertificateParts(der: Uint8Array): Parsed<CertificateParts> {
  const certificate = readDer(der);
  if (certificate?.tag !== DerTag.Sequence || certificate.rest.length > 0)
    return problem("is not one certificate in DER");
  const toBeSigned = readDer(certificate.content);
  if (toBeSigned?.tag !== DerTag.Sequence) return problem("has no certificate in it");
  let fields = childrenOf(toBeSigned.content);
  if (fields?.[0]?.tag === VERSION_TAG) fields = fields.slice(1);
  const [, algorithm, , , , spki, ...more] = fields ?? [];
  if (algorithm?.tag !== DerTag.Sequence || spki?.tag !== DerTag.Sequence)
    return problem("has no public key where a certificate has it");
  const signatureAlgorithm = readDer(algorithm.content);
  if (signatureAlgorithm?.tag !== DerTag.ObjectIdentifier) return problem("has no signature algorithm");
  const extensions = readExtensions(more.find(({ tag }) => tag === EXTENSIONS_TAG)?.content);
  if (extensions === undefined) return problem("has malformed extensions");
  return parsed({ spki: spki.whole, signatureAlgorithm: hex(signatureAlgorithm.content), extensions });
}

function readExtensions(content: Uint8Array | undefined): Map<string, CertificateExtension> | undefined {
  const found = new Map<string, CertificateExtension>();
  if (content === undefined) return found;
  const list = readDer(content);
  const entries = list?.tag === DerTag.Sequence ? childrenOf(list.content) : undefined;
  if (entries === undefined) return undefined;
  for (const entry of entries) {
    const parts = entry.tag === DerTag.Sequence ? childrenOf(entry.content) : undefined;
    const [id, critical] = parts ?? [];
    const value = parts?.at(-1);
    if (id?.tag !== DerTag.ObjectIdentifier || value?.tag !== DerTag.OctetString) return undefined;
    const key = hex(id.content);
    // RFC 5280 §4.2: not twice.
    if (found.has(key)) return undefined;
    const isCritical = critical?.tag === DerTag.Boolean && critical.content[0] !== 0;
    found.set(key, { isCritical, value: value.content });
  }
  return found;
}

/** The elements of a constructed one; undefined when they do not fill it, or are too many. */
export function childrenOf(content: Uint8Array): DerElement[] | undefined {
  const children: DerElement[] = [];
  for (let rest = content; rest.length > 0; ) {
    const child = readDer(rest);
    if (child === undefined || children.length >= CHILDREN_MAX) return undefined;
    children.push(child);
    rest = child.rest;
  }
  return children;
}

/** Reads one element; undefined when it is cut off or not DER as certificates have it. */
export function readDer(octets: Uint8Array): DerElement | undefined {
  const [tag, first] = octets;
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return undefined;
  let length = first;
  let start = 2;
  if (first >= 0x80) {
    // Three octets are 16 MiB, more than a handshake message may be long.
    const count = first & 0x7f;
    if (count === 0 || count > 3 || octets.length < 2 + count) return undefined;
    length = octets.subarray(2, 2 + count).reduce((sum, octet) => sum * 256 + octet, 0);
    start += count;
  }
  const end = start + length;
  if (end > octets.length) return undefined;
  return {
    tag,
    content: octets.subarray(start, end),
    whole: octets.subarray(0, end),
    rest: octets.subarray(end),
  };
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

/** Certificates have about ten fields and ten extensions. */
const CHILDREN_MAX = 64;
