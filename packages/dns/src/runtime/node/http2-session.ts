/** A session of HTTP/2 (RFC 9113) on a socket whose handshake is done: `node:http2`, with its limits set. */
import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { DnsError } from "../dns-error.ts";
import type { HttpFieldName, HttpLimits, HttpSession, HttpSessionHandlers } from "../http.ts";
import type { ChannelSecurity, Endpoint } from "../network.ts";
import { FIELDS_MAX, joinedField, NodeHttpExchange } from "./http-exchange.ts";
import { toDnsError } from "./system-problem.ts";

/** See the head of this file. */
export class NodeHttp2Session implements HttpSession {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly security: ChannelSecurity | undefined;
  partialOctets = 0;
  unsentOctets = 0;
  readonly isHeldUp = false;
  readonly limits: HttpLimits;
  readonly #socket: Socket;
  readonly #session: ServerHttp2Session;
  #problem: Error | undefined = undefined;
  /** One side has ended the session in a way that is seen here. */
  #isEnding = false;

  constructor(
    socket: Socket,
    security: ChannelSecurity | undefined,
    ends: { readonly local: Endpoint; readonly remote: Endpoint },
    limits: HttpLimits,
  ) {
    this.local = ends.local;
    this.remote = ends.remote;
    this.security = security;
    this.limits = limits;
    this.#socket = socket;
    // Requests end by themselves: who ends the connection waits for nothing more (RFC 9113 §5.4.1, §9.1).
    socket.allowHalfOpen = false;
    this.#session = performServerHandshake(socket, {
      settings: {
        maxConcurrentStreams: limits.requestsMax,
        maxHeaderListSize: limits.headerOctetsMax,
        enablePush: false,
      },
      maxHeaderListPairs: FIELDS_MAX,
      maxSessionInvalidFrames: INVALID_FRAMES_MAX,
      maxSessionRejectedStreams: REJECTED_STREAMS_MAX,
      streamResetBurst: STREAM_RESETS_BURST,
      streamResetRate: STREAM_RESETS_PER_SECOND,
    });
  }

  setHandlers(handlers: HttpSessionHandlers): void {
    const session = this.#session;
    session.on("stream", (stream, fields, flags) => {
      const exchange = new Http2Exchange(this, handlers, stream, fields);
      if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) handlers.onRequest(exchange);
      else exchange.begin();
    });
    session.on("error", (problem) => {
      const code: unknown = Reflect.get(problem, "code");
      this.#problem = String(code).startsWith("ERR_HTTP2")
        ? new DnsError("ERR_MESSAGE_MALFORMED", `HTTP/2: ${problem.message}`, { cause: problem })
        : toDnsError(problem, "HTTP/2 session", "query", "ERR_CONNECTION_LOST");
    });
    session.on("goaway", this.#ending);
    this.#socket.on("end", this.#ending);
    this.#socket.on("close", () => {
      // nghttp2 ends the session of who resets too much, and tells nobody.
      if (!this.#isEnding)
        this.#problem ??= new DnsError("ERR_MESSAGE_MALFORMED", "HTTP/2: the client broke the rules");
      handlers.onClose(this.#problem);
    });
    if (this.#socket.destroyed) queueMicrotask(() => handlers.onClose(this.#problem));
  }

  /** Streams are limited in number, so that there is nothing to pause. */
  pause(): void {}

  resume(): void {}

  leave(): void {
    // With the identifier of the last stream: nghttp2 takes no stream after a GOAWAY, and the client may
    // ask on another connection what has a higher one (RFC 9113 §6.8).
    if (!this.#session.destroyed && !this.#session.closed) this.#session.goaway(constants.NGHTTP2_NO_ERROR);
  }

  readonly #ending = (): void => {
    this.#isEnding = true;
  };

  end(): void {
    this.#isEnding = true;
    if (!this.#session.destroyed) this.#session.close();
  }

  reset(): void {
    this.#isEnding = true;
    if (!this.#session.destroyed) this.#session.destroy();
    if (!this.#socket.destroyed) this.#socket.destroy();
  }
}

class Http2Exchange extends NodeHttpExchange {
  readonly method: string;
  readonly target: string;
  readonly #stream: ServerHttp2Stream;
  readonly #fields: Readonly<Record<HttpFieldName | "content-length", string | undefined>>;

  constructor(
    session: NodeHttp2Session,
    handlers: HttpSessionHandlers,
    stream: ServerHttp2Stream,
    fields: IncomingHttpHeaders,
  ) {
    super(session, handlers);
    this.#stream = stream;
    this.method = String(fields[":method"] ?? "");
    this.target = String(fields[":path"] ?? "");
    // The others need not be held.
    this.#fields = {
      "content-type": joinedField(fields["content-type"]),
      "content-length": joinedField(fields["content-length"]),
      forwarded: joinedField(fields["forwarded"]),
      "x-forwarded-for": joinedField(fields["x-forwarded-for"]),
    };
    // What a stream dies of is told by its end; its session tells of what ends more.
    stream.on("error", ignore);
    stream.on("close", () => this.over());
  }

  field(name: HttpFieldName): string | undefined {
    return this.#fields[name];
  }

  /** An aborted stream ends, too. */
  get isSettled(): boolean {
    return this.#stream.aborted || this.#stream.headersSent;
  }

  /** Waits for the body. A client may open all its streams and send none. */
  begin(): void {
    this.collect(this.#stream, STREAM_OCTETS + this.target.length, this.#fields["content-length"]);
  }

  respond(status: number, fields: Readonly<Record<string, string>>, body: Uint8Array): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed || stream.headersSent) return;
    const isBare = body.length === 0 || this.method === "HEAD";
    this.countUnsent(FIELDS_OCTETS + (isBare ? 0 : body.length));
    stream.respond({ ":status": status, ...fields }, { endStream: isBare });
    if (!isBare) stream.end(body);
    // RFC 9113 §8.1: an answer before the end of the request asks the client to send no more of it.
    if (!this.isWhole) stream.close(constants.NGHTTP2_NO_ERROR);
  }

  abandon(): void {
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_CANCEL);
  }
}

function ignore(): void {}

/** About what Node holds for an open stream. */
const STREAM_OCTETS = 4096;
/** About what the fields of an answer take. */
const FIELDS_OCTETS = 64;
/** Frames that do not fit the protocol before the session ends; Node's default of 1000 is a lot of work for nothing. */
const INVALID_FRAMES_MAX = 32;
/** Streams above the limit before the session ends: a client that has not seen our settings yet may open a hundred or two. */
const REJECTED_STREAMS_MAX = 200;
/**
 * Streams that a client may reset at once, and per second from then on; one more ends the session (CVE-2023-44487).
 * Browsers cancel a query now and then.
 */
const STREAM_RESETS_BURST = 200;
const STREAM_RESETS_PER_SECOND = 20;
