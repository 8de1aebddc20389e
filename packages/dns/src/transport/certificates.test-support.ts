/** Real certificates of every kind that a path can have, and TLSA records for them. */
import { createHash, webcrypto, X509Certificate } from "node:crypto";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type { ChannelSecurity, PresentedCertificate } from "@sotto/dns/runtime";
import { subjectAltNamesOf } from "../runtime/node/node-certificate.ts";

export { x509 };
export const NOW_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

export interface TestCertificate {
  readonly der: Uint8Array;
  readonly subject: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

export interface CertificatePlan {
  readonly subject: string;
  /** Undefined: signs itself. */
  readonly issuer?: TestCertificate;
  readonly isAuthority?: boolean;
  readonly pathLength?: number;
  readonly names?: readonly string[];
  readonly days?: readonly [from: number, to: number];
  readonly extensions?: readonly x509.Extension[];
  readonly algorithm?: { readonly hash: string };
  readonly keys?: webcrypto.CryptoKeyPair;
}

export async function makeCertificate(plan: CertificatePlan): Promise<TestCertificate> {
  const keys = plan.keys ?? (await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]));
  const [from, to] = plan.days ?? [-1, 90];
  const isAuthority = plan.isAuthority === true;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: "01",
    subject: `CN=${plan.subject}`,
    issuer: `CN=${plan.issuer?.subject ?? plan.subject}`,
    notBefore: new Date(NOW_MS + from * DAY_MS),
    notAfter: new Date(NOW_MS + to * DAY_MS),
    signingAlgorithm: { ...ALGORITHM, ...plan.algorithm },
    publicKey: keys.publicKey,
    signingKey: (plan.issuer?.keys ?? keys).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(isAuthority, plan.pathLength, true),
      ...(plan.names === undefined
        ? []
        : [
            new x509.SubjectAlternativeNameExtension(
              plan.names.map((value) => ({ type: "dns" as const, value })),
            ),
          ]),
      ...(plan.extensions ?? []),
    ],
  });
  return { der: new Uint8Array(certificate.rawData), subject: plan.subject, keys };
}

/** What a handshake tells of these certificates, leaf first. */
export function presenting(
  certificates: readonly TestCertificate[],
  parts: Partial<ChannelSecurity> = {},
): ChannelSecurity {
  return {
    protocol: "TLSv1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
    group: undefined,
    alpn: "dot",
    resumed: false,
    serverName: undefined,
    peerChain: certificates.map(presented),
    chainProblem: "unable to verify the first certificate",
    ...parts,
  };
}

export function presented({ der }: TestCertificate): PresentedCertificate {
  const certificate = new X509Certificate(der);
  return {
    der,
    spkiSha256: createHash("sha256").update(spkiOf(der)).digest("base64"),
    subject: certificate.subject,
    issuer: certificate.issuer,
    subjectAltNames: subjectAltNamesOf(certificate),
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
  };
}

/** Rdata of a TLSA record for a certificate, made without the code under test. */
export function tlsaRdata(parameters: string, { der }: { readonly der: Uint8Array }): Uint8Array {
  const [usage = 0, selector = 0, matchingType = 0] = parameters.split(" ").map(Number);
  const selected = selector === 1 ? spkiOf(der) : Buffer.from(der);
  const digest = ["", "sha256", "sha512"][matchingType] ?? "";
  const data = digest === "" ? selected : createHash(digest).update(selected).digest();
  return Uint8Array.of(usage, selector, matchingType, ...data);
}

function spkiOf(der: Uint8Array): Buffer {
  return new X509Certificate(der).publicKey.export({ type: "spki", format: "der" });
}
