/** An HTTP session without TLS, whose version the client's first octets tell (RFC 9113 §3.3, §3.4). */
import type { Socket } from "node:net";
import type { HttpSession, HttpSessionHandlers } from "../http.ts";
import type { Endpoint } from "../network.ts";
import { toDnsError } from "./system-problem.ts";

/** Waits for octets, then is a session of one version or the other. How long it waits is its owner's affair. */
export class ClearHttpSession implements HttpSession {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly security = undefined;
  readonly #socket: Socket;
  readonly #makeHttp2: () => HttpSession;
  readonly #makeHttp1: () => HttpSession;
  #session: HttpSession | undefined = undefined;
  #isLeaving = false;
  #problem: Error | undefined = undefined;

  constructor(
    socket: Socket,
    ends: { readonly local: Endpoint; readonly remote: Endpoint },
    makeHttp2: () => HttpSession,
    makeHttp1: () => HttpSession,
  ) {
    this.#socket = socket;
    this.local = ends.local;
    this.remote = ends.remote;
    this.#makeHttp2 = makeHttp2;
    this.#makeHttp1 = makeHttp1;
  }

  get partialOctets(): number {
    return this.#session?.partialOctets ?? 0;
  }

  get unsentOctets(): number {
    return this.#session?.unsentOctets ?? 0;
  }

  get isHeldUp(): boolean {
    return this.#session?.isHeldUp ?? false;
  }

  setHandlers(handlers: HttpSessionHandlers): void {
    const socket = this.#socket;
    const onClose = (): void => handlers.onClose(this.#problem);
    const onError = (problem: Error): void => {
      this.#problem = toDnsError(problem, "HTTP connection", "query", "ERR_CONNECTION_LOST");
    };
    const onEnd = (): void => {
      socket.end();
    };
    let beginning: Buffer = Buffer.alloc(0);
    const onReadable = (): void => {
      for (let chunk: unknown = socket.read(); chunk instanceof Buffer; chunk = socket.read())
        beginning = beginning.length === 0 ? chunk : Buffer.concat([beginning, chunk]);
      const compared = Math.min(beginning.length, PREFACE.length);
      const isLikeHttp2 = beginning.compare(PREFACE, 0, compared, 0, compared) === 0;
      if (isLikeHttp2 && compared < PREFACE.length) return;
      socket.off("readable", onReadable).off("close", onClose).off("error", onError).off("end", onEnd);
      // Not before: octets that are put back are announced like new ones.
      socket.unshift(beginning);
      const session = isLikeHttp2 ? this.#makeHttp2() : this.#makeHttp1();
      this.#session = session;
      session.setHandlers(handlers);
      if (this.#isLeaving) session.leave();
    };
    socket.on("readable", onReadable).on("close", onClose).on("error", onError).on("end", onEnd);
  }

  pause(): void {
    this.#session?.pause();
  }

  resume(): void {
    this.#session?.resume();
  }

  leave(): void {
    this.#isLeaving = true;
    this.#session?.leave();
  }

  end(): void {
    if (this.#session === undefined) this.#socket.end();
    else this.#session.end();
  }

  reset(): void {
    if (this.#session !== undefined) this.#session.reset();
    else if (!this.#socket.destroyed) this.#socket.resetAndDestroy();
  }
}

/** The first octets of HTTP/2: no request of HTTP/1.1 begins so. */
const PREFACE = Buffer.from("PRI * HTTP/2.0");
