/**
 * A network in memory for many hosts: datagrams with loss, duplication and reordering, streams with slices and resets,
 * a light imitation of TLS. Works with virtual time in tests and with real time in the playground.
 */
import {
  type ByteStream,
  type ChannelSecurity,
  type Clock,
  type ConnectOptions,
  type DatagramHandlers,
  type DatagramOptions,
  type DatagramSocket,
  DnsError,
  type Endpoint,
  type ListenHandlers,
  type ListenOptions,
  type Network,
  type Random,
  type StreamListener,
  type Timer,
} from "@sotto/dns/runtime";
import { addressToText, tryParseAddress } from "@sotto/dns/wire";
import { fakeChainProblem, presentFakeCertificate } from "./sim-identity.ts";
import { joinStreams, type SimStream, type StreamWeather } from "./sim-stream.ts";

/** The weather of a network. All rates are probabilities from 0 to 1, default 0. */
export interface SimNetworkOptions {
  /** Milliseconds one way. Default 5. */
  readonly latencyMs?: number;
  /** Up to this much is added to each datagram and slice, which reorders datagrams. Default 0. */
  readonly jitterMs?: number;
  /** Datagrams that never arrive; slices of streams then arrive one retransmission later. */
  readonly lossRate?: number;
  /** Datagrams that arrive twice. */
  readonly duplicateRate?: number;
  /** Writes are cut into slices of 1 to this many octets; undefined leaves them whole. */
  readonly sliceOctetsMax?: number;
  /** Slices at which the stream breaks for both ends. */
  readonly resetRate?: number;
  /** Octets in flight on a stream before the sender's buffer fills. Default 65536. */
  readonly windowOctets?: number;
  /** Largest datagram. Default 65507. */
  readonly datagramOctetsMax?: number;
}

/** How an address behaves, whatever is behind it. */
export type Reachability = "normal" | "silent" | "unreachable";

/** What is open on a network: all zero when a test has cleaned up. */
export interface SimNetworkUse {
  readonly streams: number;
  readonly datagramSockets: number;
  readonly listeners: number;
}

/** See the head of this file. Hosts on one network reach each other; there is nothing else. */
export class SimNetwork {
  readonly options: SimNetworkOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly #addresses = new Set<string>();
  readonly #listeners = new Map<string, SimListener>();
  readonly #sockets = new Map<string, SimDatagramSocket>();
  readonly #streams = new Set<SimStream>();
  readonly #timers = new Set<Timer>();
  readonly #reachability = new Map<string, Reachability>();
  readonly #tickets = new Map<string, SimListener>();
  /** Datagrams sent since the start, lost ones included. */
  datagramsSent = 0;
  /** Streams that were opened since the start. */
  streamsOpened = 0;
  #nextPort = EPHEMERAL_PORT_MIN;
  #isClosed = false;

  constructor(options: SimNetworkOptions, clock: Clock, random: Random) {
    this.options = options;
    this.clock = clock;
    this.random = random;
    this.weather = {
      delayMs: () => this.#delayMs() + (this.chance(options.lossRate) ? RETRANSMISSION_MS : 0),
      sliceOctets: (available) => {
        const most = options.sliceOctetsMax;
        return most === undefined ? available : Math.min(available, 1 + random.below(most));
      },
      breaks: () => this.chance(options.resetRate),
      windowOctets: options.windowOctets ?? WINDOW_OCTETS_DEFAULT,
    };
  }

  /** A host with these address literals; the first of each family is its source address. */
  host(addresses: readonly string[]): Network {
    const own = addresses.map(canonical);
    for (const address of own) this.#addresses.add(address);
    return new SimHost(this, own);
  }

  /** Lets an address swallow or refuse everything; `normal` undoes it. */
  setReachability(address: string, reachability: Reachability): void {
    this.#reachability.set(canonical(address), reachability);
  }

  get use(): SimNetworkUse {
    return {
      streams: this.#streams.size,
      datagramSockets: this.#sockets.size,
      listeners: this.#listeners.size,
    };
  }

  /** Takes everything down without calling anybody. */
  close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    for (const stream of this.#streams) stream.vanish();
    this.#streams.clear();
    this.#listeners.clear();
    this.#sockets.clear();
    return Promise.resolve();
  }

