/** What is known of backends and their pool at this moment, for people; nothing here decides anything. */
import type { Authentication } from "@sotto/dns/transport";
import type { FailureKind } from "./attempt.ts";
import type { BackendState } from "./backend-health.ts";

/** Counts since the start. */
export interface BackendCounters {
  /** Queries that were given to it, checks included. */
  sent: number;
  /** Replies to them, whatever they said, in time or not. */
  answered: number;
  /** Replies that came when nobody waited any more. */
  late: number;
  /** Queries that came here after another backend had them. */
  retries: number;
  /** Queries that were asked again over TCP, because the reply over UDP was truncated. */
  truncated: number;
  /** Tries without a reply, by kind. */
  readonly failures: Record<FailureKind, number>;
}

export interface BackendStatus {
  readonly name: string;
  /** As it is written in the configuration. */
  readonly address: string;
  readonly state: BackendState;
  readonly why: string;
  /** Whether its latest connection proved who it is (RFC 8310 §5), how, or why not; undefined: it is not asked over TLS. */
  readonly authentication: (Authentication & { readonly isRequired: boolean }) | undefined;
  /** How long it has had this state, milliseconds. */
  readonly forMs: number;
  readonly weight: number;
  readonly inFlight: number;
  readonly queued: number;
  /** Open, or being opened or closed. */
  readonly connections: number;
  /** Connections since the start. */
  readonly connectionsOpened: number;
  readonly sockets: number;
  /** Datagrams that matched no query. */
  readonly wrongReplies: number;
  /** Queries that one connection gets, where that was learnt; undefined: as many as there are. */
  readonly queriesPerConnection: number | undefined;
  /** Mean of the latest replies, milliseconds; 0 before the first. */
  readonly latencyMs: number;
  /** 99 of 100 took no longer, milliseconds; undefined before the first. */
  readonly latencyP99Ms: number | undefined;
  readonly counters: BackendCounters;
}

export interface PoolStatus {
  readonly name: string;
  readonly isDown: boolean;
  readonly isSaturated: boolean;
  /** Queries under way. */
  readonly queries: number;
  /** Milliseconds after which another backend is asked as well. */
  readonly patienceMs: number;
  readonly backends: readonly BackendStatus[];
}
