/**
 * Certificates of our own making: for a TLS listener without one, and for the authority of the playground. ECDSA
 * P-256, because its handshakes are the cheapest that every client understands.
 */
import { createHash, createPrivateKey, webcrypto, X509Certificate } from "node:crypto";
import type * as Library from "@peculiar/x509";
import { tryParseAddress } from "@sotto/dns/wire";

/** PEM of a certificate chain (leaf first) and its key. */
export interface CertificatePair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** An authority that signs certificates. */
export interface CertificateAuthority {
  readonly certificatePem: string;
  /** A certificate for DNS names and IP addresses, for servers unless said otherwise. */
  issue(subjects: readonly string[], wallMs: number, usage?: "server" | "client"): Promise<CertificatePair>;
}

const DAY_MS = 86_400_000;
/** Long enough for a server that is restarted now and then; a certificate that must last is made by an authority. */
const SELF_MADE_DAYS = 90;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
/** Clocks of clients are not exact. */
const BACKDATE_MS = 3_600_000;

/** A self-signed certificate for names and addresses; clients can only trust it by its pin. */
export async function makeSelfSigned(subjects: readonly string[], wallMs: number): Promise<CertificatePair> {
  const x509 = await loadLibrary();
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: "CN=sotto self-made",
    notBefore: new Date(wallMs - BACKDATE_MS),
    notAfter: new Date(wallMs + SELF_MADE_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: leafExtensions(x509, subjects, "server"),
  });
  return { certificatePem: `${certificate.toString("pem")}\n`, keyPem: await exportKey(keys.privateKey) };
}

/** A new authority, valid for ten years; its key never leaves the process. */
export async function makeAuthority(commonName: string, wallMs: number): Promise<CertificateAuthority> {
  const x509 = await loadLibrary();
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${commonName}`,
    notBefore: new Date(wallMs - BACKDATE_MS),
    notAfter: new Date(wallMs + 3650 * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificatePem: `${root.toString("pem")}\n`,
    async issue(subjects, issueWallMs, usage = "server") {
      const leafKeys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
      const leaf = await x509.X509CertificateGenerator.create({
        serialNumber: serialNumber(),
        subject: `CN=${subjects[0] ?? "server"}`,
        issuer: root.subject,
        notBefore: new Date(issueWallMs - BACKDATE_MS),
        notAfter: new Date(issueWallMs + SELF_MADE_DAYS * DAY_MS),
        signingAlgorithm: ALGORITHM,
        publicKey: leafKeys.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          ...leafExtensions(x509, subjects, usage),
          await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ],
      });
      return {
        certificatePem: `${leaf.toString("pem")}\n${root.toString("pem")}\n`,
        keyPem: await exportKey(leafKeys.privateKey),
      };
    },
  };
}

/** What people want to know of a certificate. */
export interface CertificateSummary {
  /** Names and addresses it is for. */
  readonly names: string;
  /** Base64 of SHA-256 over the SubjectPublicKeyInfo (RFC 7858 §4.2). */
  readonly pin: string;
  readonly notAfterMs: number;
}

/** Throws an Error in words when it is no certificate, no key, or the two are not a pair. */
export function summarizeCertificate(pair: CertificatePair): CertificateSummary {
  const certificate = read("no certificate in PEM form", () => new X509Certificate(pair.certificatePem));
  const key = read("its key file holds no private key in PEM form", () => createPrivateKey(pair.keyPem));
  if (!certificate.checkPrivateKey(key)) throw new Error("certificate and key do not belong together");
  return {
    names: namesOf(certificate) ?? certificate.subject,
    pin: spkiPin(pair.certificatePem),
    notAfterMs: Date.parse(certificate.validTo),
  };
}

/** Undefined when there are none that can be read, for which Node 24.22 throws. */
function namesOf(certificate: X509Certificate): string | undefined {
  try {
    return certificate.subjectAltName;
  } catch {
    return undefined;
  }
}

function read<T>(problem: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new Error(problem, { cause });
  }
}

/** The SPKI pin of the first certificate of a PEM chain: base64 of SHA-256 (RFC 7858 §4.2). */
export function spkiPin(certificatePem: string): string {
  const spki = new X509Certificate(certificatePem).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest("base64");
}

function leafExtensions(
  x509: typeof Library,
  subjects: readonly string[],
  usage: "server" | "client",
): Library.Extension[] {
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([
      usage === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
    ]),
    new x509.SubjectAlternativeNameExtension(
      subjects.map((subject) => ({
        type: tryParseAddress(subject).ok ? ("ip" as const) : ("dns" as const),
        value: subject,
      })),
    ),
  ];
}

function serialNumber(): string {
  const octets = webcrypto.getRandomValues(new Uint8Array(16));
  // RFC 5280 §4.1.2.2: a positive number.
  octets[0] = ((octets[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(octets).toString("hex");
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
}

/** Loaded only when a certificate is made: it costs a tenth of a second. */
async function loadLibrary(): Promise<typeof Library> {
  // The library's dependency injection needs this global registry before it is loaded.
  await import("reflect-metadata");
  return await import("@peculiar/x509");
}
