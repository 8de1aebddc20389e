/**
 * The UDP sockets of an exchanger. By default each query has one of its own. Where they are shared, which is for stubs that ask few
 * servers much, a query takes one by chance of a few open ones, and each serves a limited number of queries for a limited time:
 * whoever asks seldom still has a fresh port each time (RFC 5452 §9.2; decision 14 tells what a forger must guess).
 */
import type { Endpoint, Runtime } from "@sotto/dns/runtime";
import { UdpSocket } from "./udp-socket.ts";

export class UdpSockets {
  readonly #isShared: boolean;
  readonly #runtime: Runtime;
  /** By server and own address: those that take queries, and some that do so no more. */
  readonly #shared = new Map<string, UdpSocket[]>();

  constructor(isShared: boolean, runtime: Runtime) {
    this.#isShared = isShared;
    this.#runtime = runtime;
  }

  /** A socket that takes a query; `place` is the server as a key. */
  take(server: Endpoint, place: string, localAddress: string | undefined): UdpSocket {
    const sockets = this.#isShared ? this.#socketsTo(place, localAddress) : undefined;
    if (sockets === undefined)
      return new UdpSocket({ server, localAddress, queriesMax: 1, lifeMs: undefined }, this.#runtime);
    if (sockets.length >= SOCKETS_PER_SERVER) {
      const latest = sockets[sockets.length - 1];
      if (latest !== undefined && this.#runtime.clock.nowMs() - latest.openedAtMs < YOUNG_MS) return latest;
      const drawn = sockets[this.#runtime.random.below(sockets.length)];
      if (drawn !== undefined) return drawn;
    }
    const options = { server, localAddress, queriesMax: QUERIES_PER_SOCKET, lifeMs: LIFE_MS };
    const fresh = new UdpSocket(options, this.#runtime);
    sockets.push(fresh);
    return fresh;
  }

  /** Usable ones only; undefined: there are too many servers. */
  #socketsTo(place: string, localAddress: string | undefined): UdpSocket[] | undefined {
    const key = localAddress === undefined ? place : `${place}|${localAddress}`;
    const known = this.#shared.get(key);
    if (known === undefined) {
      if (this.#shared.size >= SERVERS_MAX) this.#forgetUnused();
      if (this.#shared.size >= SERVERS_MAX) return undefined;
      const none: UdpSocket[] = [];
      this.#shared.set(key, none);
      return none;
    }
    for (let i = known.length - 1; i >= 0; i--) if (known[i]?.takesQueries === false) known.splice(i, 1);
    return known;
  }

  #forgetUnused(): void {
    for (const [key, sockets] of this.#shared)
      if (!sockets.some(({ takesQueries }) => takesQueries)) this.#shared.delete(key);
  }

  /** The machine may have other addresses now: queries to come leave from fresh sockets. */
  networkChanged(): void {
    for (const socket of this.#all()) socket.retire();
    this.#shared.clear();
  }

  /** Waits for the end of the queries on shared sockets, and closes them. */
  async close(): Promise<void> {
    const closing = this.#all().map((socket) => socket.close());
    this.#shared.clear();
    await Promise.all(closing);
  }

  #all(): UdpSocket[] {
    return [...this.#shared.values()].flat();
  }
}

/** Sockets to one server that share its queries: three bits of chance for whoever knows all of their ports. */
const SOCKETS_PER_SERVER = 8;
/**
 * As long a port is as good as one that nobody has used: no probe has found it. A burst of queries shares one, whose replies are
 * read together.
 */
const YOUNG_MS = 20;
/** Then what it took to open it is a hundredth of what its queries take. */
const QUERIES_PER_SOCKET = 128;
/** Much shorter than it takes to find a port by its side effects, at the thousand probes a second that Linux answers. */
const LIFE_MS = 5000;
/** A stub has three, and with name-only upstreams and TLSA records some more; further servers are asked without sharing. */
const SERVERS_MAX = 32;
