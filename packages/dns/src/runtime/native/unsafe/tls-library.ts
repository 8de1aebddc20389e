/**
 * What all TLS connections of a thread share: the buffer that OpenSSL writes records to, the functions that it calls back, its
 * queue of errors. OpenSSL calls back only within {@link TlsLibrary.shakeHands}, which tells who is shaking hands.
 */
import type { Foreign } from "./foreign.ts";
import { Block, textBlock } from "./memory.ts";
import { SCRATCH_WORD, type Scratch, type Sockets } from "./sockets.ts";
import type { ThreadEnd } from "./thread-end.ts";
import type { TlsContext } from "./tls-context.ts";

/** What a handshake asks of the server that it belongs to. */
export interface HandshakeChoices {
  /** Protocols in order of preference (RFC 7301). */
  readonly alpn: readonly string[];
  /** 48 octets: name, HMAC key and AES key, as Node has them. */
  readonly ticketKeys: Uint8Array;
  /** Undefined: the certificate that is there already. */
  contextFor(serverName: string): TlsContext | undefined;
}

/** What a context has to be asked for in a handshake; what it need not costs each handshake nothing. */
export interface CallbackNeeds {
  readonly asksCertificate: boolean;
  /** There are several certificates. */
  readonly choosesByName: boolean;
}

/** Whoever has records in the shared buffer. */
export interface RecordWriter {
  /** Takes them out of it. */
  collect(): void;
}

/** Addresses of functions that OpenSSL calls. */
type Callbacks = Readonly<Record<"alpn" | "name" | "ticket" | "verify", bigint>>;

/** One per thread; never freed. */
export class TlsLibrary {
  readonly foreign: Foreign;
  readonly sockets: Sockets;
  readonly scratch: Scratch;
  readonly end: ThreadEnd;
  /** The memory BIO that all connections write records to. Every connection holds a reference of its own. */
  readonly records: bigint;
  readonly #callbacks: Callbacks;
  /** `OSSL_PARAM` array that names the digest of tickets, and what it points at. */
  readonly #macParams: Block;
  readonly #macTexts: readonly Block[];
  readonly #ticketKeys: Block;
  readonly #aes: bigint;
  /** For functions that tell an address and a length of 32 bits, until the next call. */
  readonly told: Block;
  /** Texts of OpenSSL that are constants of the library, by address. */
  readonly #texts = new Map<bigint, string>();
  #choices: HandshakeChoices | undefined = undefined;
  #writer: RecordWriter | undefined = undefined;

  constructor(foreign: Foreign, sockets: Sockets, scratch: Scratch, end: ThreadEnd) {
    this.foreign = foreign;
    this.sockets = sockets;
    this.scratch = scratch;
    this.end = end;
    const { calls } = foreign;
    this.records = calls.BIO_new(calls.BIO_s_mem());
    if (this.records === NULL) throw new Error("OpenSSL has no memory for a buffer");
    this.#aes = calls.EVP_aes_128_cbc();
    this.told = new Block(foreign, 12);
    this.#ticketKeys = new Block(foreign, TICKET_NAME_OCTETS + 2 * TICKET_KEY_OCTETS);
    const [name, value] = [textBlock(foreign, "digest"), textBlock(foreign, "SHA256")];
    this.#macTexts = [name, value];
    this.#macParams = new Block(foreign, 2 * PARAM_BYTES);
    this.#macParams.setWord(0, name.address);
    this.#macParams.view.setUint32(8, OSSL_PARAM_UTF8_STRING, true);
    this.#macParams.setWord(16, value.address);
    this.#macParams.setWord(24, BigInt("SHA256".length));
    this.#callbacks = this.#register();
  }

