/** An `SSL_CTX`: one certificate with its key, and what a server speaks. */
import type { Foreign } from "./foreign.ts";
import { Block, blockOf, keepUntilHere, textBlock } from "./memory.ts";
import type { TlsLibrary } from "./tls-library.ts";

/** Everything in DER, checked by Node before: what fails here is a fault of ours, and throws. */
export interface TlsContextOptions {
  /** Leaf first. */
  readonly chain: readonly Uint8Array[];
  /** PKCS #8. */
  readonly key: Uint8Array;
  /** OpenSSL's list, for TLS 1.2. */
  readonly ciphers: string;
  /** OpenSSL's list, for TLS 1.3. */
  readonly suites: string;
  /** OpenSSL's list; undefined takes its default. */
  readonly groups: string | undefined;
  readonly sessionIdContext: string;
  readonly ticketLifetimeSeconds: number;
  /** Whether the name that a client asks for chooses among certificates. */
  readonly choosesByName: boolean;
  /** Undefined does not ask clients for a certificate. */
  readonly clientAuthorities: readonly Uint8Array[] | undefined;
}

/** Owns one reference to an `SSL_CTX`; connections have their own. */
export class TlsContext {
  readonly #foreign: Foreign;
  #context: bigint;

  constructor(library: TlsLibrary, options: TlsContextOptions) {
    const { foreign } = library;
    this.#foreign = foreign;
    library.clearErrors();
    this.#context = foreign.calls.SSL_CTX_new(foreign.calls.TLS_server_method());
    if (this.#context === NULL) throw library.takeError();
    try {
      this.#limit(options.clientAuthorities !== undefined);
      this.#setSuites(library, options);
      this.#setSessions(library, options);
      this.#setCertificate(library, options);
      this.#setAuthorities(library, options.clientAuthorities ?? []);
      const asksCertificate = options.clientAuthorities !== undefined;
      library.setCallbacks(this.#context, { asksCertificate, choosesByName: options.choosesByName });
    } catch (problem) {
      this.free();
      throw problem;
    }
  }

  /** A new `SSL`, whose owner frees it. */
  newSession(): bigint {
    return this.#context === NULL ? NULL : this.#foreign.calls.SSL_new(this.#context, NULL);
  }

  /** Another certificate for a handshake under way. */
  useFor(ssl: bigint): void {
    if (this.#context !== NULL) this.#foreign.calls.SSL_set_SSL_CTX(ssl, this.#context);
  }

  /** Connections that were made from it live on. Once or more. */
  free(): void {
    const context = this.#context;
    this.#context = NULL;
    if (context !== NULL) this.#foreign.calls.SSL_CTX_free(context);
  }

  /** RFC 8310 §9: TLS 1.2 or later, no compression; RFC 9325 §3.5: no renegotiation. */
  #limit(hasStore: boolean): void {
    const { calls } = this.#foreign;
    const options =
      SSL_OP_NO_COMPRESSION |
      SSL_OP_NO_RENEGOTIATION |
      SSL_OP_CIPHER_SERVER_PREFERENCE |
      SSL_OP_IGNORE_UNEXPECTED_EOF;
    calls.SSL_CTX_set_options(this.#context, options);
    calls.SSL_CTX_ctrl(this.#context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    // Without certificates of others there is no chain to be found, which each full handshake would search for.
    const mode = SSL_MODE_RELEASE_BUFFERS | (hasStore ? 0n : SSL_MODE_NO_AUTO_CHAIN);
    calls.SSL_CTX_ctrl(this.#context, SSL_CTRL_MODE, mode, NULL);
    // One read of the system for as many records as are there.
    calls.SSL_CTX_ctrl(this.#context, SSL_CTRL_SET_READ_AHEAD, 1n, NULL);
    // Sessions are in tickets, and nowhere else.
    const cache = SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL;
    calls.SSL_CTX_ctrl(this.#context, SSL_CTRL_SET_SESS_CACHE_MODE, cache, NULL);
  }

  #setSuites(library: TlsLibrary, { ciphers, suites, groups }: TlsContextOptions): void {
    const { calls } = this.#foreign;
    const [old, current] = [textBlock(this.#foreign, ciphers), textBlock(this.#foreign, suites)];
    check(library, calls.SSL_CTX_set_cipher_list(this.#context, old.address));
    check(library, calls.SSL_CTX_set_ciphersuites(this.#context, current.address));
    if (groups !== undefined) {
      const list = textBlock(this.#foreign, groups);
      check(library, Number(calls.SSL_CTX_ctrl(this.#context, SSL_CTRL_SET_GROUPS_LIST, 0n, list.address)));
      keepUntilHere(list);
    }
    keepUntilHere(old, current);
  }

  #setSessions(library: TlsLibrary, { sessionIdContext, ticketLifetimeSeconds }: TlsContextOptions): void {
    const { calls } = this.#foreign;
    const id = textBlock(this.#foreign, sessionIdContext);
    check(library, calls.SSL_CTX_set_session_id_context(this.#context, id.address, sessionIdContext.length));
    keepUntilHere(id);
    calls.SSL_CTX_set_timeout(this.#context, BigInt(ticketLifetimeSeconds));
    check(library, calls.SSL_CTX_set_num_tickets(this.#context, TICKETS_PER_CONNECTION));
  }

  #setCertificate(library: TlsLibrary, { chain, key }: TlsContextOptions): void {
    const { calls } = this.#foreign;
    const [leaf, ...issuers] = chain;
    const leafBlock = blockOf(this.#foreign, leaf ?? new Uint8Array(0));
    const leafOctets = leaf?.length ?? 0;
    check(library, calls.SSL_CTX_use_certificate_ASN1(this.#context, leafOctets, leafBlock.address));
    keepUntilHere(leafBlock);
    for (const issuer of issuers)
      this.#withCertificate(library, issuer, (x509) =>
        // 1: OpenSSL takes a reference of its own.
        Number(calls.SSL_CTX_ctrl(this.#context, SSL_CTRL_CHAIN_CERT, 1n, x509)),
      );
    const [keyBlock, cursor] = [blockOf(this.#foreign, key), new Block(this.#foreign, 8)];
    cursor.setWord(0, keyBlock.address);
    const privateKey = calls.d2i_AutoPrivateKey(NULL, cursor.address, BigInt(key.length));
    keepUntilHere(keyBlock, cursor);
    keyBlock.octets.fill(0);
    if (privateKey === NULL) throw library.takeError();
    const isUsed = calls.SSL_CTX_use_PrivateKey(this.#context, privateKey);
    calls.EVP_PKEY_free(privateKey);
    check(library, isUsed);
  }

  #setAuthorities(library: TlsLibrary, authorities: readonly Uint8Array[]): void {
    const { calls } = this.#foreign;
    const store = calls.SSL_CTX_get_cert_store(this.#context);
    for (const authority of authorities)
      this.#withCertificate(library, authority, (x509) =>
        // Both take references of their own.
        Math.min(calls.X509_STORE_add_cert(store, x509), calls.SSL_CTX_add_client_CA(this.#context, x509)),
      );
  }

  #withCertificate(library: TlsLibrary, der: Uint8Array, use: (x509: bigint) => number): void {
    const { calls } = this.#foreign;
    const [block, cursor] = [blockOf(this.#foreign, der), new Block(this.#foreign, 8)];
    cursor.setWord(0, block.address);
    const x509 = calls.d2i_X509(NULL, cursor.address, BigInt(der.length));
    keepUntilHere(block, cursor);
    if (x509 === NULL) throw library.takeError();
    const isUsed = use(x509);
    calls.X509_free(x509);
    check(library, isUsed);
  }
}

function check(library: TlsLibrary, result: number): void {
  if (result <= 0) throw library.takeError();
}

/** RFC 8446 §4.6.1 allows more; a client uses each once, and asks on the same connection as long as it can. */
const TICKETS_PER_CONNECTION = 1n;

// Constants of OpenSSL, from its headers.
const NULL = 0n;
const TLS1_2_VERSION = 0x0303n;
const SSL_CTRL_MODE = 33;
const SSL_CTRL_SET_READ_AHEAD = 41;
const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
const SSL_CTRL_CHAIN_CERT = 89;
const SSL_CTRL_SET_GROUPS_LIST = 92;
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
const SSL_MODE_NO_AUTO_CHAIN = 0x8n;
const SSL_MODE_RELEASE_BUFFERS = 0x10n;
const SSL_SESS_CACHE_SERVER = 0x2n;
const SSL_SESS_CACHE_NO_INTERNAL = 0x300n;
const SSL_OP_IGNORE_UNEXPECTED_EOF = 1n << 7n;
const SSL_OP_NO_COMPRESSION = 1n << 17n;
const SSL_OP_CIPHER_SERVER_PREFERENCE = 1n << 22n;
const SSL_OP_NO_RENEGOTIATION = 1n << 30n;
