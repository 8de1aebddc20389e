/** The peer's chain as Node presents it, read once: later calls lose parts of it. */
import { createHash, X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { PresentedCertificate } from "../network.ts";

/** Certificates looked at; real chains have two to four. */
export const CHAIN_CERTIFICATES_MAX = 10;

/**
 * Leaf first; empty when the peer presented none or the session was resumed. Ends before a certificate whose key cannot be
 * read: whoever presents it says what stands there, and what is behind it leads nowhere.
 */
export function readPeerChain(socket: TLSSocket): PresentedCertificate[] {
  const chain: PresentedCertificate[] = [];
  let certificate = socket.getPeerX509Certificate();
  while (certificate !== undefined && chain.length < CHAIN_CERTIFICATES_MAX) {
    const described = tryDescribe(certificate);
    if (described === undefined) break;
    chain.push(described);
    const issuer: X509Certificate | undefined = certificate.issuerCertificate;
    if (issuer === undefined || issuer.fingerprint256 === certificate.fingerprint256) break;
    certificate = issuer;
  }
  return chain;
}

/** The anchor above what the peer presented, which Node appends to the chain in its older form only. */
export function readTrustAnchor(
  socket: TLSSocket,
  presented: readonly PresentedCertificate[],
): PresentedCertificate | undefined {
  let { raw, issuerCertificate: issuer } = socket.getPeerCertificate(true);
  for (let i = 0; issuer !== undefined && !issuer.raw.equals(raw) && i < CHAIN_CERTIFICATES_MAX; i++)
    ({ raw, issuerCertificate: issuer } = issuer);
  return presented.some(({ der }) => raw.equals(der)) ? undefined : tryDescribe(new X509Certificate(raw));
}

/** Undefined when its key cannot be read. */
export function tryDescribe(certificate: X509Certificate): PresentedCertificate | undefined {
  const spki = tryReadSpki(certificate);
  if (spki === undefined) return undefined;
  return {
    der: new Uint8Array(certificate.raw),
    spkiSha256: createHash("sha256").update(spki).digest("base64"),
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    subjectAltNames: subjectAltNamesOf(certificate),
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
  };
}

function tryReadSpki(certificate: X509Certificate): Buffer | undefined {
  try {
    return certificate.publicKey.export({ type: "spki", format: "der" });
  } catch {
    // Of a kind that OpenSSL does not know, or no key at all.
    return undefined;
  }
}

function oneLine(name: string): string {
  return name.replaceAll("\n", ", ");
}

/**
 * DNS-IDs and IP-IDs. Node quotes entries that hold a comma or a quote as JSON; such a name matches nothing, and is
 * dropped rather than split into names that the certificate does not have.
 */
export function subjectAltNamesOf(certificate: Pick<X509Certificate, "subjectAltName">): string[] {
  let text: string | undefined;
  try {
    text = certificate.subjectAltName;
  } catch {
    // Node 22.23 and 24.22 throw for an extension without names or with none that can be read; others say undefined.
  }
  if (text === undefined) return [];
  const names: string[] = [];
  for (const entry of text.split(/, (?=[A-Za-z ]+:)/)) {
    if (/^DNS:[^",]+$/.test(entry)) names.push(entry);
    else if (/^IP Address:[^",]+$/.test(entry)) names.push(`IP:${entry.slice("IP Address:".length)}`);
  }
  return names;
}
