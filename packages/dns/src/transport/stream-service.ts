/** A TCP or TLS listener: admits connections, gives each a {@link ServerConnection}, and closes them well. */
import {
  type ByteStream,
  DnsError,
  type Endpoint,
  type Runtime,
  type StreamListener,
  type Timer,
} from "@sotto/dns/runtime";
import { SERVER_LIMITS_DEFAULT, type ServerLimits } from "./limits.ts";
import type { MessageHandler } from "./message-handler.ts";
import { type ServerCloseReason, ServerConnection } from "./server-connection.ts";

/** Certificate and key of a TLS listener, PEM. */
export interface StreamServiceTls {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** `["dot"]` for DNS over TLS. */
  readonly alpn: readonly string[];
  readonly ticketKeys: Uint8Array | undefined;
}

export interface StreamServiceOptions {
  readonly local: Endpoint;
  /** Undefined for clear TCP. */
  readonly tls?: StreamServiceTls | undefined;
  /** Absent limits have the values of {@link SERVER_LIMITS_DEFAULT}. */
  readonly limits?: Partial<ServerLimits>;
  readonly reusePort?: boolean;
}

/** What has happened on a listener since it opened. */
export interface StreamCounters {
  accepted: number;
  /** Turned away by the limit per address. */
  refusedPerAddress: number;
  /** Turned away because all connections were busy. */
  refusedFull: number;
  handshakeFailures: number;
  resumedSessions: number;
  /** By reason; the sum is the number of ended connections. */
  readonly closed: Partial<Record<ServerCloseReason, number>>;
}

/** One listener and its connections. */
export class StreamService {
  readonly counters: StreamCounters = {
    accepted: 0,
    refusedPerAddress: 0,
    refusedFull: 0,
    handshakeFailures: 0,
    resumedSessions: 0,
    closed: {},
  };
  readonly #limits: ServerLimits;
  readonly #handler: MessageHandler;
  readonly #runtime: Runtime;
  readonly #isTls: boolean;
  readonly #connections = new Set<ServerConnection>();
  readonly #perAddress = new Map<string, number>();
  #listener: StreamListener | undefined = undefined;
  #whenEmpty: (() => void) | undefined = undefined;

  private constructor(options: StreamServiceOptions, handler: MessageHandler, runtime: Runtime) {
    this.#limits = { ...SERVER_LIMITS_DEFAULT, ...options.limits };
    this.#handler = handler;
    this.#runtime = runtime;
    this.#isTls = options.tls !== undefined;
  }

