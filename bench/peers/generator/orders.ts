/** What the load generator is told to do, and what it tells afterwards. */
import type { Snapshot } from "../accounting.ts";

export type LoadTransport = "udp" | "tcp" | "tls";

export interface LoadTarget {
  readonly transport: LoadTransport;
  /** IPv4. */
  readonly address: string;
  readonly port: number;
}

/** Which questions are asked. */
export type LoadNames =
  /** Those of the zone, over and over. */
  | { readonly kind: "cached" }
  /** The same with EDNS and padding to 128 octets (RFC 8467 §4.1). */
  | { readonly kind: "padded" }
  /** New ones, counted from here. */
  | { readonly kind: "cold"; readonly first: number };

/** When the counted time begins and how long it is. */
export interface LoadWindow {
  readonly leadMs: number;
  readonly windowMs: number;
}

/** Connections with so many queries under way; each query is a write of its own. */
export interface PipelineOrder {
  readonly kind: "pipeline";
  readonly target: LoadTarget;
  readonly connections: number;
  /** Queries under way on all connections together; our generator gives each the same number, rounded up. */
  readonly outstanding: number;
  readonly names: LoadNames;
  /**
   * Queries in all, evenly in time. One that is due while all that may be are under way is sent later; its latency counts from when it
   * was due. Absent: a new one for each answer.
   */
  readonly ratePerSecond?: number;
  /** Ends after so many answers in all, without lead-in: to fill caches. */
  readonly answersMax?: number;
}

/** A new connection for each query, so many at once. */
export interface ConnectOrder {
  readonly kind: "connect";
  readonly target: LoadTarget;
  readonly atOnce: number;
  readonly isResumed: boolean;
}

/** Connections that are opened, asked once and held until the next order, `release`. */
export interface HoldOrder {
  readonly kind: "hold";
  readonly target: LoadTarget;
  readonly connections: number;
}

/** Asks once more on each connection that is held, and closes them. */
export interface ReleaseOrder {
  readonly kind: "release";
}

export type LoadOrder = PipelineOrder | ConnectOrder | HoldOrder | ReleaseOrder;

export interface LoadRequest {
  readonly order: LoadOrder;
  readonly window: LoadWindow;
  /** Processes whose CPU time is read at both ends of the counted time, with all that descend from them. */
  readonly watched: readonly number[];
}

export interface LoadOutcome {
  /** Right answers in the counted time. */
  readonly answers: number;
  /** Wrong ones: id, question or response code. */
  readonly wrong: number;
  /** Queries without an answer in time, or never sent, and connections that failed or were closed by the server. */
  readonly lost: number;
  /** TLS handshakes that resumed a session, of {@link answers}. */
  readonly resumed: number;
  /** Names that were used up, for the next `cold`. */
  readonly coldUsed: number;
  /** Quantiles of latencies; of a rate, queries that were lost are slower than all. Absent: the load does not tell. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** Of a rate: the longest time that the load itself was late to look what is due, milliseconds. */
  readonly behindMs?: number;
  /** Milliseconds in which the answers came, where that is not the time between the snapshots. */
  readonly runMs?: number;
  readonly before: Snapshot;
  readonly after: Snapshot;
}
