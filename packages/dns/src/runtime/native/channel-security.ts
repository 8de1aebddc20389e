/** What TLS has established on a connection, in the words that the portable engine has for it. */
import { X509Certificate } from "node:crypto";
import type { ChannelSecurity, PresentedCertificate } from "../network.ts";
import { CHAIN_CERTIFICATES_MAX, tryDescribe } from "../node/node-certificate.ts";
import type { TlsSession } from "./unsafe/tls-session.ts";

/** Throws when the client's certificate cannot be read. */
export function channelSecurity(session: TlsSession, asksCertificate: boolean): ChannelSecurity {
  const { protocol, isResumed: resumed } = session;
  const presented = asksCertificate ? session.peerCertificates(PRESENTED_MAX) : [];
  return {
    protocol,
    cipher: session.cipher,
    // Node does not tell it to servers either.
    group: undefined,
    alpn: session.alpn,
    resumed,
    serverName: session.serverName,
    peerChain: chainOf(presented),
    chainProblem: asksCertificate
      ? chainProblem(session.verifyResult, presented.length > 0)
      : "no client certificate",
  };
}

/** Leaf first, then whoever issued the one before; ends as `readPeerChain` does. */
function chainOf(presented: readonly Uint8Array[]): PresentedCertificate[] {
  const [leaf, ...others] = presented.map((der) => new X509Certificate(der));
  const chain: PresentedCertificate[] = [];
  for (let at = leaf; at !== undefined && chain.length < CHAIN_CERTIFICATES_MAX; ) {
    const described = tryDescribe(at);
    if (described === undefined) break;
    chain.push(described);
    const subject: X509Certificate = at;
    const index = others.findIndex((one) => subject.checkIssued(one));
    at = index < 0 ? undefined : others.splice(index, 1)[0];
    // Its own issuer: nothing follows.
    if (at?.fingerprint256 === subject.fingerprint256) break;
  }
  return chain;
}

/** Node's word for a result of X509_verify_cert(3). */
function chainProblem(result: number, hasCertificate: boolean): string | undefined {
  if (!hasCertificate) return "UNABLE_TO_GET_ISSUER_CERT";
  return result === 0 ? undefined : (VERIFY_PROBLEMS[result] ?? "UNSPECIFIED");
}

/** Certificates looked at when a client presents more than it needs. */
const PRESENTED_MAX = 2 * CHAIN_CERTIFICATES_MAX;

/** X509_V_ERR_… by number. */
const VERIFY_PROBLEMS: Readonly<Record<number, string>> = {
  2: "UNABLE_TO_GET_ISSUER_CERT",
  3: "UNABLE_TO_GET_CRL",
  4: "UNABLE_TO_DECRYPT_CERT_SIGNATURE",
  5: "UNABLE_TO_DECRYPT_CRL_SIGNATURE",
  6: "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY",
  7: "CERT_SIGNATURE_FAILURE",
  8: "CRL_SIGNATURE_FAILURE",
  9: "CERT_NOT_YET_VALID",
  10: "CERT_HAS_EXPIRED",
  11: "CRL_NOT_YET_VALID",
  12: "CRL_HAS_EXPIRED",
  13: "ERROR_IN_CERT_NOT_BEFORE_FIELD",
  14: "ERROR_IN_CERT_NOT_AFTER_FIELD",
  15: "ERROR_IN_CRL_LAST_UPDATE_FIELD",
  16: "ERROR_IN_CRL_NEXT_UPDATE_FIELD",
  17: "OUT_OF_MEM",
  18: "DEPTH_ZERO_SELF_SIGNED_CERT",
  19: "SELF_SIGNED_CERT_IN_CHAIN",
  20: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  21: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  22: "CERT_CHAIN_TOO_LONG",
  23: "CERT_REVOKED",
  24: "INVALID_CA",
  25: "PATH_LENGTH_EXCEEDED",
  26: "INVALID_PURPOSE",
  27: "CERT_UNTRUSTED",
  28: "CERT_REJECTED",
  62: "HOSTNAME_MISMATCH",
};
