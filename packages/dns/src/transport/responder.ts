/**
 * The shape of everything that answers a query: an upstream, a cache, the recursor, a whole server. Whoever has a
 * query asks a {@link Responder}; whoever changes queries or replies on the way is a {@link Middleware}.
 */

import type { ChannelSecurity, Endpoint, StopSignal } from "@sotto/dns/runtime";
import type { ExtendedError, Message, MessageView, Question } from "@sotto/dns/wire";

/** How octets travelled. `https` is DNS over HTTPS (RFC 8484); `internal` is a query that the program asked itself. */
export type Transport = "udp" | "tcp" | "tls" | "https" | "internal";

/** Who asked, and over what. */
export interface QueryOrigin {
  readonly transport: Transport;
  /** Undefined for internal queries. */
  readonly remote: Endpoint | undefined;
  readonly local: Endpoint | undefined;
  /** Undefined unless the query came over TLS; also on `https` when a proxy before us has ended TLS. */
  readonly security: ChannelSecurity | undefined;
  /**
   * What the client's certificate means for access control: `allowed` and `denied` whatever its address; undefined when
   * its address decides.
   */
  readonly clientVerdict?: "allowed" | "denied" | undefined;
}

/** What a query says, as a {@link MessageView} tells it, too. */
export interface AskedQuestion {
  readonly question: Question;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly authenticData: boolean;
  readonly dnssecOk: boolean;
}

/** One query: its octets as received, a parsed view of them and its origin. */
export interface Query {
  /** The message without length prefix. Stays valid as long as the query. */
  readonly octets: Uint8Array;
  /** Header, question and OPT of `octets`; exactly one question, opcode QUERY. */
  readonly view: MessageView;
  readonly origin: QueryOrigin;
  /** The same as `view`, where it is known without looking at octets; then they need not be made. Absent: look there. */
  readonly asked?: AskedQuestion | undefined;
}

/** What must travel with a query. */
export interface QueryContext {
  /** Aborted when nobody waits for the reply any more. */
  readonly signal: StopSignal;
  /** Monotonic milliseconds (`Clock.nowMs`) after which no reply is of use. */
  readonly deadlineMs: number;
  /** Nobody else is left to ask: a server is tried although its last failures ask for patience. Absent: false. */
  readonly isLastHope?: boolean | undefined;
  /** What is cached is about to end and shall be renewed: nothing is taken from caches. Absent: false. */
  readonly isRefresh?: boolean | undefined;
}

/** RFC 4035 §4.3. Ordered by `SECURITY_ORDER` in dnssec; unvalidated data is `indeterminate`. */
export type SecurityStatus = "secure" | "insecure" | "bogus" | "indeterminate";

/**
 * What protected the exchange with an upstream (RFC 8310 §5): authenticated and encrypted, encrypted, or clear.
 * `local` is data of our own.
 */
export type Protection = "authenticated" | "encrypted" | "clear" | "local";

/** Facts about one exchange with one upstream, for people, logs and measurements. */
export interface ExchangeFacts {
  readonly upstream: Endpoint;
  readonly transport: Transport;
  readonly protection: Protection;
  /** By which means the upstream was authenticated: `name dns.example`, `pin sha256:…`; undefined when it was not. */
  readonly authenticatedBy: string | undefined;
  /** True when the connection had carried an exchange before. */
  readonly connectionReused: boolean;
  /** True when the TLS session was resumed. */
  readonly sessionResumed: boolean;
  readonly security: ChannelSecurity | undefined;
  /** Milliseconds for the TCP handshake; 0 on a reused connection and for UDP. */
  readonly connectMs: number;
  /** Milliseconds for the TLS handshake; 0 on a reused connection and for clear transports. */
  readonly handshakeMs: number;
  /** Milliseconds from sending the query to the whole reply. */
  readonly exchangeMs: number;
  readonly queryOctets: number;
  readonly replyOctets: number;
  /** True when the reply was fetched over TCP after a truncated UDP reply. */
  readonly retriedOverTcp: boolean;
}

/** An answer on its way to whoever asked. */
export interface Reply {
  /**
   * Sections, flags and full 12-bit RCODE. The id and the OPT of `message` belong to the exchange that produced it:
   * `finishResponse` sets those of the client's.
   */
  readonly message: Message;
  readonly security: SecurityStatus;
  readonly protection: Protection;
  /** Extended DNS errors to tell the client (RFC 8914). */
  readonly extendedErrors: readonly ExtendedError[];
  /** Made for whoever asked: others must not get it from a cache. Absent: false. */
  readonly isPersonal?: boolean | undefined;
  /** The last exchange that led to this reply; undefined for local and cached answers. */
  readonly exchange?: ExchangeFacts | undefined;
}

/** Whoever answers queries. Rejects only with a `DnsError`; DNS outcomes are replies. */
export interface Responder {
  respond(query: Query, context: QueryContext): Promise<Reply>;
}

/** Wraps a responder into another. */
export type Middleware = (next: Responder) => Responder;
