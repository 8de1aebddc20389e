/**
 * HTTP as the world offers it: sessions that carry requests, whatever their version. `runtime/node` carries them over
 * HTTP/2 and HTTP/1.1. Who may ask, how long anybody waits and what a request means is decided above.
 */
import type { AcceptStage, ChannelSecurity, Endpoint, ListenOptions, PendingConnection } from "./network.ts";

/** What the protocol itself keeps small. */
export interface HttpLimits {
  /** Requests of one HTTP/2 session at once (SETTINGS_MAX_CONCURRENT_STREAMS); more are refused. */
  readonly requestsMax: number;
  /** Octets of the header fields of a request; more end the request (HTTP/2) or the connection (HTTP/1.1, 431). */
  readonly headerOctetsMax: number;
  /** Octets of a body; of a longer one nothing is kept, see {@link HttpExchange.isBodyTooLarge}. */
  readonly bodyOctetsMax: number;
}

/** `tls.alpn` should be `h2` and `http/1.1`. Without TLS both versions are told apart by their first octets. */
export interface HttpListenOptions extends ListenOptions {
  readonly http: HttpLimits;
}

/** Request fields that somebody looks at. */
export type HttpFieldName = "content-type" | "forwarded" | "x-forwarded-for";

/** One request, and the way back to whoever made it. */
export interface HttpExchange {
  readonly method: string;
  /** The request target as it came: path and query, or an absolute URI (RFC 9112 §3.2). */
  readonly target: string;
  /** Several lines of a field are joined by commas. Undefined: the request does not have it. */
  field(name: HttpFieldName): string | undefined;
  /** Whole when `onRequest` is called; the receiver's own. */
  readonly body: Uint8Array;
  /** There was or would be more of a body than allowed; `body` is empty. */
  readonly isBodyTooLarge: boolean;
  /** Answers; once. After the other side has given up nothing happens. `body` must not be changed afterwards. */
  respond(status: number, fields: Readonly<Record<string, string>>, body: Uint8Array): void;
  /** Ends it without an answer: a stream of HTTP/2, the whole connection of HTTP/1.1. */
  abandon(): void;
}

/** Calls made by a session. No call is made after `onClose`. */
export interface HttpSessionHandlers {
  /** The head of a request has come, and its body has not. */
  onBegin(exchange: HttpExchange): void;
  /** More of a body has come; see {@link HttpSession.partialOctets}. */
  onBody(exchange: HttpExchange): void;
  /** A whole request. */
  onRequest(exchange: HttpExchange): void;
  /** Its answer has gone to the system, or the other side has given up. */
  onOver(exchange: HttpExchange): void;
  /** HTTP/1.1: the other side sends no more; its answers still reach it. */
  onEnd(): void;
  /** The connection is gone. Undefined after an orderly close, ERR_MESSAGE_MALFORMED when it was no good HTTP. */
  onClose(problem: Error | undefined): void;
}

/** A connection with a client. */
export interface HttpSession {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** Undefined without TLS. */
  readonly security: ChannelSecurity | undefined;
  /** Octets of requests that are not whole yet, about. */
  readonly partialOctets: number;
  /** Octets of answers that the other side has not taken yet. */
  readonly unsentOctets: number;
  /** HTTP/1.1: answers wait for an earlier one that has not been made yet (RFC 9112 §9.3.2). */
  readonly isHeldUp: boolean;
  /** Must be called once, in the turn the session was handed over; nothing is delivered before. */
  setHandlers(handlers: HttpSessionHandlers): void;
  /** HTTP/1.1: reads no further requests. An HTTP/2 client cannot have more than its streams under way. */
  pause(): void;
  resume(): void;
  /**
   * Tells the client to make no more requests here. Those of HTTP/2 that cross this are not served, and the client knows
   * that it may repeat them elsewhere (RFC 9113 §6.8); those of HTTP/1.1 are.
   */
  leave(): void;
  /** Takes no more requests, sends what there is to send, then closes. */
  end(): void;
  /** Aborts at once. */
  reset(): void;
}

/** What an HTTP listener tells its owner, see `ListenHandlers`. */
export interface HttpListenHandlers {
  onConnection?(remote: Endpoint): PendingConnection | undefined;
  onSession(session: HttpSession, pending: PendingConnection | undefined): void;
  onFailure(
    remote: Endpoint | undefined,
    stage: AcceptStage,
    problem: Error,
    pending: PendingConnection | undefined,
  ): void;
}
