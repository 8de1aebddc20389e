/** What can be said about a pool and its backends, with the reasons of the defaults. */
import type { Endpoint } from "@sotto/dns/runtime";
import type { TlsPolicy, UpstreamAddress } from "@sotto/dns/transport";
import { type Name, parseName, type Rcode, RRType } from "@sotto/dns/wire";
import type { Balancing } from "./balancing.ts";

/** Limits and timers of one backend; every field has a default. */
export interface BackendLimits {
  /** Connections at once, those that are being opened or closed included. */
  readonly connections: number;
  /** Queries that the backend has and that are not settled. */
  readonly inFlightMax: number;
  /** Queries that wait for one of these places; of a UDP backend as many again that wait for TCP. */
  readonly queueMax: number;
  readonly connectTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  /** Without queries, when the backend promises nothing (RFC 7828). */
  readonly idleTimeoutMs: number;
  /** What UDP queries say that we take (RFC 6891 §6.2.3). */
  readonly udpPayloadOctets: number;
  /** UDP sockets at once. */
  readonly sockets: number;
  /** Times that a query is sent over UDP, the first included. */
  readonly udpSendsMax: number;
  /** Block size of queries over TLS; 0: no padding. */
  readonly padBlockOctets: number;
  /** Queries that leave together over TLS share records: a third of the cost, for backends that read all messages of a record. */
  readonly joinsRecords: boolean;
}

export const BACKEND_LIMITS_DEFAULT: BackendLimits = {
  // One answers in order at worst, so that one slow name holds up a quarter and not all; more would only make batches smaller.
  connections: 4,
  // What an Unbound of one thread works on (`num-queries-per-thread: 1024`).
  inFlightMax: 1000,
  // As long again: who waits behind more than that would wait for its time-out.
  queueMax: 1000,
  // Backends are near: a lost SYN is sent again after one second, and another backend is better than the third.
  connectTimeoutMs: 1500,
  handshakeTimeoutMs: 2500,
  // Clients' connections are what is scarce at a backend; one that had traffic will have some again.
  idleTimeoutMs: 30_000,
  // DNS flag day 2020: fits every path.
  udpPayloadOctets: 1232,
  sockets: 4,
  udpSendsMax: 3,
  // RFC 8467 §4.1.
  padBlockOctets: 128,
  // NSD 4.6 takes one message from each record and lets the others wait.
  joinsRecords: false,
};

export interface BackendOptions {
  /** Unique in its pool. */
  readonly name: string;
  readonly address: UpstreamAddress;
  /** Undefined: what the address asks for (`upstreamTlsPolicy`). */
  readonly tls?: TlsPolicy | undefined;
  /** Where a UDP backend is asked over TCP; undefined: the same address and port. */
  readonly tcpEndpoint?: Endpoint | undefined;
  /** Source address; undefined lets the system choose. */
  readonly localAddress?: string | undefined;
  /** Share of the queries relative to the others', above 0. Default 1. */
  readonly weight?: number | undefined;
  /**
   * Tells the backend whom we speak for (PROXY v2; inside TLS). A connection is then of one client, and `connections` counts
   * clients. Default false.
   */
  readonly tellsClient?: boolean | undefined;
  readonly limits?: Partial<BackendLimits> | undefined;
  /** It was drained by command before, and stays so. Default false. */
  readonly isDrained?: boolean | undefined;
}

/** How it is found out whether a backend works. */
export interface HealthOptions {
  /** What active checks ask. */
  readonly name: Name;
  readonly type: number;
  /** What a backend that works may answer; undefined: anything but SERVFAIL. */
  readonly rcodes: readonly Rcode[] | undefined;
  /** Between checks of a backend that is up, milliseconds; 0: no active checks, and who is down is tried with queries. */
  readonly intervalMs: number;
  /** The same while it is down; a shorter `intervalMs` counts then, too. */
  readonly downIntervalMs: number;
  readonly timeoutMs: number;
  /** Good checks in a row that bring a backend up. */
  readonly rise: number;
  /** Bad checks in a row that take it down. */
  readonly fall: number;
  /** Connections and queries that failed, without a reply between them, that take it down. */
  readonly failuresMax: number;
  /** In which those must lie, milliseconds. */
  readonly failureWindowMs: number;
  /** In which its share grows to its weight after it came up, milliseconds; 0: at once. */
  readonly slowStartMs: number;
}

export const HEALTH_DEFAULT: HealthOptions = {
  // Every resolver has it in its cache, and an authority that does not serve it answers, too.
  name: parseName("."),
  type: RRType.NS,
  rcodes: undefined,
  intervalMs: 5000,
  // Clients wait for it.
  downIntervalMs: 1000,
  timeoutMs: 1500,
  rise: 2,
  fall: 3,
  // Fewer may be slow names; each costs its query the patience of one try.
  failuresMax: 5,
  failureWindowMs: 10_000,
  // An empty cache fills within seconds.
  slowStartMs: 10_000,
};

export interface BackendPoolOptions {
  readonly name: string;
  /** From 1 to {@link BACKENDS_MAX}. */
  readonly backends: readonly BackendOptions[];
  /** Default `least outstanding`. */
  readonly balancing?: Balancing | undefined;
  /** Backends that are asked after the first one. Default 2. */
  readonly retries?: number | undefined;
  /** Replies for which another backend is asked. Default SERVFAIL. */
  readonly retryRcodes?: readonly Rcode[] | undefined;
  /** Of all queries, that may be asked again because of slowness or a reply: from 0 to 1. Default 0.2. */
  readonly retryShare?: number | undefined;
  /** Queries under way at once. Default {@link POOL_QUERIES_MAX}. */
  readonly queriesMax?: number | undefined;
  readonly health?: Partial<HealthOptions> | undefined;
}

/** Choosing walks over all of them for each query. */
export const BACKENDS_MAX = 64;
/** As many as a server lets wait (`server/README.md`). */
export const POOL_QUERIES_MAX = 10_000;
