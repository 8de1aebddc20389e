/**
 * An `SSL`: reads from its socket, writes records to the buffer that all share, from where they are sent at once; what the system
 * does not take is kept here.
 */
import type { Wire } from "../wire.ts";
import { Block, keepUntilHere } from "./memory.ts";
import { Blocked, Failed, SCRATCH_OCTETS, SCRATCH_WORD, systemProblem } from "./sockets.ts";
import type { TlsContext } from "./tls-context.ts";
import type { HandshakeChoices, RecordWriter, TlsLibrary } from "./tls-library.ts";

/** Owns one `SSL`, from the constructor to {@link free}. The descriptor has another owner, who closes it after that. */
export class TlsSession implements Wire, RecordWriter {
  readonly #library: TlsLibrary;
  readonly #choices: HandshakeChoices;
  readonly #fd: number;
  #ssl: bigint;
  /** Records that the system has not taken. */
  #unsent: Uint8Array = NOTHING;
  /** Octets that were put and have not been pushed. */
  #putOctets = 0;
  /** Nothing but FIN follows. */
  #isLast = false;
  problem: Error | undefined = undefined;

  /** Throws when there is no memory. */
  constructor(library: TlsLibrary, context: TlsContext, choices: HandshakeChoices, fd: number) {
    this.#library = library;
    this.#choices = choices;
    this.#fd = fd;
    const { calls } = library.foreign;
    library.clearErrors();
    this.#ssl = context.newSession();
    if (this.#ssl === NULL) throw library.takeError();
    library.end.plan("SSL_free", this.#ssl);
    if (calls.SSL_set_rfd(this.#ssl, BigInt(fd)) !== 1) {
      this.free();
      throw library.takeError();
    }
    // The reference that the connection will drop.
    calls.BIO_up_ref(library.records, NULL);
    calls.SSL_set0_wbio(this.#ssl, library.records);
    calls.SSL_set_accept_state(this.#ssl, NULL);
  }

  /** Goes on with the handshake; {@link push} has to follow, unless it failed: then the alert has been sent. `ended`: the peer has. */
  shakeHands(): "done" | "goes on" | "ended" | "failed" {
    const library = this.#library;
    if (this.#ssl === NULL) return "ended";
    library.claimRecords(this);
    library.clearErrors();
    const result = library.shakeHands(this.#choices, this.#ssl);
    if (result === 1) return "done";
    const outcome = this.#outcome();
    if (outcome === Blocked) return "goes on";
    // The alert that says so has been made.
    this.#sendRecords();
    return outcome === 0 ? "ended" : "failed";
  }

  read(): number {
    return this.#receive(SCRATCH_WORD);
  }

  /** As {@link read}, and leaves the octets where they are. */
  peek(octets: number): number {
    const { foreign, scratch } = this.#library;
    if (!this.#isReadable()) return 0;
    const most = BigInt(Math.min(octets, SCRATCH_OCTETS));
    return this.#received(foreign.calls.SSL_peek(this.#ssl, scratch.input.address, most));
  }

  /** Reads octets that {@link peek} has shown. */
  consume(octets: number): void {
    if (octets > 0) this.#receive(BigInt(octets));
  }

  #receive(octets: bigint): number {
    const { foreign, scratch } = this.#library;
    if (!this.#isReadable()) return 0;
    return this.#received(foreign.calls.SSL_read(this.#ssl, scratch.input.address, octets));
  }

  /** False when it is gone. */
  #isReadable(): boolean {
    if (this.#ssl === NULL) return false;
    // What is read may be answered by TLS itself.
    this.#library.claimRecords(this);
    this.#library.clearErrors();
    return true;
  }

  #received(result: number): number {
    if (result > 0) return result;
    const outcome = this.#outcome();
    // The alert that says so has been made: it is sent if it can be, and the rest of the connection has no meaning.
    if (outcome === Failed) this.#sendRecords();
    return outcome;
  }

  /** What a call of OpenSSL that did not succeed means; 0 is the end. */
  #outcome(): number {
    const { calls, errno } = this.#library.foreign;
    const systemError = errno[0] ?? 0;
    switch (calls.SSL_get_error(this.#ssl, DID_NOT_SUCCEED)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        return Blocked;
      case SSL_ERROR_ZERO_RETURN:
        return 0;
      case SSL_ERROR_SYSCALL:
        if (systemError === 0) return 0;
        this.problem = systemProblem(systemError, "read");
        return Failed;
      default:
        this.problem = this.#library.takeError();
        return Failed;
    }
  }

  get hasMore(): boolean {
    return this.#ssl !== NULL && this.#library.foreign.calls.SSL_has_pending(this.#ssl, NULL) === 1;
  }

  put(octets: number): number {
    const library = this.#library;
    if (this.#ssl === NULL) return Failed;
    library.claimRecords(this);
    library.clearErrors();
    const { address } = library.scratch.output;
    const result = library.foreign.calls.SSL_write(this.#ssl, address, BigInt(octets));
    if (result > 0) {
      this.#putOctets += result;
      return result;
    }
    return this.#outcome() === Blocked ? Blocked : Failed;
  }

  push(): boolean {
    if (this.problem !== undefined) return false;
    // Now: collecting what another one has there writes over what is about to be put.
    if (this.#ssl !== NULL) this.#library.claimRecords(this);
    if (this.#unsent.length > 0 && !this.#sendUnsent()) {
      // TLS answers some records by itself: who sends those and reads nothing would fill our memory.
      if (this.#unsent.length > UNSENT_OCTETS_MAX) this.problem ??= new Error("the peer does not read");
      return false;
    }
    return this.#sendRecords();
  }

  /** Sends what is in the shared buffer, and keeps the rest. */
  #sendRecords(): boolean {
    const library = this.#library;
    const { calls } = library.foreign;
    const isMine = library.hasRecordsOf(this);
    const hasPut = this.#putOctets > 0;
    this.#putOctets = 0;
    if (!isMine || (!hasPut && calls.BIO_ctrl_pending(library.records, NULL) === 0)) return true;
    for (;;) {
      const octets = calls.BIO_read(library.records, library.scratch.output.address, SCRATCH_WORD);
      if (octets <= 0) return true;
      const sent = this.#write(octets);
      if (sent < octets) {
        this.#unsent = library.scratch.output.octets.slice(Math.max(0, sent), octets);
        this.collect();
        return false;
      }
      if (octets < SCRATCH_OCTETS) return true;
    }
  }

  #write(octets: number): number {
    const { sockets } = this.#library;
    const sent = this.#isLast
      ? sockets.writeLastOutput(this.#fd, octets)
      : sockets.writeOutput(this.#fd, octets);
    if (sent < Blocked) this.problem ??= sockets.lastProblem("write");
    return sent;
  }

  /** True when nothing is left. */
  #sendUnsent(): boolean {
    this.collect();
    const { output } = this.#library.scratch;
    while (this.#unsent.length > 0) {
      const piece = this.#unsent.subarray(0, output.octets.length);
      output.octets.set(piece);
      const sent = this.#write(piece.length);
      if (sent <= 0) return false;
      this.#unsent = this.#unsent.subarray(sent);
    }
    this.#unsent = NOTHING;
    return true;
  }

  collect(): void {
    const library = this.#library;
    if (!library.hasRecordsOf(this)) return;
    this.#putOctets = 0;
    const { calls } = library.foreign;
    for (let left = calls.BIO_ctrl_pending(library.records, NULL); left > 0; ) {
      const { output } = library.scratch;
      const octets = calls.BIO_read(library.records, output.address, SCRATCH_WORD);
      if (octets <= 0) return;
      const all = new Uint8Array(this.#unsent.length + octets);
      all.set(this.#unsent);
      all.set(output.octets.subarray(0, octets), this.#unsent.length);
      this.#unsent = all;
      left -= octets;
    }
  }

  get unsentOctets(): number {
    return this.#unsent.length + this.#putOctets;
  }

  sayGoodbye(): void {
    const library = this.#library;
    if (this.#ssl === NULL) return;
    this.#isLast = true;
    library.claimRecords(this);
    library.clearErrors();
    // 0: close_notify has been written, the peer's has not come. Others are connections that have failed before.
    library.foreign.calls.SSL_shutdown(this.#ssl, NULL);
    library.clearErrors();
  }

  free(): void {
    const ssl = this.#ssl;
    this.#ssl = NULL;
    this.#unsent = NOTHING;
    this.#library.leaveRecords(this);
    if (ssl === NULL) return;
    this.#library.end.forget("SSL_free", ssl);
    this.#library.foreign.calls.SSL_free(ssl, NULL);
  }

  // What the handshake has established.

  get protocol(): string {
    return (
      this.#library.constantText(this.#library.foreign.calls.SSL_get_version(this.#ssl, NULL)) ?? "unknown"
    );
  }

  /** IANA's name. */
  get cipher(): string {
    const { calls } = this.#library.foreign;
    const cipher = calls.SSL_get_current_cipher(this.#ssl, NULL);
    return this.#library.constantText(calls.SSL_CIPHER_standard_name(cipher, NULL)) ?? "unknown";
  }

  get alpn(): string | undefined {
    const { foreign, told } = this.#library;
    foreign.calls.SSL_get0_alpn_selected(this.#ssl, told.address, told.addressOf(8));
    const octets = told.view.getUint32(8, true);
    return octets === 0 ? undefined : foreign.ffi.toBuffer(told.wordAt(0), octets, true).toString("latin1");
  }

  get serverName(): string | undefined {
    const { calls, ffi } = this.#library.foreign;
    const text = calls.SSL_get_servername(this.#ssl, TLSEXT_NAMETYPE_HOST_NAME);
    return text === NULL ? undefined : (ffi.toString(text) ?? undefined);
  }

  get isResumed(): boolean {
    return this.#library.foreign.calls.SSL_session_reused(this.#ssl, NULL) === 1;
  }

  /** Of X509_verify_cert(3); 0 is good, also without a certificate. */
  get verifyResult(): number {
    return this.#library.foreign.calls.SSL_get_verify_result(this.#ssl, NULL);
  }

  /** DER of what the client presented, its own certificate first; empty without one. */
  peerCertificates(most: number): Uint8Array[] {
    const { calls } = this.#library.foreign;
    const leaf = calls.SSL_get0_peer_certificate(this.#ssl);
    if (leaf === NULL) return [];
    const found = [this.#derOf(leaf)];
    const chain = calls.SSL_get_peer_cert_chain(this.#ssl);
    const count = Math.min(calls.OPENSSL_sk_num(chain), most - 1);
    for (let i = 0; i < count; i++) found.push(this.#derOf(calls.OPENSSL_sk_value(chain, i)));
    return found;
  }

  #derOf(x509: bigint): Uint8Array {
    const { foreign } = this.#library;
    const octets = foreign.calls.i2d_X509(x509, NULL);
    const [der, cursor] = [new Block(foreign, (Math.max(4, octets) + 3) & ~3), new Block(foreign, 8)];
    cursor.setWord(0, der.address);
    foreign.calls.i2d_X509(x509, cursor.address);
    keepUntilHere(der, cursor);
    return der.octets.subarray(0, octets);
  }
}

/** Of records that a peer caused and does not read. */
const UNSENT_OCTETS_MAX = 262_144;
const NOTHING = new Uint8Array(0);

// Constants of OpenSSL and Linux, from their headers.
const NULL = 0n;
/** All results that are not positive mean the same to SSL_get_error. */
const DID_NOT_SUCCEED = 0n;
const TLSEXT_NAMETYPE_HOST_NAME = 0n;
const SSL_ERROR_WANT_READ = 2;
const SSL_ERROR_WANT_WRITE = 3;
const SSL_ERROR_SYSCALL = 5;
const SSL_ERROR_ZERO_RETURN = 6;
