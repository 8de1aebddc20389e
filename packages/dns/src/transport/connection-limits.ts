/** Limits of a client's connection, with the reasons of their defaults. */

/** Limits of a connection; every field has a default. */
export interface ConnectionLimits {
  readonly inFlightMax: number;
  /** Queries sent over the connection's whole life; for servers known to close after so many. */
  readonly queriesMax: number;
  readonly queueMax: number;
  readonly idleTimeoutMs: number;
  readonly keepaliveMsMax: number;
  /** From the first query of a connection to its first reply; then other servers are tried. */
  readonly firstAnswerTimeoutMs: number;
  /** From a query after a pause to any octet at all; then a fresh connection is tried with the time that is left. */
  readonly answerAfterPauseTimeoutMs: number;
  /** The same for a query without a pause before. */
  readonly silenceTimeoutMs: number;
}

/** Queries sent and not answered. Unbound sends as many on one connection (`max-reuse-tcp-queries: 200`). */
const IN_FLIGHT_MAX_DEFAULT = 200;
/** Queries that wait for their turn: five rounds of the former; more would only wait for their time-out. */
const QUEUE_MAX_DEFAULT = 1000;
/**
 * How long a connection without queries stays when the server sent no keepalive option. RFC 7766 §6.2.3 wants idle
 * connections closed by the client, RFC 7858 §3.4 wants reuse; Stubby waits 10 s.
 */
const IDLE_TIMEOUT_MS_DEFAULT = 10_000;
/** The longest time that a server can talk us into (RFC 7828 §3.4 lets either side close at any time). */
const KEEPALIVE_MS_MAX_DEFAULT = 120_000;
/** What a stub waits for one try (RFC 1035 §7.2); a server that has never answered gets no longer deadline. */
const FIRST_ANSWER_TIMEOUT_MS_DEFAULT = 5000;
/**
 * More than nearly every answer takes that is worth waiting for. Too soon costs a handshake and a query that is sent twice; too
 * late costs whoever asks first after a nap or behind a middlebox that forgot the connection.
 */
const ANSWER_AFTER_PAUSE_TIMEOUT_MS_DEFAULT = 1000;
/** A connection that has just worked deserves more doubt, and the system the time to send three times what was lost. */
const SILENCE_TIMEOUT_MS_DEFAULT = 1500;

/** The limits that hold unless others are given. */
export const CONNECTION_LIMITS_DEFAULT: ConnectionLimits = {
  inFlightMax: IN_FLIGHT_MAX_DEFAULT,
  queriesMax: Number.POSITIVE_INFINITY,
  queueMax: QUEUE_MAX_DEFAULT,
  idleTimeoutMs: IDLE_TIMEOUT_MS_DEFAULT,
  keepaliveMsMax: KEEPALIVE_MS_MAX_DEFAULT,
  firstAnswerTimeoutMs: FIRST_ANSWER_TIMEOUT_MS_DEFAULT,
  answerAfterPauseTimeoutMs: ANSWER_AFTER_PAUSE_TIMEOUT_MS_DEFAULT,
  silenceTimeoutMs: SILENCE_TIMEOUT_MS_DEFAULT,
};
