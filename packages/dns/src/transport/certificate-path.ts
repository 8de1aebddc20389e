/**
 * The path from a server's certificate up to a trust anchor that TLSA records name (RFC 7671 §5.2): OpenSSL only knows anchors
 * that are given before the handshake. As much of RFC 5280 §6.1 as such paths need; what is not understood makes a path invalid:
 * critical extensions of other kinds, name constraints. Revocation is not looked at, as with other paths.
 */
import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import type { Parsed } from "@sotto/dns/wire";
import { parsed, problem } from "@sotto/dns/wire";
import {
  type CertificateExtension,
  type CertificateParts,
  childrenOf,
  DerTag,
  readDer,
  tryReadCertificateParts,
} from "./certificate-parts.ts";

/** One certificate of the path. */
interface Step {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
  readonly parts: CertificateParts;
}

/** What may end a path. */
export interface PathAnchors {
  /** Whether an authority's certificate is an anchor. */
  isAnchor(der: Uint8Array): boolean;
  /** Anchors that servers need not send (RFC 7671 §5.2.2): certificates, DER. */
  readonly certificates: readonly Uint8Array[];
  /** Anchors of which only the key is known (RFC 7671 §5.2.3): DER of the SubjectPublicKeyInfo. */
  readonly keys: readonly Uint8Array[];
}

/** Undefined when a valid path leads from the first certificate to an anchor above it, otherwise why there is none. */
export function pathProblem(
  presented: readonly Uint8Array[],
  anchors: PathAnchors,
  wallMs: number,
): string | undefined {
  const [leafDer, ...others] = presented;
  if (leafDer === undefined) return "no certificate was presented";
  const leaf = tryReadStep(leafDer);
  if (!leaf.ok) return `the certificate ${leaf.problem}`;
  const authorities = readSteps([...others, ...anchors.certificates]);
  const keys = anchors.keys.map(readKey).filter((key) => key !== undefined);
  const leafProblem = endEntityProblem(leaf.value, wallMs);
  if (leafProblem !== undefined) return leafProblem;
  const path: Step[] = [leaf.value];
  for (let below = leaf.value; ; ) {
    if (keys.some((key) => below.certificate.verify(key))) return undefined;
    const issuer = authorities.find((step) => !path.includes(step) && isStepIssuedBy(below, step));
    if (issuer === undefined) return "the certificates do not lead to an authority that TLSA records name";
    const isAnchor = anchors.isAnchor(issuer.certificate.raw);
    const why = authorityProblem(issuer, path, wallMs) ?? (isAnchor ? undefined : signatureProblem(issuer));
    if (why !== undefined || isAnchor) return why;
    path.push(issuer);
    below = issuer;
  }
}

function tryReadStep(der: Uint8Array): Parsed<Step> {
  const parts = tryReadCertificateParts(der);
  if (!parts.ok) return parts;
  try {
    const certificate = new X509Certificate(der);
    return parsed({ certificate, key: certificate.publicKey, parts: parts.value });
  } catch {
    // OpenSSL does not take it, and tells in its own words only.
    return problem("cannot be read");
  }
}

/** Those that cannot be read can lead nowhere. */
function readSteps(ders: readonly Uint8Array[]): Step[] {
  return ders.slice(0, AUTHORITIES_MAX).flatMap((der) => {
    const step = tryReadStep(der);
    return step.ok ? [step.value] : [];
  });
}

function readKey(der: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  } catch {
    // Not a key that could have signed anything.
    return undefined;
  }
}

/** True when one certificate, DER, was issued under another: by names, key identifiers, key usage, and by signature. */
export function isIssuedBy(below: Uint8Array, above: Uint8Array): boolean {
  const [one, issuer] = [tryReadStep(below), tryReadStep(above)];
  return one.ok && issuer.ok && isStepIssuedBy(one.value, issuer.value);
}

function isStepIssuedBy(below: Step, above: Step): boolean {
  return below.certificate.checkIssued(above.certificate) && below.certificate.verify(above.key);
}

function endEntityProblem(step: Step, wallMs: number): string | undefined {
  const usages = step.parts.extensions.get(Extension.ExtendedKeyUsage);
  if (usages !== undefined && !isForServers(usages))
    return "the certificate is not for servers (extended key usage)";
  return stepProblem(step, wallMs) ?? signatureProblem(step);
}

