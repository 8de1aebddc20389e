/** What a server grants its clients: named limits and timers with the reasons for their defaults (RFC 7766 §10, RFC 9210 §4.2). */

/** Timers and limits of each connection of one listener. Under load all but the handshake's and the write stall's timers shrink together. */
export interface SessionLimits {
  /** Unanswered queries of one connection; at the limit reading pauses. */
  readonly inFlightMax: number;
  /** Octets of replies that the peer has not taken yet; at the limit reading pauses, see `writeStallTimeoutMs`. */
  readonly unsentOctetsMax: number;
  /** Queries of one connection; the last one is answered with keepalive 0, then the connection ends. */
  readonly queriesMax: number;
  /** Age of a connection; then keepalive 0, and the end as soon as nothing is in flight. */
  readonly durationMaxMs: number;
  /** TLS handshake, with a PROXY header before it. */
  readonly handshakeTimeoutMs: number;
  /** From accept (and TLS handshake) to the first complete query. */
  readonly firstQueryTimeoutMs: number;
  /** From the first octet of a message to its last (RFC 7766 §8: slow senders are governed by a timeout). */
  readonly messageTimeoutMs: number;
  /** Without queries in flight, since the last complete message or answer; what keepalive promises (RFC 7828 §3.3.2). */
  readonly idleTimeoutMs: number;
  /** With unsent replies, since the peer last took something. */
  readonly writeStallTimeoutMs: number;
}

/** A network whose clients are counted otherwise, such as the addresses of a carrier's translator; the longest prefix counts. */
export interface ClientException {
  /** As text. */
  readonly prefix: string;
  /** Leading bits of an address that make a client there; absent: the usual. */
  readonly bits?: number | undefined;
  /** So many times the connections per address and per subnet, and the rates; absent: 1. */
  readonly factor?: number | undefined;
}

/** Limits that all listeners of a server share. */
export interface AdmissionLimits {
  /** Open connections; at the limit the one that has been idle longest makes room, and without one the newcomer is reset. */
  readonly connectionsMax: number;
  /** Open connections of one client; more are reset (RFC 7766 §6.2.2). */
  readonly connectionsPerAddressMax: number;
  /** Open connections of one subnet; more are reset. */
  readonly connectionsPerSubnetMax: number;
  /** Length of the prefix that makes a subnet, IPv4. */
  readonly subnetBitsIpv4: number;
  /** The same for IPv6. */
  readonly subnetBitsIpv6: number;
  /** Leading bits of an IPv4 address that make a client. */
  readonly clientBitsIpv4: number;
  /** The same for IPv6. */
  readonly clientBitsIpv6: number;
  /** Networks that are otherwise, at most {@link CLIENT_EXCEPTIONS_MAX}; what they have is counted apart from their subnets. */
  readonly clientExceptions: readonly ClientException[];
  /** Handshakes (TLS, PROXY header) under way; more connections are reset. */
  readonly handshakesMax: number;
  /** New connections of one client per second, with a burst of as many and at least one; more are reset. */
  readonly connectionRateMax: number;
  /** New TLS handshakes of one client per second, with a burst of as many and at least one; more are reset. */
  readonly handshakeRateMax: number;
  /** Unanswered queries of all connections; at the limit reading pauses, and connections take turns for what gets free. */
  readonly inFlightTotalMax: number;
  /** Octets of half messages and unsent replies of all connections; above it the connection that holds most is reset. */
  readonly bufferedOctetsMax: number;
}

/** As many as the translators of the largest carriers have prefixes; a look-up takes no longer for them. */
export const CLIENT_EXCEPTIONS_MAX = 10_000;

/** All limits of a stream listener that shares with no other. */
export interface ServerLimits extends SessionLimits, AdmissionLimits {}

/** Defaults for the connections of a listener. */
export const SESSION_LIMITS_DEFAULT: SessionLimits = {
  // Knot Resolver's tcp-pipeline is 100; more in flight per client does not make a resolver faster.
  inFlightMax: 100,
  // One reply of the largest size: who has not read that much is not read from either.
  unsentOctetsMax: 64 * 1024,
  // A client that keeps its connection busy is the one that costs least.
  queriesMax: Number.POSITIVE_INFINITY,
  durationMaxMs: Number.POSITIVE_INFINITY,
  // Node's own default of 120 s lets half handshakes pile up.
  handshakeTimeoutMs: 5_000,
  // A client connects because it has a query; one that waits for it is no worse than one that waits for its second.
  firstQueryTimeoutMs: 10_000,
  // A query is one segment; a whole one that takes this long comes from somebody who holds the connection open.
  messageTimeoutMs: 5_000,
  // RFC 9210 §4.2 advises 10 s, RFC 7766 §6.2.3 "of the order of a few seconds".
  idleTimeoutMs: 10_000,
  // Longer than any retransmission a live peer needs.
  writeStallTimeoutMs: 10_000,
};

/** Defaults for a server that is mostly asked over TCP and TLS. */
export const ADMISSION_LIMITS_DEFAULT: AdmissionLimits = {
  // RFC 9210 §4.5: 150 where UDP dominates, 5000 where TCP and TLS do.
  connectionsMax: 5000,
  // RFC 9210 §4.2 names 25 as a starting point; RFC 7766 §6.2.2 asks to be much looser towards networks behind one address.
  connectionsPerAddressMax: 100,
  // A fifth of all: one network may be large, but not the only one.
  connectionsPerSubnetMax: 1000,
  // What is routed on the public internet, and what an IPv6 site usually has (RFC 6177 §2).
  subnetBitsIpv4: 24,
  subnetBitsIpv6: 56,
  clientBitsIpv4: 32,
  // The whole address: in the one /64 of a LAN are all its hosts, and connections are limited by default. Who limits rates on the
  // open internet gives 56 or 64, because hosts choose addresses at will there (RFC 8981).
  clientBitsIpv6: 128,
  clientExceptions: [],
  // A fraction of a second of one core's work.
  handshakesMax: 500,
  // Many clients behind one address come back at once after a restart; operators who know theirs set a lower one.
  connectionRateMax: Number.POSITIVE_INFINITY,
  handshakeRateMax: Number.POSITIVE_INFINITY,
  // Half of what the query service takes, so that UDP keeps its share.
  inFlightTotalMax: 5000,
  // A thousand of the largest replies.
  bufferedOctetsMax: 64 * 1024 * 1024,
};

/** Both. */
export const SERVER_LIMITS_DEFAULT: ServerLimits = { ...SESSION_LIMITS_DEFAULT, ...ADMISSION_LIMITS_DEFAULT };
