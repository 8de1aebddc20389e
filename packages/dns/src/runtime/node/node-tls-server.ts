/** What makes the TLS handshakes of a listener: certificates by name, tickets, groups, client certificates. */
import { constants, createHash, X509Certificate } from "node:crypto";
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TlsOptions,
} from "node:tls";
import { DnsError } from "../dns-error.ts";
import type { CertificatePem, TlsServerOptions } from "../network.ts";
import { subjectAltNamesOf } from "./node-certificate.ts";
import { TLS_SERVER_SUITES } from "./tls-suites.ts";

/** Octets of ticket keys: name, HMAC key and AES key. */
export const TICKET_KEYS_OCTETS = 48;
/** Seconds that a ticket lasts: a day (RFC 8446 §4.6.1 allows a week). */
export const TICKET_LIFETIME_SECONDS = 86_400;

/** A server that is handed connections. Throws ERR_CONFIG when a certificate and its key are not a pair. */
export function makeTlsServer(
  tls: TlsServerOptions,
  handshakeTimeoutMs: number,
  ticketKeys: Buffer | undefined,
): Server {
  const common: SecureContextOptions = {
    // RFC 8310 §9: TLS 1.2 or later.
    minVersion: "TLSv1.2",
    ciphers: TLS_SERVER_SUITES,
    // RFC 9325 §3.5: renegotiation lets clients burn a server's time. RFC 8310 §9: no compression.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
    sessionIdContext: sessionContextOf(tls),
    sessionTimeout: TICKET_LIFETIME_SECONDS,
    ...(ticketKeys === undefined ? {} : { ticketKeys }),
    ...(tls.groups === undefined ? {} : { ecdhCurve: tls.groups.join(":") }),
    ...(tls.clientAuthoritiesPem === undefined ? {} : { ca: [...tls.clientAuthoritiesPem] }),
  };
  checkGroups(tls.groups);
  checkedContext(tls, common);
  const more = (tls.moreCertificates ?? []).map((pair) => ({ pair, context: checkedContext(pair, common) }));
  return createServer({
    ...common,
    cert: tls.certificatePem,
    key: tls.keyPem,
    // A client that offers only other protocols is refused; one that offers none is served (RFC 7858 knows no ALPN).
    ALPNProtocols: [...tls.alpn],
    allowHalfOpen: true,
    noDelay: true,
    handshakeTimeout: handshakeTimeoutMs,
    // Whether a certificate is good enough is decided where queries are answered (access control).
    requestCert: tls.clientAuthoritiesPem !== undefined,
    rejectUnauthorized: false,
    // With a callback every handshake stops in the middle and goes on in another turn: only where there is a choice.
    ...(more.length === 0 ? {} : { SNICallback: chooserOf(new CertificatesByName(more)) }),
  });
}

function chooserOf(certificates: CertificatesByName<SecureContext>): NonNullable<TlsOptions["SNICallback"]> {
  return (name, answer) => answer(null, certificates.contextFor(name));
}

/** Tickets are good on every listener with the same keys and the same demands on clients. */
export function sessionContextOf({ clientAuthoritiesPem }: TlsServerOptions): string {
  const demands = `sotto ${clientAuthoritiesPem?.join() ?? "-"}`;
  return createHash("sha256").update(demands).digest("hex").slice(0, SESSION_CONTEXT_OCTETS_MAX);
}

/** OpenSSL takes no longer one. */
const SESSION_CONTEXT_OCTETS_MAX = 32;

function checkGroups(groups: readonly string[] | undefined): void {
  if (groups === undefined) return;
  try {
    createSecureContext({ ecdhCurve: groups.join(":") });
  } catch (cause) {
    throw new DnsError("ERR_CONFIG", `OpenSSL does not know the key exchange groups ${groups.join(", ")}`, {
      cause,
      stage: "listen",
    });
  }
}

/** Throws ERR_CONFIG when certificate and key are not a pair. */
function checkedContext(pair: CertificatePem, common: SecureContextOptions): SecureContext {
  try {
    return createSecureContext({ ...common, cert: pair.certificatePem, key: pair.keyPem });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DnsError("ERR_CONFIG", `certificate and key cannot be used: ${why}`, {
      cause,
      stage: "listen",
    });
  }
}

/** Further certificates by what they are for: exact names before wildcards (RFC 9525 §6.3), the first given wins. */
export class CertificatesByName<Context> {
  readonly #contexts = new Map<string, Context>();

  constructor(certificates: readonly { pair: CertificatePem; context: Context }[]) {
    for (const { pair, context } of certificates) {
      for (const entry of subjectAltNamesOf(new X509Certificate(pair.certificatePem))) {
        const name = entry.replace(/^[A-Z]+:/, "").toLowerCase();
        if (!this.#contexts.has(name)) this.#contexts.set(name, context);
      }
    }
  }

  /** Undefined: the listener's first certificate. */
  contextFor(serverName: string): Context | undefined {
    const name = serverName.toLowerCase();
    const dot = name.indexOf(".");
    return this.#contexts.get(name) ?? (dot > 0 ? this.#contexts.get(`*${name.slice(dot)}`) : undefined);
  }
}
