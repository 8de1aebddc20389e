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
import type { HttpExchange, HttpFieldName, HttpLimits, HttpSession, HttpSessionHandlers } from "../http.ts";
import type { ChannelSecurity, Endpoint } from "../network.ts";
import { toDnsError } from "./system-problem.ts";

/** See the head of this file. */
export class NodeHttp2Session implements HttpSession {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly security: ChannelSecurity | undefined;
  partialOctets = 0;
  unsentOctets = 0;
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
      else exchange.collect();
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

class Http2Exchange implements HttpExchange {
  readonly method: string;
  readonly target: string;
  body: Uint8Array = NO_OCTETS;
  isBodyTooLarge = false;
  #isWhole = true;
  readonly #session: NodeHttp2Session;
  readonly #handlers: HttpSessionHandlers;
  readonly #stream: ServerHttp2Stream;
  readonly #fields: Readonly<Record<HttpFieldName | "content-length", string | undefined>>;
  #chunks: Buffer[] = [];
  #bodyOctets = 0;
  #partialOctets = 0;
  #unsentOctets = 0;

  constructor(
    session: NodeHttp2Session,
    handlers: HttpSessionHandlers,
    stream: ServerHttp2Stream,
    fields: IncomingHttpHeaders,
  ) {
    this.#session = session;
    this.#handlers = handlers;
    this.#stream = stream;
    this.method = String(fields[":method"] ?? "");
    this.target = String(fields[":path"] ?? "");
    // The others need not be held.
    this.#fields = {
      "content-type": fieldOf(fields, "content-type"),
      "content-length": fieldOf(fields, "content-length"),
      forwarded: fieldOf(fields, "forwarded"),
      "x-forwarded-for": fieldOf(fields, "x-forwarded-for"),
    };
    // What a stream dies of is told by its end; its session tells of what ends more.
    stream.on("error", ignore);
    stream.on("close", this.#over);
  }

  field(name: HttpFieldName): string | undefined {
    return this.#fields[name];
  }

  /** Waits for the body. */
  collect(): void {
    this.#isWhole = false;
    // A client may open all its streams and send no body.
    this.#addPartial(STREAM_OCTETS + this.target.length);
    this.#handlers.onBegin(this);
    if (Number(this.#fields["content-length"] ?? 0) > this.#session.limits.bodyOctetsMax) {
      this.#isTooLarge();
      return;
    }
    this.#stream.on("data", (chunk: Buffer) => {
      if (this.isBodyTooLarge) return;
      this.#bodyOctets += chunk.length;
      this.#addPartial(chunk.length);
      if (this.#bodyOctets > this.#session.limits.bodyOctetsMax) {
        this.#isTooLarge();
        return;
      }
      this.#chunks.push(chunk);
      this.#handlers.onBody(this);
    });
    this.#stream.on("end", () => {
      // An aborted stream ends, too.
      if (this.isBodyTooLarge || this.#stream.aborted) return;
      this.#isWhole = true;
      // It was refused in the meantime.
      if (this.#stream.headersSent) return;
      const [first] = this.#chunks;
      this.body = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
      this.#forget();
      this.#handlers.onRequest(this);
    });
  }

  #isTooLarge(): void {
    this.isBodyTooLarge = true;
    this.#forget();
    this.#handlers.onRequest(this);
  }

  #addPartial(octets: number): void {
    this.#partialOctets += octets;
    this.#session.partialOctets += octets;
  }

  #forget(): void {
    this.#chunks = [];
    this.#addPartial(-this.#partialOctets);
  }

  respond(status: number, fields: Readonly<Record<string, string>>, body: Uint8Array): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed || stream.headersSent) return;
    const isBare = body.length === 0 || this.method === "HEAD";
    this.#unsentOctets = FIELDS_OCTETS + (isBare ? 0 : body.length);
    this.#session.unsentOctets += this.#unsentOctets;
    stream.respond({ ":status": status, ...fields }, { endStream: isBare });
    if (!isBare) stream.end(body);
    // RFC 9113 §8.1: an answer before the end of the request asks the client to send no more of it.
    if (!this.#isWhole) stream.close(constants.NGHTTP2_NO_ERROR);
  }

  abandon(): void {
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  readonly #over = (): void => {
    this.#forget();
    this.#session.unsentOctets -= this.#unsentOctets;
    this.#unsentOctets = 0;
    this.#handlers.onOver(this);
  };
}

function fieldOf(fields: IncomingHttpHeaders, name: string): string | undefined {
  const value = fields[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

function ignore(): void {}

const NO_OCTETS = new Uint8Array(0);
/** Header fields of one request; browsers send about twenty. */
const FIELDS_MAX = 64;
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
