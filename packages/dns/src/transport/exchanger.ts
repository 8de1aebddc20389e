/**
 * Asks servers: one exchange is one question to one server over one transport, with everything below it (ids, ports,
 * connections, tickets, truncation, one retry) taken care of. Which server to ask is decided above.
 */
import { DnsError, type Runtime, type StopSignal } from "@sotto/dns/runtime";
import { tryDecodeMessage } from "@sotto/dns/wire";
import { UNAUTHENTICATED_TLS } from "./authentication.ts";
import type { ClientLink, LinkTarget } from "./client-link.ts";
import { CONNECTION_LIMITS_DEFAULT, type ConnectionLimits } from "./connection-limits.ts";
import { ConnectionPool } from "./connection-pool.ts";
import type { ConnectionQuery, QueryOutcome } from "./connection-query.ts";
import type { ConnectionStatus } from "./connection-status.ts";
import { streamFacts } from "./exchange-facts.ts";
import { failureOf, malformed } from "./exchange-failure.ts";
import { buildQuery, type ExchangeRequest, type ExchangeResult } from "./exchange-request.ts";
import { UdpClient } from "./udp-client.ts";
import type { UdpTiming } from "./udp-exchange.ts";
import type { SocketSharing } from "./udp-sockets.ts";

/** All fields are optional; the defaults stand below with their reasons. */
export interface ExchangerOptions {
  /** Source addresses of both families; one is drawn for each UDP query. Empty or absent: the system chooses. */
  readonly localAddresses?: readonly string[] | undefined;
  readonly udp?: Partial<UdpTiming> | undefined;
  readonly connection?: Partial<ConnectionLimits> | undefined;
  /** UDP queries under way at once. Default {@link UDP_QUERIES_MAX_DEFAULT}. */
  readonly udpQueriesMax?: number | undefined;
  /**
   * Queries to a server share a few UDP sockets: always, for stubs, whose servers are few; or when it is asked much. Default
   * false: each has its own.
   */
  readonly sharesUdpSockets?: boolean | "when busy" | undefined;
  /** Servers to which connections or tickets are kept. Default {@link CONNECTIONS_MAX_DEFAULT}. */
  readonly connectionsMax?: number | undefined;
  /** Default {@link CONNECT_TIMEOUT_MS_DEFAULT}. */
  readonly connectTimeoutMs?: number | undefined;
  /** Default {@link HANDSHAKE_TIMEOUT_MS_DEFAULT}. */
  readonly handshakeTimeoutMs?: number | undefined;
  /** Asks for TCP Fast Open (RFC 7413). Default false. */
  readonly fastOpen?: boolean | undefined;
  /**
   * Acknowledges at once what servers have sent over TCP and TLS while further queries wait: some keep the next answer until then
   * (42 ms, see `LinkOptions`). On Linux with Node 26 or the package koffi; Node warns of its `node:ffi`. Default false.
   */
  readonly acknowledges?: boolean | undefined;
}

export class Exchanger {
  readonly #options: ExchangerOptions;
  readonly #runtime: Runtime;
  readonly #pool: ConnectionPool;
  readonly #giveUps = new Set<GiveUp>();
  /** Exchanges but those over UDP. */
  #underWay = 0;
  #whenIdle: (() => void) | undefined = undefined;
  readonly #udp: UdpClient;
  #isClosing = false;
  /** Wall time less monotonic time, which a suspended machine makes jump. */
  #wallOffsetMs: number;
  /** The machine's addresses at the last look; undefined before the first, and where they cannot be seen. */
  #ownAddresses: string | undefined = undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Counts networks. */
  #networkEpoch = 0;

