/**
 * Asks servers: one exchange is one question to one server over one transport, with everything below it (ids, ports,
 * connections, tickets, truncation, one retry) taken care of. Which server to ask is decided above.
 */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { tryDecodeMessage } from "@sotto/dns/wire";
import { UNAUTHENTICATED_TLS } from "./authentication.ts";
import type { ClientLink, LinkTarget } from "./client-link.ts";
import { CONNECTION_LIMITS_DEFAULT, type ConnectionLimits } from "./connection-limits.ts";
import { ConnectionPool } from "./connection-pool.ts";
import type { ConnectionQuery, QueryOutcome } from "./connection-query.ts";
import { clearFacts, decodeReply, streamFacts } from "./exchange-facts.ts";
import { connectionLost, failureOf, malformed } from "./exchange-failure.ts";
import { buildQuery, type ExchangeRequest, type ExchangeResult } from "./exchange-request.ts";
import { exchangeOverUdp, UDP_TIMING_DEFAULT, type UdpReply, type UdpTiming } from "./udp-exchange.ts";

/** All fields are optional; the defaults stand below with their reasons. */
export interface ExchangerOptions {
  /** Source addresses of both families; one is drawn for each UDP query. Empty or absent: the system chooses. */
  readonly localAddresses?: readonly string[] | undefined;
  readonly udp?: Partial<UdpTiming> | undefined;
  readonly connection?: Partial<ConnectionLimits> | undefined;
  /** UDP queries under way at once. Default {@link UDP_QUERIES_MAX_DEFAULT}. */
  readonly udpQueriesMax?: number | undefined;
  /** Servers to which connections or tickets are kept. Default {@link CONNECTIONS_MAX_DEFAULT}. */
  readonly connectionsMax?: number | undefined;
  /** Default {@link CONNECT_TIMEOUT_MS_DEFAULT}. */
  readonly connectTimeoutMs?: number | undefined;
  /** Default {@link HANDSHAKE_TIMEOUT_MS_DEFAULT}. */
  readonly handshakeTimeoutMs?: number | undefined;
}

export class Exchanger {
  readonly #options: ExchangerOptions;
  readonly #runtime: Runtime;
  readonly #timing: UdpTiming;
  readonly #pool: ConnectionPool;
  readonly #giveUps = new Set<() => void>();
  readonly #underWay = new Set<Promise<unknown>>();
  #udpQueries = 0;
  #isClosing = false;

