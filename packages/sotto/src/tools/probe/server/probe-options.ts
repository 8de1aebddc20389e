/** What a probe may do, which names it asks for, and how long it waits. Careful unless told otherwise. */

export type ProbeTransport = "udp" | "tcp" | "tls";

/** Names that a probe asks for. All of them leave the prober, and what they resolve to may leave the target. */
export interface ProbeNames {
  /** Has A records, and is quickly answered. */
  readonly existing: string;
  /** Below it unique names are asked for; whether they exist does not matter. */
  readonly below: string;
  /**
   * Answered after some hundred milliseconds: `{}` in it becomes a unique label, without it one is put before. Absent: several
   * rounds of unique names, which have to be looked up, stand for it.
   */
  readonly delay?: string | undefined;
  /** Signed, with a valid chain; asked for SOA. Absent: validation is not tested. */
  readonly signed?: string | undefined;
  /** Signed wrongly; asked for A. Absent: not tested. */
  readonly bogus?: string | undefined;
  /** Its TXT record says how it was asked for, as `qnamemintest.internet.nl` does. Absent: not tested. */
  readonly minimised?: string | undefined;
}

/** Names of the public DNS. */
export const PROBE_NAMES_DEFAULT: ProbeNames = {
  existing: "example.com",
  below: "example.com",
  signed: "example.com",
  bogus: "dnssec-failed.org",
  minimised: "qnamemintest.internet.nl",
};

/** How long a probe waits, milliseconds. */
export interface Patience {
  readonly connectMs: number;
  readonly handshakeMs: number;
  /** For one reply. Resolvers give up on slow zones later than that, but a prober has many rows. */
  readonly replyMs: number;
  /** For an idle connection to be closed; timers that are longer are told as such. */
  readonly idleMs: number;
  /** For everything but the idle connection; rows that it leaves no time for are told as not testable. */
  readonly probeMs: number;
}

/** For servers of others: a row more or less is worth less than their peace. */
export const PATIENCE_CAREFUL: Patience = {
  connectMs: 3000,
  handshakeMs: 3000,
  replyMs: 2500,
  idleMs: 15_000,
  probeMs: 55_000,
};

/** For own servers: the usual keepalive of two minutes can be waited out. */
export const PATIENCE_THOROUGH: Patience = { ...PATIENCE_CAREFUL, idleMs: 135_000, probeMs: 180_000 };

/** How a target is probed. */
export interface ProbeOptions {
  /** For own servers: more queries at once, more connections, longer waits. */
  readonly isThorough: boolean;
  readonly names: ProbeNames;
  /** Stops the probe; what was not seen by then is told as not testable. */
  readonly signal: AbortSignal | undefined;
  /** PEM authorities instead of the system's. */
  readonly trustAnchorsPem?: readonly string[] | undefined;
  /** Told the secrets of the probe's own TLS connections, as `TlsClientOptions.onKeyLog`. Absent: nobody learns them. */
  readonly onKeyLog?: ((line: string) => void) | undefined;
  /** Absent: what the kind of probe waits by default. */
  readonly patience?: Patience | undefined;
}

/** Queries and connections that one probe sends at most; the rows after that are told as not testable. */
export interface ProbeBudget {
  readonly queriesMax: number;
  readonly connectionsMax: number;
  /** Queries that are in flight at once in the row about that. */
  readonly inFlight: number;
  /** Queries in the row about reuse. */
  readonly reused: number;
}

export const BUDGET_CAREFUL: ProbeBudget = { queriesMax: 350, connectionsMax: 90, inFlight: 20, reused: 5 };
export const BUDGET_THOROUGH: ProbeBudget = {
  queriesMax: 1200,
  connectionsMax: 200,
  inFlight: 200,
  reused: 60,
};