  constructor(options: ExchangerOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.#wallOffsetMs = runtime.clock.wallMs() - runtime.clock.nowMs();
    this.#udp = new UdpClient(
      {
        timing: options.udp,
        queriesMax: options.udpQueriesMax ?? UDP_QUERIES_MAX_DEFAULT,
        sharing: sharingOf(options.sharesUdpSockets ?? false),
        overTcp: (request) => this.#counted(this.#exchangeOverStream(request, "tcp", true)),
        onIdle: () => this.#noteIdle(),
      },
      runtime,
    );
    this.#pool = new ConnectionPool(
      {
        entriesMax: options.connectionsMax ?? CONNECTIONS_MAX_DEFAULT,
        connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS_DEFAULT,
        handshakeTimeoutMs: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS_DEFAULT,
        fastOpen: options.fastOpen ?? false,
        acknowledges: options.acknowledges ?? false,
        limits: { ...CONNECTION_LIMITS_DEFAULT, ...options.connection },
        onSleep: () => this.networkChanged(),
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
    try {
      this.#refuse(request);
      this.#noticeNetwork();
      // Nearly all there is to do: no promise but its own.
      if (request.transport === "udp" && this.#pool.size === 0) return this.#overUdp(request);
    } catch (problem) {
      return Promise.reject(problem);
    }
    return this.#counted(this.#choose(request));
  }

  #overUdp(request: ExchangeRequest): Promise<ExchangeResult> {
    return this.#udp.exchange(request, this.#localAddress(request, false));
  }

  async #choose(request: ExchangeRequest): Promise<ExchangeResult> {
    if (request.transport !== "udp") return await this.#exchangeOverStream(request, request.transport);
    return (await this.#overOpenTcp(request)) ?? (await this.#overUdp(request));
  }