  /** A datagram that nobody who owns `from` sent: off-path forgery. It arrives after one latency. */
  inject(octets: Uint8Array, from: Endpoint, to: Endpoint): void {
    const copy = octets.slice();
    this.after(this.#delayMs(), () =>
      this.#sockets.get(keyOf({ address: canonical(to.address), port: to.port }))?.deliver(copy, from),
    );
  }

  /** Endpoints on which datagrams are taken now, for tests that forge some. */
  get boundDatagramEndpoints(): Endpoint[] {
    return [...this.#sockets.values()].map((socket) => socket.local);
  }

  // What follows is for hosts, sockets and listeners of this folder.

  after(delayMs: number, run: () => void): void {
    if (this.#isClosed) return;
    const timer = this.clock.startTimer("sim network", delayMs, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
  }

  reachabilityOf(address: string): Reachability {
    const set = this.#reachability.get(address) ?? "normal";
    if (set !== "normal") return set;
    return this.#addresses.has(address) ? "normal" : "silent";
  }

  /** A port that nothing on `address` uses. */
  freePort(address: string): number {
    for (;;) {
      const port = this.#nextPort++;
      if (this.#nextPort > 65_535) this.#nextPort = EPHEMERAL_PORT_MIN;
      const key = keyOf({ address, port });
      if (!this.#sockets.has(key) && !this.#listeners.has(key)) return port;
    }
  }

  addListener(listener: SimListener): void {
    claim(this.#listeners, listener.local, listener);
  }

  removeListener(listener: SimListener): void {
    this.#listeners.delete(keyOf(listener.local));
  }

  addSocket(socket: SimDatagramSocket): void {
    claim(this.#sockets, socket.local, socket);
  }

  removeSocket(socket: SimDatagramSocket): void {
    this.#sockets.delete(keyOf(socket.local));
  }

  findListener(to: Endpoint): SimListener | undefined {
    return this.#listeners.get(keyOf(to)) ?? this.#listeners.get(keyOf(wildcardOf(to)));
  }

  /** Sends one datagram on its uncertain way. */
  carry(octets: Uint8Array, from: SimDatagramSocket, source: Endpoint, to: Endpoint): void {
    this.datagramsSent++;
    if (octets.length > (this.options.datagramOctetsMax ?? DATAGRAM_OCTETS_MAX)) {
      this.after(0, () => from.fail(new DnsError("ERR_SYSTEM", "datagram is too large", { stage: "query" })));
      return;
    }
    const reachability = this.reachabilityOf(to.address);
    if (reachability === "unreachable") {
      this.after(this.#delayMs(), () => from.fail(unreachable(to, "query")));
      return;
    }
    if (reachability === "silent") return;
    const copies = this.chance(this.options.duplicateRate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.chance(this.options.lossRate)) continue;
      const copy = octets.slice();
      this.after(this.#delayMs(), () => this.#arrive(copy, from, source, to));
    }
  }

  #arrive(octets: Uint8Array, from: SimDatagramSocket, source: Endpoint, to: Endpoint): void {
    const socket = this.#sockets.get(keyOf(to)) ?? this.#sockets.get(keyOf(wildcardOf(to)));
    if (socket !== undefined) socket.deliver(octets, source);
    // Port unreachable (RFC 792, RFC 4443 §3.1) comes back to whoever asked.
    else this.after(this.#delayMs(), () => from.fail(refused(to, "query")));
  }

  chance(rate: number | undefined): boolean {
    return rate !== undefined && rate > 0 && this.random.below(1_000_000) < rate * 1_000_000;
  }

  #delayMs(): number {
    return this.latencyMs + (this.options.jitterMs ?? 0) * (this.random.below(1024) / 1024);
  }

  get latencyMs(): number {
    return this.options.latencyMs ?? LATENCY_MS_DEFAULT;
  }

  readonly weather: StreamWeather;

  /** Joins a client with the listener; the client's end comes back at once, the server's one latency later. */
  join(
    clientEnd: Endpoint,
    listener: SimListener,
    serverEnd: Endpoint,
    security: { client: ChannelSecurity; server: ChannelSecurity } | undefined,
  ): ByteStream {
    this.streamsOpened++;
    const client = joinStreams(
      {
        clientEnd,
        serverEnd,
        clientSecurity: security?.client,
        serverSecurity: security?.server,
        clock: this.clock,
        weather: this.weather,
        onGone: (stream) => this.#streams.delete(stream),
      },
      (server) => {
        if (listener.isClosed) {
          server.reset();
          return;
        }
        this.#streams.add(server);
        listener.handlers.onStream(server);
        if (security !== undefined) this.#sendTickets(server, listener);
      },
    );
    this.#streams.add(client);
    return client;
  }

  #sendTickets(server: SimStream, listener: SimListener): void {
    for (let i = 0; i < TICKETS_PER_HANDSHAKE; i++) {
      const ticket = this.random.octets(16);
      this.#tickets.set(ticket.join("."), listener);
      server.sendSession(ticket);
    }
    for (const oldest of this.#tickets.keys()) {
      if (this.#tickets.size <= TICKETS_MAX) break;
      this.#tickets.delete(oldest);
    }
  }

  isTicketOf(ticket: Uint8Array, listener: SimListener): boolean {
    return this.#tickets.get(ticket.join(".")) === listener;
  }
}

/** A host's view of the network. */
class SimHost implements Network {
  readonly #network: SimNetwork;
  readonly #addresses: readonly string[];

  constructor(network: SimNetwork, addresses: readonly string[]) {
    this.#network = network;
    this.#addresses = addresses;
  }

  #sourceFor(to: Endpoint, wanted: string | undefined): string | undefined {
    if (wanted !== undefined && !isWildcard(wanted)) {
      const address = canonical(wanted);
      return this.#addresses.includes(address) ? address : undefined;
    }
    const isIpv6 = to.address.includes(":");
    return this.#addresses.find((address) => address.includes(":") === isIpv6);
  }

  connect(options: ConnectOptions): Promise<ByteStream> {
    const network = this.#network;
    const remote = { address: canonical(options.remote.address), port: options.remote.port };
    const source = this.#sourceFor(remote, options.localAddress);
    if (source === undefined) return Promise.reject(unreachable(remote, "connect"));
    const clientEnd = { address: source, port: network.freePort(source) };
    const { promise, resolve, reject } = Promise.withResolvers<ByteStream>();
    let isSettled = false;
    const settle = (run: () => void): void => {
      if (isSettled) return;
      isSettled = true;
      limit.cancel();
      options.signal?.removeEventListener("abort", abort);
      run();
    };
    const abort = (): void => settle(() => reject(new DnsError("ERR_ABORTED", "connecting was given up")));
    let stage: "connect" | "handshake" = "connect";
    const timeOut = (): void => settle(() => reject(tooLate(remote, stage)));
    let limit = network.clock.startTimer("sim connect limit", options.connectTimeoutMs, timeOut);
    options.signal?.addEventListener("abort", abort);
    if (options.signal?.aborted === true) {
      abort();
      return promise;
    }
    const roundTripMs = network.weather.delayMs() + network.weather.delayMs();
    const reachability = network.reachabilityOf(remote.address);
    if (reachability === "unreachable")
      network.after(roundTripMs, () => settle(() => reject(unreachable(remote, "connect"))));
    if (reachability !== "normal") return promise;
    network.after(roundTripMs, () => {
      if (isSettled) return;
      const listener = network.findListener(remote);
      if (listener === undefined) {
        settle(() => reject(refused(remote, "connect")));
        return;
      }
      if (options.tls === undefined && listener.tls === undefined) {
        settle(() => resolve(network.join(clientEnd, listener, remote, undefined)));
        return;
      }
      if (options.tls === undefined) {
        // A TLS server closes when the first octets are not a ClientHello.
        const problem = new DnsError("ERR_TLS_HANDSHAKE", "not a ClientHello", { stage: "handshake" });
        listener.handlers.onFailure(clientEnd, "handshake", problem);
        settle(() =>
          reject(new DnsError("ERR_CONNECTION_LOST", "the peer speaks TLS only", { stage: "connect" })),
        );
        return;
      }
      stage = "handshake";
      options.onConnected?.();
      limit.cancel();
      limit = network.clock.startTimer("sim handshake limit", options.handshakeTimeoutMs, timeOut);
      network.after(roundTripMs, () => {
        if (isSettled) return;
        const shaken = shakeHands(options, listener, clientEnd, network);
        if (typeof shaken === "string")
          settle(() =>
            reject(
              new DnsError(
                "ERR_TLS_HANDSHAKE",
                `TLS handshake with ${remote.address} port ${remote.port} failed: ${shaken}`,
                { stage: "handshake" },
              ),
            ),
          );
        else settle(() => resolve(network.join(clientEnd, listener, remote, shaken)));
      });
    });
    return promise;
  }

  listen(options: ListenOptions, handlers: ListenHandlers): Promise<StreamListener> {
    const local = this.#localEnd(options.local);
    if (local === undefined) return Promise.reject(notOurs(options.local));
    const listener = new SimListener(this.#network, local, options, handlers);
    try {
      this.#network.addListener(listener);
    } catch (problem) {
      return Promise.reject(problem);
    }
    return Promise.resolve(listener);
  }

  bindDatagram(options: DatagramOptions, handlers: DatagramHandlers): Promise<DatagramSocket> {
    const peer =
      options.connectTo === undefined
        ? undefined
        : { address: canonical(options.connectTo.address), port: options.connectTo.port };
    // Connecting a socket that is bound to every address settles its source address.
    const wanted = peer === undefined ? options.local.address : this.#sourceFor(peer, options.local.address);
    if (wanted === undefined && peer !== undefined) return Promise.reject(unreachable(peer, "query"));
    const local = this.#localEnd({ address: wanted ?? options.local.address, port: options.local.port });
    if (local === undefined) return Promise.reject(notOurs(options.local));
    const sourceOf = (to: Endpoint): string | undefined => this.#sourceFor(to, local.address);
    const socket = new SimDatagramSocket(this.#network, local, peer, sourceOf, handlers);
    try {
      this.#network.addSocket(socket);
    } catch (problem) {
      return Promise.reject(problem);
    }
    return Promise.resolve(socket);
  }

  #localEnd(wanted: Endpoint): Endpoint | undefined {
    const address = canonical(wanted.address);
    if (!isWildcard(address) && !this.#addresses.includes(address)) return undefined;
    return { address, port: wanted.port === 0 ? this.#network.freePort(address) : wanted.port };
  }
}

/** Both ends' view of a new TLS session, or why there is none. */
function shakeHands(
  options: ConnectOptions,
  listener: SimListener,
  clientEnd: Endpoint,
  network: SimNetwork,
): { client: ChannelSecurity; server: ChannelSecurity } | string {
  const { tls } = options;
  if (tls === undefined || listener.tls === undefined) return "the peer does not speak TLS";
  const alpn = listener.tls.alpn.find((protocol) => tls.alpn.includes(protocol));
  if (alpn === undefined && tls.alpn.length > 0 && listener.tls.alpn.length > 0) {
    const problem = new DnsError("ERR_TLS_HANDSHAKE", "no application protocol in common", {
      stage: "handshake",
    });
    listener.handlers.onFailure(clientEnd, "handshake", problem);
    return "no application protocol in common";
  }
  const resumed = tls.session !== undefined && network.isTicketOf(tls.session, listener);
  const certificate = presentFakeCertificate(listener.certificatePem);
  const common = {
    protocol: "TLSv1.3",
    cipher: "TLS_AES_256_GCM_SHA384",
    group: "X25519",
    alpn,
    resumed,
  };
  return {
    client: {
      ...common,
      serverName: undefined,
      peerChain: resumed ? [] : [certificate],
      chainProblem: resumed
        ? undefined
        : fakeChainProblem(certificate, tls.trustAnchorsPem, network.clock.wallMs()),
    },
    server: { ...common, serverName: tls.serverName, peerChain: [], chainProblem: undefined },
  };
}

/** A listening port. */
class SimListener implements StreamListener {
  readonly local: Endpoint;
  readonly tls: ListenOptions["tls"];
  readonly handlers: ListenHandlers;
  readonly #network: SimNetwork;
  certificatePem: string;
  isClosed = false;

  constructor(network: SimNetwork, local: Endpoint, options: ListenOptions, handlers: ListenHandlers) {
    this.#network = network;
    this.local = local;
    this.tls = options.tls;
    this.handlers = handlers;
    this.certificatePem = options.tls?.certificatePem ?? "";
    if (options.tls !== undefined) presentFakeCertificate(options.tls.certificatePem);
  }

  setCertificate(certificatePem: string): void {
    presentFakeCertificate(certificatePem);
    this.certificatePem = certificatePem;
  }

  close(): Promise<void> {
    if (!this.isClosed) this.#network.removeListener(this);
    this.isClosed = true;
    return Promise.resolve();
  }
}

/** A bound datagram socket. */
class SimDatagramSocket implements DatagramSocket {
  readonly local: Endpoint;
  readonly #network: SimNetwork;
  readonly #peer: Endpoint | undefined;
  readonly #sourceOf: (to: Endpoint) => string | undefined;
  readonly #handlers: DatagramHandlers;
  #isClosed = false;

  constructor(
    network: SimNetwork,
    local: Endpoint,
    peer: Endpoint | undefined,
    sourceOf: (to: Endpoint) => string | undefined,
    handlers: DatagramHandlers,
  ) {
    this.#network = network;
    this.local = local;
    this.#peer = peer;
    this.#sourceOf = sourceOf;
    this.#handlers = handlers;
  }

  send(octets: Uint8Array, to: Endpoint): void {
    if (this.#isClosed) return;
    const remote = { address: canonical(to.address), port: to.port };
    const address = this.#sourceOf(remote);
    if (address === undefined) {
      this.#network.after(0, () => this.fail(unreachable(remote, "query")));
      return;
    }
    this.#network.carry(octets, this, { address, port: this.local.port }, remote);
  }

  close(): Promise<void> {
    if (!this.#isClosed) this.#network.removeSocket(this);
    this.#isClosed = true;
    return Promise.resolve();
  }

  deliver(octets: Uint8Array, from: Endpoint): void {
    if (this.#isClosed || (this.#peer !== undefined && keyOf(this.#peer) !== keyOf(from))) return;
    this.#handlers.onMessage(octets, from);
  }

  /** ICMP errors are only reported on connected sockets; what happened at once, always. */
  fail(problem: DnsError): void {
    if (this.#isClosed) return;
    if (this.#peer !== undefined || problem.code !== "ERR_CONNECT_REFUSED") this.#handlers.onError(problem);
  }
}

function claim<T>(table: Map<string, T>, local: Endpoint, owner: T): void {
  const key = keyOf(local);
  if (table.has(key))
    throw new DnsError("ERR_ADDRESS_IN_USE", `${local.address} port ${local.port} is in use`);
  table.set(key, owner);
}

function keyOf(endpoint: Endpoint): string {
  return `${endpoint.address}|${endpoint.port}`;
}

function wildcardOf(to: Endpoint): Endpoint {
  return { address: to.address.includes(":") ? "::" : "0.0.0.0", port: to.port };
}

function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

function canonical(address: string): string {
  const octets = tryParseAddress(address);
  if (!octets.ok) throw new RangeError(octets.problem);
  return addressToText(octets.value);
}

function refused(to: Endpoint, stage: string): DnsError {
  return new DnsError("ERR_CONNECT_REFUSED", `${to.address} port ${to.port} refused`, { stage });
}

function unreachable(to: Endpoint, stage: string): DnsError {
  return new DnsError("ERR_UNREACHABLE", `${to.address} cannot be reached`, { stage });
}

function tooLate(to: Endpoint, stage: "connect" | "handshake"): DnsError {
  return new DnsError("ERR_CONNECT_TIMEOUT", `${to.address} port ${to.port} did not answer in time`, { stage });
}

function notOurs(local: Endpoint): DnsError {
  return new DnsError("ERR_ADDRESS_NOT_AVAILABLE", `${local.address} is not an address of this host`);
}

const LATENCY_MS_DEFAULT = 5;
const WINDOW_OCTETS_DEFAULT = 65_536;
/** RFC 768: what fits under IPv4. */
const DATAGRAM_OCTETS_MAX = 65_507;
/** Linux's smallest retransmission time-out. */
const RETRANSMISSION_MS = 200;
/** RFC 6335 §6. */
const EPHEMERAL_PORT_MIN = 49_152;
/** As OpenSSL sends for TLS 1.3. */
const TICKETS_PER_HANDSHAKE = 2;
/** More than any simulation has connections. */
const TICKETS_MAX = 100_000;
