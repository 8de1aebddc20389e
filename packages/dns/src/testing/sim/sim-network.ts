/**
 * A network in memory for many hosts: datagrams with loss, duplication and reordering, streams with slices and resets,
 * a light imitation of TLS. Works with virtual time in tests and with real time in the playground.
 */
import {
  type ByteStream,
  type Clock,
  DnsError,
  type Endpoint,
  type Network,
  type Random,
  type Timer,
} from "@sotto/dns/runtime";
import { canonical, keyOf, refused, unreachable, wildcardOf } from "./sim-address.ts";
import type { SimDatagramSocket } from "./sim-datagram-socket.ts";
import { type HostNetwork, type Reachability, SimHost } from "./sim-host.ts";
import type { HandshakeOutcome, SimListener } from "./sim-listener.ts";
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

/** What is open on a network: all zero when a test has cleaned up. */
export interface SimNetworkUse {
  readonly streams: number;
  readonly datagramSockets: number;
  readonly listeners: number;
}

/** See the head of this file. Hosts on one network reach each other; there is nothing else. */
export class SimNetwork implements HostNetwork {
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
    security: HandshakeOutcome | undefined,
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
        listener.handlers.onStream(server, undefined);
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

function claim<T>(table: Map<string, T>, local: Endpoint, owner: T): void {
  const key = keyOf(local);
  if (table.has(key))
    throw new DnsError("ERR_ADDRESS_IN_USE", `${local.address} port ${local.port} is in use`);
  table.set(key, owner);
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
