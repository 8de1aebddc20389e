/**
 * What a test server does, as data: how it does TLS, how it treats connections, and how its replies differ from right ones.
 * What is absent is done rightly. Interpreted by `tls-side.ts`, `stream-session.ts`, `make-reply.ts` and `write-steps.ts`.
 */

/**
 * How a connection ends. `fin` is the orderly way: close_notify on TLS, then FIN. `silence` leaves it open and says nothing
 * more. The two others exist on TLS only and do one half of `fin` each.
 */
export type End = "fin" | "rst" | "silence" | "fin-without-close-notify" | "close-notify-only";

/** How a server behaves; each part may be absent. */
export interface Behaviour {
  readonly tls?: TlsBehaviour;
  readonly connection?: ConnectionBehaviour;
  readonly reply?: ReplyBehaviour;
}

export type TlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

export interface TlsBehaviour {
  /** Lowest and highest version. Default TLS 1.2 and 1.3. */
  readonly versions?: readonly [TlsVersion, TlsVersion];
  /** Default `good`. */
  readonly certificate?: CertificateKind;
  /** Protocols it knows (RFC 7301). Default `dot`; none: the extension is ignored. */
  readonly alpn?: readonly string[];
  /** `refused`: hands tickets out and takes none; `none` is possible up to TLS 1.2 only. Default: hands out and takes. */
  readonly tickets?: "refused" | "none";
  /** Wants a certificate of its own authority from clients. */
  readonly wantsClientCertificate?: boolean;
  /** Refuses handshakes without SNI (RFC 6066 §3). */
  readonly needsServerName?: boolean;
  /** Where in the handshake it stops, and how. */
  readonly stop?: HandshakeStop;
  /** Does something else than TLS on the TLS port. */
  readonly instead?: "cleartext" | "http" | "alert";
}

/** A point in the handshake: `before` or in the `middle` of the server's first or second flight. */
export interface HandshakeStop {
  readonly flight: 1 | 2;
  readonly at: "before" | "middle";
  readonly how: "fin" | "rst" | "silence";
}

export type CertificateKind =
  | "good"
  | "wildcard"
  | "address-only"
  | "wrong-name"
  | "name-in-cn-only"
  | "expired"
  | "not-yet-valid"
  | "self-signed"
  | "other-authority"
  | "no-intermediate"
  | "new-key"
  | "client-usage"
  | "sha1"
  | "rsa-1024";

export interface ConnectionBehaviour {
  /** Before the first octet, also of TLS. */
  readonly atAccept?: End;
  /** When the first query has been read. */
  readonly atFirstQuery?: End;
  /** After so many answers on one connection. */
  readonly afterAnswers?: { readonly count: number; readonly how: End };
  /** After so long without a query in flight. Default {@link IDLE_MS} and `fin`. */
  readonly idle?: { readonly afterMs: number; readonly how: End };
  /** So many at once; what comes beyond is closed after it was accepted. */
  readonly connectionsMax?: number;
  /**
   * `any`: each reply leaves when it is ready. `arrival`: one query after the other. `reversed`: what came within
   * {@link BATCH_MS} is answered from the last to the first. `first-only`: of the queries that come together only the first
   * is answered. Default `any`.
   */
  readonly order?: "arrival" | "reversed" | "first-only";
  /** Asks for TCP Fast Open on the listener (RFC 7413). Default: no. */
  readonly fastOpen?: boolean;
  /** Nothing listens, or nothing is ever accepted; see `unaccepted-port.ts`. */
  readonly port?: "closed" | "drops-syn";
}

export interface ReplyBehaviour {
  readonly delayMs?: number;
  /** The reply has exactly so many octets, before padding; more than fit give TC over UDP. */
  readonly octets?: number;
  readonly rcode?: number;
  /** INFO-CODE of an extended error (RFC 8914). */
  readonly extendedError?: number;
  /** Reads queries and answers none. */
  readonly isSilent?: boolean;
  /** TC and no records over UDP. */
  readonly truncates?: boolean;
  readonly edns?: EdnsDefect;
  readonly keepalive?: KeepaliveAnswer;
  /** Default: to a multiple of 468 octets, on TLS, when the query was padded (RFC 8467 §4.1). */
  readonly padding?: PaddingAnswer | "none";
  readonly message?: MessageDefect;
  readonly framing?: Framing;
  /** What becomes of the connection after the reply. */
  readonly endsBy?: End;
}

/** What is wrong with the treatment of OPT records (RFC 6891). */
export type EdnsDefect =
  /** Queries with OPT get only this response code and no OPT. */
  | "formerr"
  | "notimp"
  /** FORMERR, with an OPT. */
  | "formerr-with-opt"
  /** Queries with OPT get nothing. */
  | "drop"
  /** Queries with an option that few know get nothing. */
  | "drop-unknown-option"
  /** BADVERS although the version is 0. */
  | "badvers"
  /** Sends all options of the query back. */
  | "echo"
  /** As if the query had no OPT. */
  | "no-opt"
  /** DO of the query is not copied (RFC 3225 §3). */
  | "do-cleared"
  | "two-opts"
  /** Claims version 1. */
  | "version-1"
  /** An OPT although the query had none. */
  | "unasked";

/** The n-th reply of a connection takes the n-th value, the last one stays. */
export interface KeepaliveAnswer {
  /** Units of 100 ms; `session` is the true idle time; a list of octets is the option's data, right or not. */
  readonly values: readonly (number | "session" | "absent" | readonly number[])[];
  /** To queries with the option, with any OPT, or even over UDP. Default `asked`. */
  readonly when?: "asked" | "edns";
  readonly alsoUdp?: boolean;
}

export interface PaddingAnswer {
  readonly blockOctets: number;
  /** `always` also answers a query without OPT with one. Default `asked`. */
  readonly when?: "asked" | "edns" | "always";
  /** Also without TLS. */
  readonly inClear?: boolean;
  /** The value of all padding octets. Default 0. */
  readonly fill?: number;
  /** Default 1. */
  readonly copies?: number;
  /** Stands before the other options. */
  readonly isFirst?: boolean;
  /** So many octets, whatever the block says. */
  readonly dataOctets?: number;
}

export type MessageDefect =
  | "wrong-id"
  | "wrong-id-first"
  | "wrong-question"
  | "no-question"
  | "query-bit"
  | "garbage"
  | "cut"
  | "trailing-octets"
  | "twice"
  | "unsolicited-first"
  | "old-id-first";

/** How a message lies in the stream (RFC 1035 §4.2.2, RFC 7766 §8). */
export type Framing =
  /** Every octet in a segment of its own. */
  | "octet-by-octet"
  /** The two octets of the length in two segments. */
  | "split-length"
  /** A frame of length 0 before it. */
  | "empty-frame-first"
  /** The length says 10 octets more than follow. */
  | "length-too-long"
  /** The length says 10 octets fewer than follow. */
  | "length-too-short"
  /** Half of the frame only. */
  | "half"
  /** Held back until the next reply, and then both in one segment. */
  | "with-next";

/** How long a connection may be idle when nothing else is said: RFC 9210 §4.2 wants the order of seconds. */
export const IDLE_MS = 10_000;
/** How long queries are collected that will be answered in reverse, and a reply waits for the next one. */
export const BATCH_MS = 50;

/** One behaviour on top of another: what the second one says wins. */
export function combineBehaviours(below: Behaviour, above: Behaviour): Behaviour {
  return {
    tls: { ...below.tls, ...above.tls },
    connection: { ...below.connection, ...above.connection },
    reply: { ...below.reply, ...above.reply },
  };
}