function authorityProblem(step: Step, path: readonly Step[], wallMs: number): string | undefined {
  const { certificate, parts } = step;
  const subject = oneLine(certificate.subject);
  if (!certificate.ca) return `${subject} is no authority (basic constraints)`;
  const { extensions } = parts;
  if (extensions.has(Extension.NameConstraints))
    return `${subject} has name constraints, which are not evaluated`;
  const usages = extensions.get(Extension.ExtendedKeyUsage);
  if (usages !== undefined && !isForServers(usages))
    return `${subject} is not for servers (extended key usage)`;
  const below = path.slice(1).filter((one) => one.certificate.subject !== one.certificate.issuer).length;
  const longest = pathLengthOf(extensions.get(Extension.BasicConstraints));
  if (longest !== undefined && below > longest) return `${subject} allows no path of this length`;
  return stepProblem(step, wallMs);
}

/** Nobody's signature is needed over an anchor. */
function signatureProblem({ certificate, parts }: Step): string | undefined {
  if (SIGNATURES.has(parts.signatureAlgorithm)) return undefined;
  return `the certificate of ${oneLine(certificate.subject)} has a signature that is too weak`;
}

function stepProblem({ certificate, key, parts }: Step, wallMs: number): string | undefined {
  const subject = oneLine(certificate.subject);
  // Written so that a date which cannot be read is none within which a certificate is valid.
  if (!(wallMs <= Date.parse(certificate.validTo))) return `the certificate of ${subject} has expired`;
  if (!(wallMs >= Date.parse(certificate.validFrom))) return `the certificate of ${subject} is not yet valid`;
  for (const [id, { isCritical }] of parts.extensions)
    if (isCritical && !UNDERSTOOD.has(id))
      return `${subject} has a critical extension that is not understood`;
  const { asymmetricKeyType, asymmetricKeyDetails } = key;
  const isShort =
    asymmetricKeyType?.startsWith("rsa") === true &&
    (asymmetricKeyDetails?.modulusLength ?? 0) < RSA_BITS_MIN;
  return isShort ? `the key of ${subject} is too short` : undefined;
}

function isForServers({ value }: CertificateExtension): boolean {
  const list = readDer(value);
  const ids = list?.tag === DerTag.Sequence ? childrenOf(list.content) : undefined;
  return (ids ?? []).some(({ content }) => SERVER_USAGES.has(Buffer.from(content).toString("hex")));
}

/** RFC 5280 §4.2.1.9: undefined is any length; what cannot be read allows none. */
function pathLengthOf(extension: CertificateExtension | undefined): number | undefined {
  if (extension === undefined) return undefined;
  const list = readDer(extension.value);
  const fields = list?.tag === DerTag.Sequence ? childrenOf(list.content) : undefined;
  if (fields === undefined) return -1;
  const length = fields.find(({ tag }) => tag === DerTag.Integer);
  if (length === undefined) return undefined;
  const [octet = 0] = length.content;
  return length.content.length === 1 && octet < 0x80 ? octet : AUTHORITIES_MAX;
}

function oneLine(name: string): string {
  return name.replaceAll("\n", ", ");
}

/** RFC 5280 §4.2.1, hexadecimal digits of 2.5.29.x. */
const Extension = {
  KeyUsage: "551d0f",
  SubjectAltName: "551d11",
  BasicConstraints: "551d13",
  NameConstraints: "551d1e",
  Policies: "551d20",
  ExtendedKeyUsage: "551d25",
} as const;
/** Policies restrict nobody who asks for none. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  Extension.KeyUsage,
  Extension.SubjectAltName,
  Extension.BasicConstraints,
  Extension.Policies,
  Extension.ExtendedKeyUsage,
]);
/** serverAuth and anyExtendedKeyUsage. */
const SERVER_USAGES: ReadonlySet<string> = new Set(["2b06010505070301", "551d2500"]);
/** With SHA-2 or newer: RSA, RSASSA-PSS, ECDSA, Ed25519, Ed448. What OpenSSL takes at its default level. */
const SIGNATURES: ReadonlySet<string> = new Set([
  "2a864886f70d01010b",
  "2a864886f70d01010c",
  "2a864886f70d01010d",
  "2a864886f70d01010a",
  "2a8648ce3d040302",
  "2a8648ce3d040303",
  "2a8648ce3d040304",
  "2b6570",
  "2b6571",
]);
const RSA_BITS_MIN = 2048;
/** Presented ones, and those in records. Real paths have two to four certificates. */
const AUTHORITIES_MAX = 32;
