/** A TCP or TLS listener: admits connections, gives each a session of its protocol, and closes them well. */
import {
  type AcceptStage,
  type ByteStream,
  type ChannelSecurity,
  DnsError,
  type Endpoint,
  type ListenHandlers,
  type ListenOptions,
  type PendingConnection,
  type ProxyOptions,
  type Runtime,
  type StreamListener,
  type TlsServerOptions,
} from "@sotto/dns/runtime";
import { Admission, type AdmissionTicket } from "./admission.ts";
import { SERVER_LIMITS_DEFAULT, type ServerLimits, type SessionLimits } from "./limits.ts";
import type { MessageHandler } from "./message-handler.ts";
import type { QueryOrigin, Transport } from "./responder.ts";
import type { ServerCloseReason, SessionTerms } from "./server-connection.ts";
import { type ServedSession, ServerSession, type SessionOwner } from "./server-session.ts";

export interface StreamServiceOptions {
  readonly local: Endpoint;
  /** Undefined for clear TCP. `alpn` is `["dot"]` for DNS over TLS. */
  readonly tls?: TlsServerOptions | undefined;
  /** Absent limits have the values of {@link SERVER_LIMITS_DEFAULT}. */
  readonly limits?: Partial<ServerLimits>;
  /** Shared with other listeners; absent: one of its own, with the limits above. */
  readonly admission?: Admission | undefined;
  readonly proxy?: ProxyOptions | undefined;
  /** What a client's certificate means for access control, see `QueryOrigin`. */
  readonly judgeClient?: ((security: ChannelSecurity) => "allowed" | "denied" | undefined) | undefined;
  /** Asks for TCP Fast Open (RFC 7413); default off. */
  readonly fastOpen?: boolean | undefined;
  readonly reusePort?: boolean;
  /** Descriptor of a socket that is bound already, see `ListenOptions`. */
  readonly inheritedFd?: number | undefined;
}

/** A connection with a client: a stream, or what else a protocol makes of it. */
export interface AcceptedConnection {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly security: ChannelSecurity | undefined;
  /** Aborts at once. */
  reset(): void;
}

/** What a session is made with. */
export interface SessionParts {
  readonly origin: QueryOrigin;
  readonly terms: SessionTerms;
  readonly handler: MessageHandler;
  readonly owner: SessionOwner;
  /** Who is believed about whom it speaks for. */
  readonly proxy: ProxyOptions | undefined;
  readonly runtime: Runtime;
}

/** What is spoken on the connections of a {@link StreamService}. */
export interface StreamProtocol<Connection extends AcceptedConnection> {
  transportOf(connection: Connection): Transport;
  /** As `Network.listen`. Rejects when the network does not carry it. */
  listen(
    options: ListenOptions,
    handlers: ConnectionHandlers<Connection>,
    limits: SessionLimits,
    runtime: Runtime,
  ): Promise<StreamListener>;
  /** Serves one, in the turn it was handed over. */
  serve(connection: Connection, parts: SessionParts): ServedSession;
  /** Turns away one that came too much, in the same way. */
  discard(connection: Connection): void;
}

/** As `ListenHandlers`, for connections of some protocol. */
export interface ConnectionHandlers<Connection> extends Pick<ListenHandlers, "onConnection" | "onFailure"> {
  onOpened(connection: Connection, pending: PendingConnection | undefined): void;
}

/** DNS with two octets of length before each message (RFC 1035 §4.2.2), in clear or over TLS (RFC 7858). */
const DNS_ON_STREAMS: StreamProtocol<ByteStream> = {
  transportOf: ({ security }) => (security === undefined ? "tcp" : "tls"),
  listen: (options, { onConnection, onFailure, onOpened }, _, { network }) =>
    network.listen(options, { ...(onConnection && { onConnection }), onFailure, onStream: onOpened }),
  serve: (stream, { origin, terms, handler, owner, runtime }) =>
    new ServerSession(stream, origin, terms, handler, owner, runtime.clock),
  discard: (stream) => {
    stream.setHandlers({
      onData: () => undefined,
      onEnd: () => undefined,
      onClose: () => undefined,
      onDrain: () => undefined,
    });
    stream.reset();
  },
};

/** What may change while a listener is open. */
export interface StreamServiceChange extends Pick<StreamServiceOptions, "tls" | "proxy" | "judgeClient"> {
  readonly limits: SessionLimits;
}

