/**
 * Certificates of the simulated TLS: a description of what a certificate says, in PEM armour so that it travels where
 * real ones do. No cryptography is involved; who is trusted is decided by comparing issuer names.
 */
import type { PresentedCertificate } from "@sotto/dns/runtime";

/** What a simulated certificate says. */
export interface FakeIdentity {
  /** As `DNS:name` and `IP:address`. */
  readonly subjectAltNames: readonly string[];
  /** Name of the authority that signed it. Default {@link FAKE_SYSTEM_ANCHOR}, which everybody trusts. */
  readonly issuer?: string;
  readonly subject?: string;
  /** Stands for the key: the same text gives the same SPKI pin. Default: the first alternative name. */
  readonly key?: string;
  /** Wall milliseconds. Default: always. */
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
}

/** The authority that clients of the simulation trust when they name no anchors. */
export const FAKE_SYSTEM_ANCHOR = "simulated root";

/** PEM text of a simulated certificate, for `TlsServerOptions.certificatePem`. */
export function fakeCertificatePem(identity: FakeIdentity): string {
  return `${CERTIFICATE_HEAD}\n${JSON.stringify(identity)}\n-----END FAKE CERTIFICATE-----\n`;
}

/** PEM text of a simulated trust anchor, for `TlsClientOptions.trustAnchorsPem`. */
export function fakeAnchorPem(issuer: string): string {
  return `${ANCHOR_HEAD}\n${issuer}\n-----END FAKE ANCHOR-----\n`;
}

/** The SPKI pin of a simulated certificate, base64 of 32 octets. */
export function fakePin(identity: FakeIdentity): string {
  return toBase64(digest(keyText(identity)));
}

/** What a client sees of the certificate; a RangeError for anything that {@link fakeCertificatePem} did not make. */
export function presentFakeCertificate(certificatePem: string): PresentedCertificate {
  const identity = readIdentity(certificatePem);
  return {
    der: new TextEncoder().encode(certificatePem),
    spkiSha256: fakePin(identity),
    subject: identity.subject ?? `CN=${identity.subjectAltNames[0] ?? ""}`,
    issuer: identity.issuer ?? FAKE_SYSTEM_ANCHOR,
    subjectAltNames: identity.subjectAltNames,
    notBeforeMs: identity.notBeforeMs ?? 0,
    notAfterMs: identity.notAfterMs ?? Number.MAX_SAFE_INTEGER,
  };
}

/** Why a path from the certificate to an anchor is not valid; undefined when it is. */
export function fakeChainProblem(
  certificate: PresentedCertificate,
  trustAnchorsPem: readonly string[] | undefined,
  wallMs: number,
): string | undefined {
  if (wallMs > certificate.notAfterMs) return "certificate has expired";
  if (wallMs < certificate.notBeforeMs) return "certificate is not yet valid";
  const anchors = trustAnchorsPem?.map(readAnchor) ?? [FAKE_SYSTEM_ANCHOR];
  return anchors.includes(certificate.issuer) ? undefined : "unable to get local issuer certificate";
}

function readIdentity(certificatePem: string): FakeIdentity {
  const [head, json = ""] = certificatePem.split("\n");
  if (head !== CERTIFICATE_HEAD)
    throw new RangeError("the simulation only takes certificates made by fakeCertificatePem");
  // Written by fakeCertificatePem from a value of this type.
  return JSON.parse(json) as FakeIdentity;
}

function readAnchor(pem: string): string {
  const [head, issuer = ""] = pem.split("\n");
  return head === ANCHOR_HEAD ? issuer : "";
}

function keyText(identity: FakeIdentity): string {
  return identity.key ?? identity.subjectAltNames[0] ?? "";
}

/** 32 octets that differ for different texts (FNV-1a, stretched); nothing here needs to be hard to forge. */
function digest(text: string): Uint8Array {
  const octets = new Uint8Array(32);
  let hash = 0x811c_9dc5;
  for (let i = 0; i < octets.length; i++) {
    for (const character of `${i}${text}`)
      hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x0100_0193);
    octets[i] = hash >>> 24;
  }
  return octets;
}

function toBase64(octets: Uint8Array): string {
  return Buffer.from(octets).toString("base64");
}

const CERTIFICATE_HEAD = "-----BEGIN FAKE CERTIFICATE-----";
const ANCHOR_HEAD = "-----BEGIN FAKE ANCHOR-----";
