/** What a listener's TLS is: certificates by name, protocols, ticket keys. Connections that shake hands hold it. */
import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import type { CertificatePem, TlsServerOptions } from "../network.ts";
import {
  CertificatesByName,
  sessionContextOf,
  TICKET_KEYS_OCTETS,
  TICKET_LIFETIME_SECONDS,
  TlsAcceptor,
} from "../node/node-tls-server.ts";
import { TLS_SERVER_SUITES } from "../node/tls-suites.ts";
import type { NativeLoop } from "./native-loop.ts";
import { TlsContext } from "./unsafe/tls-context.ts";
import type { HandshakeChoices } from "./unsafe/tls-library.ts";
import { TlsSession } from "./unsafe/tls-session.ts";

/** Freed when the listener and all handshakes have let go of it. */
export class TlsServer implements HandshakeChoices {
  readonly alpn: readonly string[];
  readonly asksCertificate: boolean;
  ticketKeys: Uint8Array;
  readonly #loop: NativeLoop;
  readonly #first: TlsContext;
  readonly #byName: CertificatesByName<TlsContext>;
  readonly #all: TlsContext[] = [];
  #holders = 1;

  /** Held by whoever makes it. Throws ERR_CONFIG when a certificate and its key are not a pair; `ticketKeys` are for options without. */
  constructor(loop: NativeLoop, tls: TlsServerOptions, ticketKeys: Uint8Array | undefined) {
    // The portable engine's checks, and what it says.
    void new TlsAcceptor(tls, 1);
    this.#loop = loop;
    this.alpn = tls.alpn;
    this.asksCertificate = tls.clientAuthoritiesPem !== undefined;
    this.ticketKeys = Uint8Array.from(tls.ticketKeys ?? ticketKeys ?? randomBytes(TICKET_KEYS_OCTETS));
    const context = (pair: CertificatePem): TlsContext => {
      const made = new TlsContext(loop.tls, { ...contextOptions(tls), ...derOf(pair) });
      this.#all.push(made);
      return made;
    };
    try {
      this.#first = context(tls);
      this.#byName = new CertificatesByName(
        (tls.moreCertificates ?? []).map((pair) => ({ pair, context: context(pair) })),
      );
    } catch (problem) {
      this.release();
      throw problem;
    }
  }

  contextFor(serverName: string): TlsContext | undefined {
    return this.#byName.contextFor(serverName);
  }

  /** For new tickets, and for old ones that come back. */
  setTicketKeys(keys: Uint8Array): void {
    this.ticketKeys = keys.slice();
  }

  /** TLS on a connection whose handshake has not begun. Throws when there is no memory. */
  openSession(fd: number): TlsSession {
    return new TlsSession(this.#loop.tls, this.#first, this, fd);
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    if (--this.#holders === 0) for (const context of this.#all) context.free();
  }
}

function contextOptions(
  tls: TlsServerOptions,
): Omit<ConstructorParameters<typeof TlsContext>[1], "chain" | "key"> {
  const names = TLS_SERVER_SUITES.split(":");
  return {
    ciphers: names.filter((name) => !isOfTls13(name)).join(":"),
    suites: names.filter(isOfTls13).join(":"),
    groups: tls.groups?.join(":"),
    sessionIdContext: sessionContextOf(tls),
    ticketLifetimeSeconds: TICKET_LIFETIME_SECONDS,
    choosesByName: (tls.moreCertificates ?? []).length > 0,
    clientAuthorities: tls.clientAuthoritiesPem?.flatMap(certificatesOf),
  };
}

function isOfTls13(suite: string): boolean {
  return suite.startsWith("TLS_");
}

function derOf({ certificatePem, keyPem }: CertificatePem): { chain: Uint8Array[]; key: Uint8Array } {
  return {
    chain: certificatesOf(certificatePem),
    key: createPrivateKey(keyPem).export({ type: "pkcs8", format: "der" }),
  };
}

/** DER of all certificates of a PEM text. */
function certificatesOf(pem: string): Uint8Array[] {
  const blocks = pem.match(/-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^-]*-----END \1-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block).raw);
}