/** What has happened on a listener since it opened. Refusals are counted by {@link Admission}. */
export interface StreamCounters {
  /** Connections that were served. */
  accepted: number;
  handshakeFailures: number;
  /** Connections of a proxy without a good PROXY header. */
  proxyFailures: number;
  resumedSessions: number;
  /** By reason; the sum is the number of ended connections. */
  readonly closed: Partial<Record<ServerCloseReason, number>>;
}

/** One listener and its connections. */
export class StreamService implements SessionOwner {
  readonly counters: StreamCounters = {
    accepted: 0,
    handshakeFailures: 0,
    proxyFailures: 0,
    resumedSessions: 0,
    closed: {},
  };
  #options: StreamServiceOptions;
  readonly #terms: { limits: SessionLimits; readonly admission: Admission };
  readonly #handler: MessageHandler;
  readonly #runtime: Runtime;
  readonly #sessions = new Map<ServedSession, Arrival>();
  /** Sessions that we have ended and whose peer has not, oldest first. */
  readonly #lingering = new Set<ServedSession>();
  #listener: StreamListener | undefined = undefined;
  #whenEmpty: (() => void) | undefined = undefined;

  private constructor(options: StreamServiceOptions, handler: MessageHandler, runtime: Runtime) {
    const limits: ServerLimits = { ...SERVER_LIMITS_DEFAULT, ...options.limits };
    this.#options = options;
    this.#terms = { limits, admission: options.admission ?? new Admission(limits, runtime.clock) };
    this.#handler = handler;
    this.#runtime = runtime;
  }

  /** Begins to listen for DNS over TCP or TLS; rejects with a DnsError that says what to do. */
  static open(
    options: StreamServiceOptions,
    handler: MessageHandler,
    runtime: Runtime,
  ): Promise<StreamService> {
    return StreamService.openFor(DNS_ON_STREAMS, options, handler, runtime);
  }