  constructor(options: ExchangerOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#timing = { ...UDP_TIMING_DEFAULT, ...options.udp };
    this.#pool = new ConnectionPool(
      {
        entriesMax: options.connectionsMax ?? CONNECTIONS_MAX_DEFAULT,
        connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS_DEFAULT,
        handshakeTimeoutMs: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS_DEFAULT,
        limits: { ...CONNECTION_LIMITS_DEFAULT, ...options.connection },
      },
      runtime,
    );
  }

  /** Connections that are open or being opened or closed. */
  get connectionCount(): number {
    return this.#pool.size;
  }

  /** Asks once. DNS errors are replies; rejects only with a `DnsError` that tells stage and code. */
  exchange(request: ExchangeRequest): Promise<ExchangeResult> {
    const running = this.#exchange(request);
    this.#underWay.add(running);
    const forget = (): void => {
      this.#underWay.delete(running);
    };
    running.then(forget, forget);
    return running;
  }

  /** Gives up what is under way, closes every connection and waits until all are gone. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const giveUp of [...this.#giveUps]) giveUp();
    await Promise.all([this.#pool.close(), Promise.allSettled([...this.#underWay])]);
  }

  async #exchange(request: ExchangeRequest): Promise<ExchangeResult> {
    if (this.#isClosing) throw new DnsError("ERR_CLOSED", "the exchanger is closed");
    // RFC 7858 §3.1: port 53 is for clear DNS only.
    if (request.transport === "tls" && request.server.port === 53)
      throw new DnsError("ERR_CONFIG", "TLS is not used on port 53 (RFC 7858 §3.1), take 853");
    if (request.transport !== "udp") return this.#exchangeOverStream(request, request.transport, false);
    const result = await this.#exchangeOverUdp(request);
    if (result !== "truncated") return result;
    return this.#exchangeOverStream(request, "tcp", true);
  }

  async #exchangeOverUdp(request: ExchangeRequest): Promise<ExchangeResult | "truncated"> {
    const udpQueriesMax = this.#options.udpQueriesMax ?? UDP_QUERIES_MAX_DEFAULT;
    if (this.#udpQueries >= udpQueriesMax)
      throw new DnsError("ERR_QUOTA_EXCEEDED", `${udpQueriesMax} UDP queries are under way already`, {
        stage: "query",
      });
    const query = buildQuery(request, "udp");
    this.#udpQueries++;
    let reply: UdpReply;
    try {
      reply = await exchangeOverUdp(
        {
          octets: query.octets,
          question: request.question,
          server: request.server,
          localAddress: this.#localAddress(request, false),
          deadlineMs: request.deadlineMs,
          onGiveUp: (giveUp) => this.#onGiveUp(request, giveUp),
          timing: this.#timing,
        },
        this.#runtime,
      );
    } finally {
      this.#udpQueries--;
    }
    if (reply.isTruncated && request.ignoreTruncation !== true) return "truncated";
    const message = decodeReply(reply.octets, request.question);
    if (!message.ok) throw malformed(request, message.problem);
    const facts = {
      ...clearFacts(request, "udp"),
      exchangeMs: reply.exchangeMs,
      queryOctets: query.octets.length,
      replyOctets: reply.octets.length,
    };
    return { message: message.value, octets: reply.octets, facts };
  }

  async #exchangeOverStream(
    request: ExchangeRequest,
    transport: "tcp" | "tls",
    retriedOverTcp: boolean,
  ): Promise<ExchangeResult> {
    const query = buildQuery(request, transport);
    const target: LinkTarget = {
      remote: request.server,
      localAddress: this.#localAddress(request, true),
      tls: transport === "tls" ? (request.tls ?? UNAUTHENTICATED_TLS) : undefined,
    };
    for (let retries = 0, moves = 0; ; ) {
      const link = this.#pool.acquire(target);
      if (link === undefined)
        throw new DnsError("ERR_QUOTA_EXCEEDED", "all connections are busy", { stage: "connect" });
      const outcome = await this.#ask(link, query, request);
      if (outcome.kind === "reply") {
        const message = tryDecodeMessage(outcome.octets);
        if (!message.ok) throw malformed(request, message.problem);
        const facts = { ...streamFacts(request, transport, link.facts, outcome), retriedOverTcp };
        return {
          message: message.value,
          octets: outcome.octets,
          facts: { ...facts, queryOctets: query.octets.length },
        };
      }
      if (outcome.kind !== "lost") throw failureOf(outcome, request, link.facts !== undefined);
      if (outcome.wasPassedOver) this.#pool.noteEarlyClose(target, outcome.repliesServed);
      // RFC 7766 §6.2.4: an early close is answered by a retry, but only of a connection that once worked: a server
      // that never answers is not asked again and again. What was not even sent may move more often.
      const mayGoOn =
        outcome.repliesServed > 0 && (outcome.wasSent ? retries < RETRIES_MAX : moves < MOVES_MAX);
      if (!mayGoOn || this.#isClosing) throw connectionLost(request, outcome.problem);
      if (outcome.wasSent) retries++;
      else moves++;
    }
  }

  /** Gives the query to the connection and waits for what becomes of it there. */
  #ask(
    link: ClientLink,
    query: { octets: Uint8Array; asksKeepalive: boolean },
    request: ExchangeRequest,
  ): Promise<QueryOutcome> {
    return new Promise((resolve, reject) => {
      let isSettled = false;
      const given: ConnectionQuery = {
        ...query,
        question: request.question,
        deadlineMs: request.deadlineMs,
        settle: (outcome) => {
          isSettled = true;
          forget();
          resolve(outcome);
        },
      };
      const forget = this.#onGiveUp(request, () => {
        link.cancel(given);
        isSettled = true;
        reject(new DnsError("ERR_ABORTED", "the query was given up", { stage: "query" }));
      });
      if (!isSettled) link.send(given);
    });
  }

  /** Calls `giveUp` when the caller aborts or the exchanger closes; gives the way to take that back. */
  #onGiveUp(request: ExchangeRequest, giveUp: () => void): () => void {
    const { signal } = request;
    const forget = (): void => {
      signal?.removeEventListener("abort", once);
      this.#giveUps.delete(once);
    };
    const once = (): void => {
      forget();
      giveUp();
    };
    if (signal?.aborted === true || this.#isClosing) {
      giveUp();
      return () => undefined;
    }
    signal?.addEventListener("abort", once);
    this.#giveUps.add(once);
    return forget;
  }

  /** A drawn address spreads UDP queries; streams always take the first, or each would need its own connection. */
  #localAddress(request: ExchangeRequest, isStream: boolean): string | undefined {
    if (request.localAddress !== undefined) return request.localAddress;
    const isIpv6 = request.server.address.includes(":");
    const own = this.#options.localAddresses?.filter((address) => address.includes(":") === isIpv6) ?? [];
    return isStream || own.length < 2 ? own[0] : own[this.#runtime.random.below(own.length)];
  }
}

/** Half of the ports that Linux hands out by default (`ip_local_port_range`), so that others find some. */
const UDP_QUERIES_MAX_DEFAULT = 14_000;
/** Below the usual limit of 1024 descriptors, with room for listeners and files. */
const CONNECTIONS_MAX_DEFAULT = 500;
/** RFC 9210 §4.1 allows less than the system's minute or two; two lost SYNs (1 s, 2 s) still fit. */
const CONNECT_TIMEOUT_MS_DEFAULT = 4000;
/** Two round trips and some patience with a busy server. */
const HANDSHAKE_TIMEOUT_MS_DEFAULT = 5000;
/** RFC 7766 §6.2.4 wants a retry; more would hammer a server that closes on this very query. */
const RETRIES_MAX = 1;
/** Queries that wait behind a server which closes after each reply move on each time; each move saw a reply. */
const MOVES_MAX = 100;
