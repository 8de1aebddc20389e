/** What is known of the way to a server over TCP or TLS at this moment, for people; nothing here decides anything. */
import type { BackOffStatus } from "./server-memory.ts";

export interface ConnectionStatus {
  /** Of the connection that the next query would use; `none` opens one. */
  readonly state: "none" | "connecting" | "open";
  /** Milliseconds since connecting began; 0 without a connection. */
  readonly ageMs: number;
  /** `TLSv1.3 X25519MLKEM768`; undefined in clear and before it is known. */
  readonly security: string | undefined;
  readonly isResumed: boolean;
  /** Queries that somebody waits for, sent or not. */
  readonly inFlight: number;
  /** Replies that came over it. */
  readonly served: number;
  /** How long it stays, or would stay, without queries: milliseconds, by what follows. */
  readonly idleTimeoutMs: number;
  /** What the server promised with its latest reply (edns-tcp-keepalive, RFC 7828); undefined without. */
  readonly promisedIdleMs: number | undefined;
  /** After so long this server was seen to close idle connections, less a margin; undefined: not seen, or ours is shorter. */
  readonly learntIdleMs: number | undefined;
  /** Until it is closed as idle; undefined while it is in use or there is none. */
  readonly idleClosesInMs: number | undefined;
  /** Queries after which this server was seen to close, which then is as many as it gets; undefined: as many as there are. */
  readonly queriesMax: number | undefined;
  /** TLS tickets kept for the next connections. */
  readonly tickets: number;
  /** Why no connection is tried for some time; undefined when one may be. */
  readonly backOff: BackOffStatus | undefined;
}
