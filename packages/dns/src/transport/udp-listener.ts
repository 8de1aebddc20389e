/** A UDP listener: one datagram, one answer. */
import type { DatagramSocket, Endpoint, ProxyOptions, Runtime } from "@sotto/dns/runtime";
import { copyToSend, readProxyHeader } from "@sotto/dns/wire";
import type { LaterAnswer, MessageHandler, QueryChannel } from "./message-handler.ts";
import type { QueryOrigin } from "./responder.ts";

export interface UdpListenerOptions {
  readonly local: Endpoint;
  readonly reusePort?: boolean;
  /** Queries that wait for an answer; more are dropped, and clients ask again. Default {@link UDP_IN_FLIGHT_MAX_DEFAULT}. */
  readonly inFlightMax?: number;
  /** Proxies whose datagrams begin with a PROXY header; its `place` has no meaning here. */
  readonly proxy?: ProxyOptions | undefined;
  /** Descriptor of a socket that is bound already, see `DatagramOptions`. */
  readonly inheritedFd?: number | undefined;
}

/** Enough for 10,000 queries per second that take a second each, and a few megabytes. */
const UDP_IN_FLIGHT_MAX_DEFAULT = 10_000;

/** What has happened on a listener since it opened. */
export interface UdpCounters {
  received: number;
  answered: number;
  /** Dropped because too many were waiting. */
  droppedBusy: number;
  /** Datagrams of a proxy without a good PROXY header. */
  proxyFailures: number;
}

/** One socket. */
export class UdpListener {
  readonly counters: UdpCounters = { received: 0, answered: 0, droppedBusy: 0, proxyFailures: 0 };
  readonly #handler: MessageHandler;
  readonly #runtime: Runtime;
  readonly #inFlightMax: number;
  #socket: DatagramSocket | undefined = undefined;
  #proxy: ProxyOptions | undefined;
  #inFlight = 0;
  /** Free for the next datagram. */
  #channel: UdpChannel | undefined = undefined;
  #isDraining = false;
  #whenEmpty: (() => void) | undefined = undefined;

  private constructor(options: UdpListenerOptions, handler: MessageHandler, runtime: Runtime) {
    this.#handler = handler;
    this.#runtime = runtime;
    this.#inFlightMax = options.inFlightMax ?? UDP_IN_FLIGHT_MAX_DEFAULT;
    this.#proxy = options.proxy;
  }

  /** Begins to listen; rejects with a DnsError that says what to do. */
  static async open(
    options: UdpListenerOptions,
    handler: MessageHandler,
    runtime: Runtime,
  ): Promise<UdpListener> {
    const listener = new UdpListener(options, handler, runtime);
    listener.#socket = await runtime.network.bindDatagram(
      {
        local: options.local,
        connectTo: undefined,
        reusePort: options.reusePort ?? false,
        inheritedFd: options.inheritedFd,
      },
      {
        onMessage: (octets, from, via) => listener.#receive(octets, from, via),
        onError: (problem) => runtime.events.publish("udp.socket-error", { problem: problem.message }),
      },
    );
    return listener;
  }

  /** Where it listens, with the port that the system chose. */
  get local(): Endpoint {
    return this.#socket?.local ?? { address: "", port: 0 };
  }

  #receive(octets: Uint8Array, from: Endpoint, via: DatagramSocket): void {
    this.counters.received++;
    // Nothing can be sent to port 0.
    if (this.#isDraining || from.port === 0) return;
    if (this.#proxy?.isTrusted(from.address) === true) this.#receiveProxied(octets, from, via);
    else this.#answer(octets, this.#channelFor(from, via.local), from, via);
  }

  /** One for all datagrams, but for those whose answers come later. */
  #channelFor(remote: Endpoint, local: Endpoint): UdpChannel {
    const channel = this.#channel ?? new UdpChannel(remote, local);
    this.#channel = channel;
    channel.origin.remote = remote;
    channel.origin.local = local;
    return channel;
  }

  /** The answer goes to the proxy, which knows whom it is for. */
  #receiveProxied(octets: Uint8Array, from: Endpoint, via: DatagramSocket): void {
    const read = readProxyHeader(octets);
    if (read.kind !== "header") {
      this.counters.proxyFailures++;
      return;
    }
    const { header } = read;
    const channel =
      header.kind === "local"
        ? this.#channelFor(from, via.local)
        : this.#channelFor(header.source, header.destination);
    this.#answer(octets.subarray(read.octets), channel, from, via);
  }

  /** By the socket that the query came to: clients drop what another address says (RFC 2181 §4.1, RFC 5452 §9.1). */
  #answer(octets: Uint8Array, channel: UdpChannel, from: Endpoint, via: DatagramSocket): void {
    const answer = this.#handler.answer(octets, channel);
    if (answer === undefined) return;
    // The system may take a datagram later than the call: a view that is used again must be copied.
    if (answer instanceof Uint8Array) this.#send(copyToSend(answer, 0, answer.length), from, via);
    else {
      this.#channel = undefined;
      this.#sendLater(answer, from, via);
    }
  }

  #sendLater(answer: LaterAnswer, from: Endpoint, via: DatagramSocket): void {
    if (this.#inFlight >= this.#inFlightMax) {
      this.counters.droppedBusy++;
      return;
    }
    this.#inFlight++;
    void answer.then((octets) => {
      this.#inFlight--;
      if (octets !== undefined) this.#send(octets, from, via);
      if (this.#inFlight === 0) this.#whenEmpty?.();
    });
  }

  #send(octets: Uint8Array, to: Endpoint, via: DatagramSocket): void {
    this.counters.answered++;
    via.send(octets, to);
  }

  /** The machine may have other addresses now. */
  networkChanged(): void {
    void this.#socket?.networkChanged?.();
  }

  /** For datagrams that come from now on. */
  setProxy(proxy: ProxyOptions | undefined): void {
    this.#proxy = proxy;
  }

  /** Takes no more queries, answers those that wait until `deadlineMs` (monotonic), then closes. */
  async drain(deadlineMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#runtime.clock.startTimer(
          "udp-drain",
          deadlineMs - this.#runtime.clock.nowMs(),
          resolve,
        );
        this.#whenEmpty = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    await this.close();
  }

  async close(): Promise<void> {
    this.#isDraining = true;
    await this.#socket?.close();
  }
}

/** The way back of one datagram. */
class UdpChannel implements QueryChannel {
  readonly origin: QueryOrigin & { remote: Endpoint; local: Endpoint };

  constructor(remote: Endpoint, local: Endpoint) {
    this.origin = { transport: "udp", remote, local, security: undefined };
  }

  keepaliveUnits(): undefined {
    return undefined;
  }
}