  /** Begins to listen; rejects with a DnsError that says what to do. */
  static async open(
    options: StreamServiceOptions,
    handler: MessageHandler,
    runtime: Runtime,
  ): Promise<StreamService> {
    const service = new StreamService(options, handler, runtime);
    service.#listener = await runtime.network.listen(
      {
        local: options.local,
        tls: options.tls,
        handshakeTimeoutMs: service.#limits.handshakeTimeoutMs,
        reusePort: options.reusePort ?? false,
      },
      {
        onStream: (stream) => service.#admit(stream),
        onFailure: (remote, stage, problem) => {
          if (stage === "handshake") service.counters.handshakeFailures++;
          runtime.events.publish(stage === "handshake" ? "stream.handshake-failed" : "listener.failed", {
            remote: remote?.address ?? "unknown",
            stage,
            problem: problem.message,
          });
        },
      },
    );
    return service;
  }

  /** Where it listens, with the port that the system chose. */
  get local(): Endpoint {
    if (this.#listener === undefined) throw new DnsError("ERR_CLOSED", "the listener is not open");
    return this.#listener.local;
  }

  /** Open connections. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** For new connections; throws ERR_CONFIG and changes nothing when the pair does not fit. */
  setCertificate(certificatePem: string, keyPem: string): void {
    this.#listener?.setCertificate(certificatePem, keyPem);
  }

  #admit(stream: ByteStream): void {
    const { address } = stream.remote;
    const ofAddress = this.#perAddress.get(address) ?? 0;
    if (ofAddress >= this.#limits.connectionsPerAddressMax) {
      this.counters.refusedPerAddress++;
      discard(stream);
      return;
    }
    if (this.#connections.size >= this.#limits.connectionsMax && !this.#displaceIdlest()) {
      this.counters.refusedFull++;
      discard(stream);
      return;
    }
    this.counters.accepted++;
    if (stream.security?.resumed === true) this.counters.resumedSessions++;
    this.#perAddress.set(address, ofAddress + 1);
    this.#serve(stream);
  }

  #serve(stream: ByteStream): void {
    const { clock } = this.#runtime;
    let timer: Timer | undefined;
    let hasEnded = false;
    const connection: ServerConnection = new ServerConnection(
      {
        transport: this.#isTls ? "tls" : "tcp",
        remote: stream.remote,
        local: stream.local,
        security: stream.security,
      },
      this.#limits,
      this.#handler,
      {
        write: (octets) => void stream.write(octets),
        unsentOctets: () => stream.bufferedOctets,
        end: () => stream.end(),
        reset: () => stream.reset(),
        pause: () => stream.pause(),
        resume: () => stream.resume(),
        defer: (run) => queueMicrotask(run),
        setTimer: (delayMs) => {
          timer?.cancel();
          timer =
            delayMs === undefined
              ? undefined
              : clock.startTimer("server-connection", delayMs, () => connection.onTimer(), true);
        },
        onEnded: (reason) => {
          hasEnded = true;
          this.counters.closed[reason] = (this.counters.closed[reason] ?? 0) + 1;
          this.#forget(connection, stream.remote.address);
          this.#closeLater(stream);
        },
      },
      () => clock.nowMs(),
    );
    this.#connections.add(connection);
    stream.setHandlers({
      onData: (octets) => connection.receive(octets),
      onEnd: () => connection.onEnd(),
      onDrain: () => connection.onDrain(),
      onClose: (problem) => {
        if (!hasEnded) connection.onClose(problem === undefined);
        this.#lingering.get(stream)?.cancel();
        this.#lingering.delete(stream);
        if (this.#lingering.size === 0 && this.#connections.size === 0) this.#whenEmpty?.();
      },
    });
  }

  /** Streams that we have ended and whose peer has not; they are read and dropped until the peer ends or time is up. */
  readonly #lingering = new Map<ByteStream, Timer>();

  #closeLater(stream: ByteStream): void {
    const timer = this.#runtime.clock.startTimer("server-linger", LINGER_MS, () => stream.reset(), true);
    this.#lingering.set(stream, timer);
    stream.resume();
  }

  #forget(connection: ServerConnection, address: string): void {
    this.#connections.delete(connection);
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left > 0) this.#perAddress.set(address, left);
    else this.#perAddress.delete(address);
  }

  /** Ends the connection that has been idle longest (RFC 9210 §4.2); false when none is idle. */
  #displaceIdlest(): boolean {
    let idlest: ServerConnection | undefined;
    let sinceMs = Number.POSITIVE_INFINITY;
    for (const connection of this.#connections) {
      if (connection.idleSinceMs < sinceMs) {
        sinceMs = connection.idleSinceMs;
        idlest = connection;
      }
    }
    idlest?.displace();
    return idlest !== undefined;
  }

  /** Stops accepting, lets every connection finish what it was asked until `deadlineMs` (monotonic), then resets the rest. */
  async drain(deadlineMs: number): Promise<void> {
    await this.#listener?.close();
    for (const connection of this.#connections) connection.drain();
    if (this.#connections.size + this.#lingering.size > 0) await this.#untilEmpty(deadlineMs);
    await this.close();
  }

  #untilEmpty(deadlineMs: number): Promise<void> {
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
    for (const connection of [...this.#connections]) connection.abort();
    for (const [stream, timer] of this.#lingering) {
      timer.cancel();
      stream.reset();
    }
    this.#lingering.clear();
  }
}

/** How long the peer has to end its side after we ended ours. */
const LINGER_MS = 2_000;

/** Turns a connection away. */
function discard(stream: ByteStream): void {
  stream.setHandlers({
    onData: () => undefined,
    onEnd: () => undefined,
    onClose: () => undefined,
    onDrain: () => undefined,
  });
  stream.reset();
}