  /** Sets the functions that OpenSSL calls on a context. They are those of the thread, and live as long. */
  setCallbacks(context: bigint, { asksCertificate, choosesByName }: CallbackNeeds): void {
    const { calls } = this.foreign;
    const { alpn, name, ticket, verify } = this.#callbacks;
    calls.SSL_CTX_set_alpn_select_cb(context, alpn, NULL);
    if (choosesByName) calls.SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, name);
    calls.SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket);
    // Whether a certificate is good enough is decided where queries are answered (access control).
    if (asksCertificate) calls.SSL_CTX_set_verify(context, SSL_VERIFY_PEER, verify);
  }

  /** Runs a step of a handshake. */
  shakeHands(choices: HandshakeChoices, ssl: bigint): number {
    this.#choices = choices;
    try {
      return this.foreign.calls.SSL_do_handshake(ssl, NULL);
    } finally {
      this.#choices = undefined;
    }
  }

  /**
   * Before a connection may write records: what another one has there is moved to it, so that no octet of one connection
   * ever leaves on another.
   */
  claimRecords(writer: RecordWriter): void {
    if (this.#writer === writer) return;
    this.#writer?.collect();
    this.#writer = writer;
  }

  /** Whether the records are this connection's. */
  hasRecordsOf(writer: RecordWriter): boolean {
    return this.#writer === writer;
  }

  /** The connection ends: what it has there is dropped. */
  leaveRecords(writer: RecordWriter): void {
    if (this.#writer !== writer) return;
    this.#writer = undefined;
    const { calls } = this.foreign;
    while (calls.BIO_read(this.records, this.scratch.output.address, SCRATCH_WORD) > 0);
  }

  /** OpenSSL looks at old errors when it tells why a call failed: there must be none before the call. */
  clearErrors(): void {
    const { calls } = this.foreign;
    if (calls.ERR_peek_error() !== 0) calls.ERR_clear_error();
  }

  /** The first error of the queue, which is cleared. */
  takeError(): Error {
    const { calls, ffi } = this.foreign;
    const text = calls.ERR_reason_error_string(BigInt(calls.ERR_peek_error()));
    const reason = (text === NULL ? null : ffi.toString(text)) ?? "unknown problem of TLS";
    calls.ERR_clear_error();
    return Object.assign(new Error(reason), { reason });
  }

  /** The text at an address where OpenSSL has a constant; undefined for none. */
  constantText(address: bigint): string | undefined {
    if (address === NULL) return undefined;
    const known = this.#texts.get(address);
    if (known !== undefined) return known;
    const text = this.foreign.ffi.toString(address) ?? "";
    // Names of protocol versions and cipher suites: a few dozen.
    if (this.#texts.size < TEXTS_MAX) this.#texts.set(address, text);
    return text;
  }

  #register(): Callbacks {
    const { library } = this.foreign;
    const guarded =
      <Values extends unknown[]>(onThrow: number, answer: (...values: Values) => number) =>
      (...values: Values): number => {
        try {
          return answer(...values);
        } catch {
          // C knows no exceptions. What can throw is lack of memory; the handshake fails.
          return onThrow;
        }
      };
    return {
      alpn: library.registerCallback(
        { arguments: ["uint64", "uint64", "uint64", "uint64", "uint32", "uint64"], return: "int32" },
        guarded(
          SSL_TLSEXT_ERR_ALERT_FATAL,
          (_ssl: bigint, out: bigint, length: bigint, offer: bigint, octets: number) =>
            this.#chooseProtocol(out, length, offer, octets),
        ),
      ),
      name: library.registerCallback(
        { arguments: ["uint64", "uint64", "uint64"], return: "int32" },
        guarded(SSL_TLSEXT_ERR_NOACK, (ssl: bigint) => this.#chooseCertificate(ssl)),
      ),
      ticket: library.registerCallback(
        { arguments: ["uint64", "uint64", "uint64", "uint64", "uint64", "int32"], return: "int32" },
        guarded(
          TICKET_FAILED,
          (_ssl: bigint, name: bigint, iv: bigint, cipher: bigint, mac: bigint, isNew: number) =>
            this.#prepareTicket(name, iv, cipher, mac, isNew !== 0),
        ),
      ),
      verify: library.registerCallback({ arguments: ["int32", "uint64"], return: "int32" }, () => 1),
    };
  }

  /** A client that offers only other protocols is refused; one that offers none does not come here (RFC 7301 §3.2). */
  #chooseProtocol(out: bigint, length: bigint, offer: bigint, octets: number): number {
    const { ffi } = this.foreign;
    const offered = ffi.toBuffer(offer, octets, true);
    for (const protocol of this.#choices?.alpn ?? []) {
      for (let at = 0; at < octets; at += 1 + (offered[at] ?? 0)) {
        const end = at + 1 + (offered[at] ?? 0);
        if (offered.toString("latin1", at + 1, end) !== protocol) continue;
        // Into the offer itself, which OpenSSL copies from.
        ffi.setUint64(out, 0, offer + BigInt(at + 1));
        ffi.setUint8(length, 0, protocol.length);
        return SSL_TLSEXT_ERR_OK;
      }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }

  #chooseCertificate(ssl: bigint): number {
    const { calls, ffi } = this.foreign;
    const text = calls.SSL_get_servername(ssl, TLSEXT_NAMETYPE_HOST_NAME);
    if (text === NULL) return SSL_TLSEXT_ERR_NOACK;
    const context = this.#choices?.contextFor(ffi.toString(text) ?? "");
    // As Node does: what no certificate is for is not acknowledged.
    if (context === undefined) return SSL_TLSEXT_ERR_NOACK;
    context.useFor(ssl);
    return SSL_TLSEXT_ERR_OK;
  }

  /** AES-128-CBC and HMAC-SHA256, as Node does with its 48 octets: tickets are good with either engine (RFC 5077 §4). */
  #prepareTicket(name: bigint, iv: bigint, cipher: bigint, mac: bigint, isNew: boolean): number {
    const { calls } = this.foreign;
    const keys = this.#choices?.ticketKeys;
    if (keys === undefined) return TICKET_FAILED;
    const block = this.#ticketKeys;
    block.octets.set(keys);
    const macKey = block.addressOf(TICKET_NAME_OCTETS);
    const aesKey = block.addressOf(TICKET_NAME_OCTETS + TICKET_KEY_OCTETS);
    let isReady: boolean;
    if (isNew) {
      calls.memcpy(name, block.address, TICKET_NAME_WORD);
      isReady =
        calls.RAND_bytes(iv, IV_OCTETS) > 0 &&
        calls.EVP_EncryptInit_ex(cipher, this.#aes, NULL, aesKey, iv) > 0;
    } else {
      if (calls.memcmp(name, block.address, TICKET_NAME_WORD) !== 0) return TICKET_UNKNOWN;
      isReady = calls.EVP_DecryptInit_ex(cipher, this.#aes, NULL, aesKey, iv) > 0;
    }
    isReady &&= calls.EVP_MAC_init(mac, macKey, TICKET_KEY_WORD, this.#macParams.address) > 0;
    return isReady && this.#macTexts.length > 0 ? TICKET_GOOD : TICKET_FAILED;
  }
}

const TEXTS_MAX = 256;
const TICKET_NAME_OCTETS = 16;
const TICKET_NAME_WORD = BigInt(TICKET_NAME_OCTETS);
const TICKET_KEY_OCTETS = 16;
const TICKET_KEY_WORD = BigInt(TICKET_KEY_OCTETS);
const IV_OCTETS = 16n;

// Constants of OpenSSL, from its headers.
const NULL = 0n;
const SSL_CTRL_SET_TLSEXT_SERVERNAME_CB = 53;
const SSL_VERIFY_PEER = 1;
const SSL_TLSEXT_ERR_OK = 0;
const SSL_TLSEXT_ERR_ALERT_FATAL = 2;
const SSL_TLSEXT_ERR_NOACK = 3;
const TLSEXT_NAMETYPE_HOST_NAME = 0n;
const TICKET_FAILED = -1;
const TICKET_UNKNOWN = 0;
const TICKET_GOOD = 1;
/** Bytes of `OSSL_PARAM`. */
const PARAM_BYTES = 40;
const OSSL_PARAM_UTF8_STRING = 4;
