/** What makes the TLS handshakes of a listener: certificates by name, tickets, groups, client certificates. */
import { constants, createHash, randomBytes, X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import {
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocketOptions,
} from "node:tls";
import { DnsError } from "../dns-error.ts";
import type { CertificatePem, TlsServerOptions } from "../network.ts";
import { AcceptedTls, type HandshakeEvents } from "./accepted-tls.ts";
import { HandshakeDeadlines } from "./handshake-deadlines.ts";
import { subjectAltNamesOf } from "./node-certificate.ts";
import { NodeClock } from "./node-clock.ts";
import { TLS_SERVER_SUITES } from "./tls-suites.ts";

/** Octets of ticket keys: name, HMAC key and AES key. */
export const TICKET_KEYS_OCTETS = 48;
/** Seconds that a ticket lasts: a day (RFC 8446 §4.6.1 allows a week). */
export const TICKET_LIFETIME_SECONDS = 86_400;

/** Makes the handshakes of a listener. */
export class TlsAcceptor {
  readonly #tls: TlsServerOptions;
  #ticketKeys: Buffer;
  #options: TLSSocketOptions;
  readonly #deadlines: HandshakeDeadlines<AcceptedTls>;

  /** Throws ERR_CONFIG when a certificate and its key are not a pair. `ticketKeys` are for options without. */
  constructor(tls: TlsServerOptions, handshakeTimeoutMs: number, ticketKeys?: Uint8Array) {
    this.#tls = tls;
    this.#ticketKeys = Buffer.from(tls.ticketKeys ?? ticketKeys ?? randomBytes(TICKET_KEYS_OCTETS));
    this.#options = makeSocketOptions(tls, this.#ticketKeys);
    this.#deadlines = new HandshakeDeadlines(
      handshakeTimeoutMs,
      (socket) => socket.failHandshake(new Error("TLS handshake timeout")),
      new NodeClock(),
    );
  }

  get ticketKeys(): Uint8Array {
    return this.#ticketKeys;
  }

  /** For handshakes from now on. */
  setTicketKeys(keys: Uint8Array): void {
    this.#ticketKeys = Buffer.from(keys);
    this.#options = makeSocketOptions(this.#tls, this.#ticketKeys);
  }

  /** Begins a handshake on a connection that belongs to it from now on. */
  accept(below: Socket, events: HandshakeEvents): AcceptedTls {
    const socket = new AcceptedTls(below, this.#options, events);
    this.#deadlines.add(socket);
    return socket;
  }

  /** It is over, well or not. */
  ended(socket: AcceptedTls): void {
    this.#deadlines.delete(socket);
  }
}

/** Throws ERR_CONFIG when a certificate and its key are not a pair. */
function makeSocketOptions(tls: TlsServerOptions, ticketKeys: Buffer): TLSSocketOptions {
  const common: SecureContextOptions = {
    // RFC 8310 §9: TLS 1.2 or later.
    minVersion: "TLSv1.2",
    ciphers: TLS_SERVER_SUITES,
    honorCipherOrder: true,
    // RFC 9325 §3.5: renegotiation lets clients burn a server's time. RFC 8310 §9: no compression.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
    sessionIdContext: sessionContextOf(tls),
    sessionTimeout: TICKET_LIFETIME_SECONDS,
    ticketKeys,
    ...(tls.groups === undefined ? {} : { ecdhCurve: tls.groups.join(":") }),
    ...(tls.clientAuthoritiesPem === undefined ? {} : { ca: [...tls.clientAuthoritiesPem] }),
  };
  checkGroups(tls.groups);
  const secureContext = checkedContext(tls, common);
  const more = (tls.moreCertificates ?? []).map((pair) => ({ pair, context: checkedContext(pair, common) }));
  return {
    isServer: true,
    secureContext,
    // A client that offers only other protocols is refused; one that offers none is served (RFC 7858 knows no ALPN).
    ALPNProtocols: alpnWire(tls.alpn),
    // Whether a certificate is good enough is decided where queries are answered (access control).
    requestCert: tls.clientAuthoritiesPem !== undefined,
    rejectUnauthorized: false,
    // With a callback every handshake stops in the middle and goes on in another turn: only where there is a choice.
    ...(more.length === 0 ? {} : { SNICallback: chooserOf(new CertificatesByName(more)) }),
  };
}

/** The list as it is in a ClientHello (RFC 7301 §3.1), which Node would make anew for every socket. */
function alpnWire(protocols: readonly string[]): Uint8Array {
  return Buffer.concat(protocols.map((name) => Buffer.from([name.length, ...Buffer.from(name, "latin1")])));
}

function chooserOf(
  certificates: CertificatesByName<SecureContext>,
): NonNullable<TLSSocketOptions["SNICallback"]> {
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