  /** As long as it is under way {@link close} waits. */
  async #counted(exchange: Promise<ExchangeResult>): Promise<ExchangeResult> {
    this.#underWay++;
    try {
      return await exchange;
    } finally {
      this.#underWay--;
      this.#noteIdle();
    }
  }

  #noteIdle(): void {
    if (this.#isIdle) this.#whenIdle?.();
  }

  get #isIdle(): boolean {
    return this.#underWay + this.#udp.size === 0;
  }

  /**
   * The machine is on another network, or was asleep: connections are given up (their queries go on over fresh ones),
   * and back-off, cookies and what was learnt of servers are forgotten. Other addresses and clock jumps are noticed without a
   * call by the next query.
   */
  networkChanged(): void {
    this.#networkEpoch++;
    this.#wallOffsetMs = this.#runtime.clock.wallMs() - this.#runtime.clock.nowMs();
    this.#pool.networkChanged();
    this.#udp.networkChanged();
    this.#runtime.events.publish("transport.network-changed", {});
  }

  /** Grows each time the network is taken for another one. */
  get networkEpoch(): number {
    this.#noticeNetwork();
    return this.#networkEpoch;
  }

  /** True while connections to the server are not tried, because the last ones failed. */
  isBackedOff(request: ServerRequest): boolean {
    const { transport } = request;
    if (transport === "udp") return false;
    this.#noticeNetwork();
    return this.#pool.refusal(this.#targetOf(request, transport), false) !== undefined;
  }

  /** True when who has nobody else to ask would be let try it now; undefined over UDP, where no failures are remembered. */
  mayBeTried(request: ServerRequest): boolean | undefined {
    const { transport } = request;
    this.#noticeNetwork();
    if (transport === "udp") return undefined;
    return this.#pool.refusal(this.#targetOf(request, transport), true) === undefined;
  }

  /** The machine may be on another network: looks at once where it can, else takes it for granted. */
  networkMayHaveChanged(): void {
    if (this.#runtime.network.ownAddresses === undefined) this.networkChanged();
    else this.#noticeAddresses();
  }

  #noticeNetwork(): void {
    const nowMs = this.#runtime.clock.nowMs();
    this.#noticeJump(nowMs);
    if (nowMs - this.#lookedAtMs >= LOOK_MS) this.#noticeAddresses();
  }

  #noticeAddresses(): void {
    this.#lookedAtMs = this.#runtime.clock.nowMs();
    const addresses = this.#runtime.network.ownAddresses?.();
    if (addresses === this.#ownAddresses) return;
    const isFirstLook = this.#ownAddresses === undefined;
    this.#ownAddresses = addresses;
    if (!isFirstLook) this.networkChanged();
  }

  /** What is known of the way to a server over that transport; undefined for UDP, where there is none to keep. */
  connectionStatus(
    request: Pick<ExchangeRequest, "server" | "transport" | "tls" | "localAddress">,
  ): ConnectionStatus | undefined {
    const { transport } = request;
    return transport === "udp" ? undefined : this.#pool.status(this.#targetOf(request, transport));
  }

  #noticeJump(nowMs: number): void {
    const offsetMs = this.#runtime.clock.wallMs() - nowMs;
    const jumpMs = offsetMs - this.#wallOffsetMs;
    this.#wallOffsetMs = offsetMs;
    if (Math.abs(jumpMs) > JUMP_MS) this.networkChanged();
  }

  /** Gives up what is under way, closes every connection and waits until all are gone. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const giveUp of [...this.#giveUps]) giveUp.now();
    await Promise.all([this.#pool.close(), this.#udp.close(), this.#idle()]);
  }

  async #idle(): Promise<void> {
    if (this.#isIdle) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#whenIdle;
    this.#whenIdle = () => {
      before?.();
      resolve();
    };
    await promise;
  }

  #refuse({ transport, server }: ExchangeRequest): void {
    if (this.#isClosing) throw new DnsError("ERR_CLOSED", "the exchanger is closed");
    // RFC 7858 §3.1: port 53 is for clear DNS only.
    if (transport === "tls" && server.port === 53)
      throw new DnsError("ERR_CONFIG", "TLS is not used on port 53 (RFC 7858 §3.1), take 853");
  }

  /** RFC 7766 §5: an open connection saves the risk of truncation and of forgeries. When it fails there is still UDP. */
  async #overOpenTcp(request: ExchangeRequest): Promise<ExchangeResult | undefined> {
    if (request.mayUseOpenTcp === false) return undefined;
    if (this.#pool.ready(this.#targetOf(request, "tcp")) === undefined) return undefined;
    try {
      return await this.#exchangeOverStream(request, "tcp", false, { retries: 0, moves: 0 });
    } catch (error) {
      const isOver =
        this.#isClosing ||
        DnsError.is(error, "ERR_ABORTED") ||
        this.#runtime.clock.nowMs() >= request.deadlineMs;
      if (!DnsError.is(error) || isOver) throw error;
      return undefined;
    }
  }

  #targetOf(
    request: Pick<ExchangeRequest, "server" | "tls" | "localAddress">,
    transport: "tcp" | "tls",
  ): LinkTarget {
    return {
      remote: request.server,
      localAddress: this.#localAddress(request, true),
      tls: transport === "tls" ? (request.tls ?? UNAUTHENTICATED_TLS) : undefined,
    };
  }

  async #exchangeOverStream(
    request: ExchangeRequest,
    transport: "tcp" | "tls",
    retriedOverTcp = false,
    tries: Tries = { retries: RETRIES_MAX, moves: MOVES_MAX },
  ): Promise<ExchangeResult> {
    const { clock } = this.#runtime;
    const query = buildQuery(request, transport);
    const target = this.#targetOf(request, transport);
    const refusal = this.#pool.refusal(target, request.isLastHope === true);
    if (refusal !== undefined) throw refusal;
    let isPatient = false;
    for (;;) {
      const link = this.#pool.acquire(target);
      if (link === undefined)
        throw new DnsError("ERR_QUOTA_EXCEEDED", "all connections are busy", { stage: "connect" });
      const epoch = this.#networkEpoch;
      const outcome = await this.#ask(link, isPatient ? { ...query, isPatient } : query, request);
      if (outcome.kind === "reply") {
        this.#pool.memory.noteSuccess(this.#pool.remembered(target), clock.nowMs());
        const message = tryDecodeMessage(outcome.octets);
        if (!message.ok) throw malformed(request, message.problem);
        const facts = { ...streamFacts(request, transport, link.facts, outcome), retriedOverTcp };
        return {
          message: message.value,
          octets: outcome.octets,
          facts: { ...facts, queryOctets: query.octets.length },
        };
      }
      isPatient ||= outcome.kind === "lost" && outcome.wasSilent === true;
      if (outcome.kind === "lost" && outcome.wasPassedOver)
        this.#pool.noteEarlyClose(target, outcome.repliesServed);
      const isOtherNetwork = this.#networkEpoch !== epoch;
      if (!this.#isClosing && mayGoOn(outcome, isOtherNetwork, tries)) continue;
      const failure = failureOf(outcome, request, link.facts !== undefined);
      // A query that ran out of its own time says little; one that was given up before says that nothing ever came.
      const isAboutServer =
        outcome.kind === "lost" || (outcome.kind === "timeout" && clock.nowMs() < request.deadlineMs);
      if (isAboutServer && !isOtherNetwork && !this.#isClosing) this.#pool.noteFailure(link, target, failure);
      throw failure;
    }
  }

  /** Gives the query to the connection and waits for what becomes of it there. */
  #ask(
    link: ClientLink,
    query: Pick<ConnectionQuery, "octets" | "asksKeepalive" | "isPatient">,
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
    if (request.signal?.aborted === true || this.#isClosing) {
      giveUp();
      return () => undefined;
    }
    const given = new GiveUp(giveUp, request.signal, this.#giveUps);
    return () => given.forget();
  }

  /** A drawn address spreads UDP queries; streams always take the first, or each would need its own connection. */
  #localAddress(
    request: Pick<ExchangeRequest, "server" | "localAddress">,
    isStream: boolean,
  ): string | undefined {
    if (request.localAddress !== undefined) return request.localAddress;
    const isIpv6 = request.server.address.includes(":");
    const own = this.#options.localAddresses?.filter((address) => address.includes(":") === isIpv6) ?? [];
    return isStream || own.length < 2 ? own[0] : own[this.#runtime.random.below(own.length)];
  }
}

type ServerRequest = Pick<ExchangeRequest, "server" | "transport" | "tls" | "localAddress">;

/** A way to give a query up, in the set of all of them as long as it is under way, and empty afterwards (see `Flights`). */
class GiveUp {
  readonly #all: Set<GiveUp>;
  #run: (() => void) | undefined;
  #signal: StopSignal | undefined;

  constructor(run: () => void, signal: StopSignal | undefined, all: Set<GiveUp>) {
    this.#run = run;
    this.#signal = signal;
    this.#all = all;
    all.add(this);
    signal?.addEventListener("abort", this.now);
  }

  readonly now = (): void => {
    const run = this.#run;
    this.forget();
    run?.();
  };

  forget(): void {
    this.#all.delete(this);
    this.#signal?.removeEventListener("abort", this.now);
    this.#signal = undefined;
    this.#run = undefined;
  }
}

/** What a query may still do to get around connections that end. */
interface Tries {
  /** After it was sent. */
  retries: number;
  /** Before it was. */
  moves: number;
}

/**
 * RFC 7766 §6.2.4: an early close is answered by a retry, but only of a connection that once worked: a server that never
 * answers is not asked again and again. What was not even sent may move more often. A connection that was given up with
 * its network says nothing about the server.
 */
function mayGoOn(
  outcome: Exclude<QueryOutcome, { kind: "reply" }>,
  isOtherNetwork: boolean,
  tries: Tries,
): boolean {
  if (outcome.kind !== "lost") return outcome.kind === "failed" && isOtherNetwork && tries.moves-- > 0;
  if (outcome.repliesServed === 0 && !isOtherNetwork) return false;
  // Once only: then it is patient.
  if (outcome.wasSilent === true && tries.retries > 0) return true;
  return outcome.wasSent ? tries.retries-- > 0 : tries.moves-- > 0;
}

function sharingOf(shares: boolean | "when busy"): SocketSharing {
  return shares === "when busy" ? shares : shares ? "always" : "never";
}

/** Half of the ports that Linux hands out by default (`ip_local_port_range`), so that others find some. */
const UDP_QUERIES_MAX_DEFAULT = 14_000;
/** Below the usual limit of 1024 descriptors, with room for listeners and files. */
const CONNECTIONS_MAX_DEFAULT = 500;
/**
 * RFC 9210 §4.1 allows less than the system's minute or two. A lost SYN, which is sent again after a second, still fits;
 * and clients wait for five seconds, of which another server shall get some.
 */
const CONNECT_TIMEOUT_MS_DEFAULT = 2500;
/** Two round trips, of which one is lost, and some patience with a busy server; a stalled one leaves time as well. */
const HANDSHAKE_TIMEOUT_MS_DEFAULT = 2500;
/** Wall and monotonic time drift apart by less, whoever sets the clock; a suspended machine loses more. */
const JUMP_MS = 30_000;
/** While there are queries, which wait no longer than this for a laptop that changes networks; a look costs about 0.1 ms. */
const LOOK_MS = 1000;
/** RFC 7766 §6.2.4 wants a retry; more would hammer a server that closes on this very query. */
const RETRIES_MAX = 1;
/** Queries that wait behind a server which closes after each reply move on each time; each move saw a reply. */
const MOVES_MAX = 100;
