/**
 * The server's side of a TLS connection, without what `tls.Server` puts around one: a second socket below it that lives as
 * long, a timer and seven listeners. These are most of what a connection costs that asks one question.
 */
import type { Socket } from "node:net";
import { TLSSocket, type TLSSocketOptions } from "node:tls";

/** Whom a {@link AcceptedTls} tells what becomes of its handshake. */
export interface HandshakeEvents {
  onSecure(socket: AcceptedTls): void;
  /** Called once for a handshake that failed, with the reason; undefined: the client closed the connection. The socket is gone or going. */
  onFailed(socket: AcceptedTls, problem: Error | undefined): void;
}

/** A TLS socket over an accepted connection. */
export class AcceptedTls extends TLSSocket {
  /** Undefined once the handshake is over, well or not. */
  #events: HandshakeEvents | undefined;

  /**
   * Begins the handshake in the next turn. When nobody has read from `below` yet, its connection is taken from it, and it
   * must not be used any more.
   */
  constructor(below: Socket, options: TLSSocketOptions, events: HandshakeEvents) {
    const handle = takeHandle(below);
    // What is not among Node's options stays with the socket.
    const withHandle: TLSSocketOptions & { handle: unknown } = { ...options, handle };
    super(handle === undefined ? below : NO_SOCKET, withHandle);
    if (handle !== undefined) {
      // Node takes a TLS socket without one below for a client that is about to connect.
      Reflect.set(this, "connecting", false);
      own(handle, this);
    }
    this.#events = events;
    // Who ends during the handshake has gone: otherwise its place would be held until the handshake timeout.
    this.allowHalfOpen = false;
    this.on("secure", this.#onSecure);
    this.on("error", this.#onError);
    this.on("close", this.#onClose);
  }

  /** Ends a handshake that is not over. */
  failHandshake(problem: Error | undefined): void {
    const events = this.#events;
    if (events === undefined) return;
    this.#events = undefined;
    events.onFailed(this, problem);
    this.destroy();
  }

  /**
   * Why the client's certificate is not good, in OpenSSL's words; undefined when it is. For sockets that ask for one. A
   * session that was resumed has the certificate and its verdict in the ticket.
   */
  get certificateProblem(): string | undefined {
    if (this.getPeerX509Certificate() === undefined) return "UNABLE_TO_GET_ISSUER_CERT";
    const handle: unknown = Reflect.get(this, "_handle");
    const verify: unknown =
      typeof handle === "object" && handle !== null && Reflect.get(handle, "verifyError");
    // What cannot be asked is not good.
    if (typeof verify !== "function") return "UNSPECIFIED";
    const problem: unknown = Reflect.apply(verify, handle, []);
    if (problem === null || problem === undefined) return undefined;
    return String(typeof problem === "object" && "code" in problem ? problem.code : problem);
  }

  // One function for all sockets, called with the socket as `this`.

  #onSecure(): void {
    const events = this.#events;
    this.#events = undefined;
    // After its queries a client may end and still wait for answers (RFC 7766 §6.2.4).
    this.allowHalfOpen = true;
    // A `tls.Server` would say so; node:http2 waits for it.
    Reflect.set(this, "secureConnecting", false);
    events?.onSecure(this);
  }

  #onError(problem: Error): void {
    this.failHandshake(problem);
  }

  #onClose(): void {
    this.failHandshake(undefined);
  }

  /** Node asks it for every connection: the transport below is what was taken, if anything was. */
  _wrapHandle(below: unknown, handle: unknown, isWriting: boolean): unknown {
    const options: unknown = Reflect.get(this, "_tlsOptions");
    const taken: unknown = typeof options === "object" && options !== null && Reflect.get(options, "handle");
    // Node has called the method of this name, which is this one.
    return Reflect.apply(wrapHandle as () => unknown, this, [below, handle ?? taken, isWriting]);
  }

  /** Node keeps errors to itself until a `tls.Server` has released the socket; ours are told at once. */
  _tlsError(problem: Error): Error {
    return problem;
  }
}

const wrapHandle: unknown = Reflect.get(TLSSocket.prototype, "_wrapHandle");
/** `TLSSocket` takes it, and its types do not say so. */
const NO_SOCKET = null as unknown as Socket;

/** What the system's connection is to Node, taken from a socket that nobody has read from; undefined, and nothing done, where it cannot be had. */
function takeHandle(socket: Socket): object | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof wrapHandle !== "function" || typeof handle !== "object" || handle === null) return undefined;
  const isUntouched =
    socket.readableFlowing === null && socket.readableLength === 0 && socket.writableLength === 0;
  if (!isUntouched || typeof Reflect.get(handle, "getpeername") !== "function") return undefined;
  Reflect.set(socket, "_handle", null);
  return handle;
}

/** A handle knows its socket, which would live on otherwise. */
function own(handle: object, socket: TLSSocket): void {
  ownerKey ??= Object.getOwnPropertySymbols(handle).find((key) => key.description === "owner_symbol");
  if (ownerKey !== undefined) Reflect.set(handle, ownerKey, socket);
}

/** The same for all handles of a process. */
let ownerKey: symbol | undefined;
