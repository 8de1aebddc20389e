/** Whom this process trusts for TLS when it was told nobody: the authorities of the system, as other programs of the machine do. */
import tls from "node:tls";

export interface TrustedAuthorities {
  /** `node`: the system has none that can be found, and Node's own list stays. */
  readonly source: "system" | "node";
  readonly count: number;
}

/**
 * Takes a tenth of a second, and holds for the whole process from now on. What NODE_EXTRA_CA_CERTS names is trusted, too. On Linux the system's
 * are those of OpenSSL: SSL_CERT_FILE and SSL_CERT_DIR, else /etc/ssl.
 */
export function trustSystemAuthorities(): TrustedAuthorities {
  // Debian has each one in a file of its own and in one for all.
  const system = [...new Set(tls.getCACertificates("system"))];
  if (system.length === 0) return { source: "node", count: tls.getCACertificates("default").length };
  const all = [...new Set([...system, ...tls.getCACertificates("extra")])];
  tls.setDefaultCACertificates(all);
  return { source: "system", count: all.length };
}