  /** The same for another protocol. */
  static async openFor<Connection extends AcceptedConnection>(
    protocol: StreamProtocol<Connection>,
    options: StreamServiceOptions,
    handler: MessageHandler,
    runtime: Runtime,
  ): Promise<StreamService> {
    const service = new StreamService(options, handler, runtime);
    service.#listener = await protocol.listen(
      {
        local: options.local,
        tls: options.tls,
        handshakeTimeoutMs: service.#terms.limits.handshakeTimeoutMs,
        reusePort: options.reusePort ?? false,
        inheritedFd: options.inheritedFd,
        proxy: options.proxy,
        fastOpenQueue: options.fastOpen === true ? FAST_OPEN_QUEUE : undefined,
      },
      {
        onConnection: (remote) => service.#arrive(remote),
        onOpened: (connection, pending) => service.#opened(protocol, connection, pending),
        onFailure: (remote, stage, problem, pending) => service.#failed(remote, stage, problem, pending),
      },
      service.#terms.limits,
      runtime,
    );
    return service;
  }

  /** Where it listens, with the port that the system chose. */
  get local(): Endpoint {
    return this.#open().local;
  }

  /** What became of the wish for Fast Open. */
  get fastOpen(): string {
    return this.#open().fastOpen;
  }

  /** Open connections, without those that only wait for their peer's end. */
  get connectionCount(): number {
    return this.#sessions.size;
  }

  /** What this listener's connections share with others. */
  get admission(): Admission {
    return this.#terms.admission;
  }

  /** For new tickets; clients with older ones do a full handshake. 48 octets. */
  setTicketKeys(keys: Uint8Array): void {
    this.#open().setTicketKeys(keys);
  }

  /**
   * TLS, proxies and the judgement of clients change for connections to come, limits also for those that are open. Throws
   * ERR_CONFIG and changes nothing when a certificate and its key do not fit. Limits of {@link Admission} are set there.
   */
  change(change: StreamServiceChange): void {
    const limits: SessionLimits = { ...SERVER_LIMITS_DEFAULT, ...change.limits };
    const { tls, proxy } = change;
    this.#open().change({ tls, proxy, handshakeTimeoutMs: limits.handshakeTimeoutMs });
    this.#options = { ...this.#options, ...change };
    this.#terms.limits = limits;
  }

  #open(): StreamListener {
    if (this.#listener === undefined) throw new DnsError("ERR_CLOSED", "the listener is not open");
    return this.#listener;
  }

  #arrive(remote: Endpoint): Arrival | undefined {
    const { proxy, tls } = this.#options;
    const isProxy = proxy?.isTrusted(remote.address) === true;
    const ticket = this.#terms.admission.admit(remote.address, isProxy, tls !== undefined);
    return ticket && new Arrival(ticket, tls !== undefined);
  }

  #opened<Connection extends AcceptedConnection>(
    protocol: StreamProtocol<Connection>,
    connection: Connection,
    pending: PendingConnection | undefined,
  ): void {
    const { remote, local, security } = connection;
    // Networks that do not announce connections announce streams.
    const arrival = pending instanceof Arrival ? pending : this.#arrive(remote);
    if (arrival === undefined) {
      protocol.discard(connection);
      return;
    }
    arrival.ticket.handshakeEnded();
    this.counters.accepted++;
    if (security?.resumed === true) this.counters.resumedSessions++;
    const session = protocol.serve(connection, {
      origin: {
        transport: protocol.transportOf(connection),
        remote,
        local,
        security,
        clientVerdict: security && this.#options.judgeClient?.(security),
      },
      terms: this.#terms,
      handler: this.#handler,
      owner: this,
      proxy: this.#options.proxy,
      runtime: this.#runtime,
    });
    this.#sessions.set(session, arrival);
  }

  #failed(
    remote: Endpoint | undefined,
    stage: AcceptStage,
    problem: Error,
    pending: PendingConnection | undefined,
  ): void {
    if (pending instanceof Arrival) pending.ticket.release();
    if (stage === "handshake") this.counters.handshakeFailures++;
    if (stage === "proxy") this.counters.proxyFailures++;
    this.#runtime.events.publish(EVENT_OF_STAGE[stage], {
      remote: remote?.address ?? "unknown",
      stage,
      problem: problem.message,
    });
  }

  sessionEnded(session: ServedSession, reason: ServerCloseReason): void {
    this.counters.closed[reason] = (this.counters.closed[reason] ?? 0) + 1;
    this.#sessions.get(session)?.ticket.release();
    this.#sessions.delete(session);
    this.#lingering.add(session);
    if (this.#lingering.size > LINGERING_MAX) {
      const [oldest] = this.#lingering;
      oldest?.drop();
    }
  }

  streamClosed(session: ServedSession): void {
    this.#lingering.delete(session);
    if (this.#lingering.size === 0 && this.#sessions.size === 0) this.#whenEmpty?.();
  }

  /**
   * Stops accepting and lets every connection finish what it asks until `deadlineMs` (monotonic); then nothing more is
   * read, what was read is answered, and after a moment more the rest is reset.
   */
  async drain(deadlineMs: number): Promise<void> {
    await this.#listener?.close();
    for (const session of [...this.#sessions.keys()]) session.drain();
    await this.#untilEmpty(deadlineMs);
    for (const session of [...this.#sessions.keys()]) session.finish();
    await this.#untilEmpty(this.#runtime.clock.nowMs() + FINISH_MS);
    await this.close();
  }

  #untilEmpty(deadlineMs: number): Promise<void> {
    if (this.#sessions.size + this.#lingering.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#runtime.clock.startTimer(
        "server-drain",
        deadlineMs - this.#runtime.clock.nowMs(),
        resolve,
      );
      this.#whenEmpty = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** Resets what is open. */
  async close(): Promise<void> {
    await this.#listener?.close();
    for (const session of [...this.#sessions.keys(), ...this.#lingering]) session.drop();
    this.#lingering.clear();
  }
}

/** A connection on its way, with its place in the counts. */
class Arrival implements PendingConnection {
  readonly ticket: AdmissionTicket;
  readonly #startsTls: boolean;

  constructor(ticket: AdmissionTicket, startsTls: boolean) {
    this.ticket = ticket;
    this.#startsTls = startsTls;
  }

  onProxied(client: Endpoint): boolean {
    return this.ticket.becomeClient(client.address, this.#startsTls);
  }
}

const EVENT_OF_STAGE: Readonly<Record<AcceptStage, string>> = {
  accept: "listener.failed",
  proxy: "stream.proxy-failed",
  handshake: "stream.handshake-failed",
};

/** Connections with data in their SYN that wait for accept; more become ordinary ones (RFC 7413 §4.2). */
const FAST_OPEN_QUEUE = 256;
/** Ended connections whose peer has not ended; beyond it the oldest is reset. */
const LINGERING_MAX = 1000;
/** At the end of a drain, for answers that are still being made. */
const FINISH_MS = 1_000;
