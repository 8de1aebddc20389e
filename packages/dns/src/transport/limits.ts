/** What one listener grants its clients: named limits and timers with the reasons for their defaults (RFC 7766 §10, RFC 9210 §4.2). */

/** Limits and timers of a stream listener. */
export interface ServerLimits {
  /** Open connections; at the limit the one that has been idle longest makes room, and without one the newcomer is reset. */
  readonly connectionsMax: number;
  /** Open connections of one client address; more are reset (RFC 7766 §6.2.2). */
  readonly connectionsPerAddressMax: number;
  /** Unanswered queries of one connection; at the limit reading pauses. */
  readonly inFlightMax: number;
  /** Octets of replies that the peer has not taken yet; at the limit reading pauses, see `writeStallTimeoutMs`. */
  readonly unsentOctetsMax: number;
  /** From accept (and TLS handshake) to the first complete query. */
  readonly firstQueryTimeoutMs: number;
  /** From the first octet of a message to its last (RFC 7766 §8: slow senders are governed by a timeout). */
  readonly messageTimeoutMs: number;
  /** Without queries in flight, since the last complete message; what keepalive promises (RFC 7828 §3.3.2). */
  readonly idleTimeoutMs: number;
  /** With unsent replies, since the peer last took something. */
  readonly writeStallTimeoutMs: number;
  /** TLS handshake. */
  readonly handshakeTimeoutMs: number;
}

/** Defaults for a server that is mostly asked over TCP and TLS. */
export const SERVER_LIMITS_DEFAULT: ServerLimits = {
  // RFC 9210 §4.2 suggests 150 where UDP dominates; with TLS clients that keep connections, operators use thousands.
  connectionsMax: 5000,
  // RFC 9210 §4.2 names 25 as a starting point; RFC 7766 §6.2.2 asks to be much looser towards networks behind one address.
  connectionsPerAddressMax: 100,
  // Knot Resolver's tcp-pipeline is 100; more in flight per client does not make a resolver faster.
  inFlightMax: 100,
  // Four replies of the largest size.
  unsentOctetsMax: 256 * 1024,
  // A client connects because it has a query.
  firstQueryTimeoutMs: 10_000,
  // A query is one segment; a whole one that takes this long comes from somebody who holds the connection open.
  messageTimeoutMs: 5_000,
  // RFC 9210 §4.2 advises 10 s, RFC 7766 §6.2.3 "of the order of a few seconds".
  idleTimeoutMs: 10_000,
  // Longer than any retransmission a live peer needs.
  writeStallTimeoutMs: 10_000,
  // Node's own default of 120 s lets half handshakes pile up.
  handshakeTimeoutMs: 5_000,
};
