/**
 * The UDP sockets of an exchanger. By default each query has one of its own. Where they are shared, a query takes one by chance of a
 * few open ones to the same server, and each serves a limited number of queries for a limited time. Stubs share always, because
 * they ask few servers; a recursor shares towards servers that it asks much. Whoever asks seldom still has a fresh port each time
 * (RFC 5452 §9.2; decisions 14 and 22 tell what a forger must guess).
 */
import type { Endpoint, Runtime } from "@sotto/dns/runtime";
import { UdpSocket } from "./udp-socket.ts";

/** When queries to one server share sockets. */
export type SocketSharing = "never" | "when busy" | "always";

export class UdpSockets {
  readonly #sharing: Sharing | undefined;
  readonly #runtime: Runtime;
  /** By server and own address: those that take queries, and some that do so no more. */
  readonly #shared = new Map<string, UdpSocket[]>();
  /** Queries since {@link #countedFromMs}, by the same keys. */
  readonly #asked = new Map<string, number>();
  #countedFromMs = Number.NEGATIVE_INFINITY;

  constructor(sharing: SocketSharing, runtime: Runtime) {
    this.#sharing = SHARING[sharing];
    this.#runtime = runtime;
  }

  /** A socket that takes a query; `place` is the server as a key. */
  take(server: Endpoint, place: string, localAddress: string | undefined): UdpSocket {
    const sharing = this.#sharing;
    const key = localAddress === undefined ? place : `${place}|${localAddress}`;
    const sockets = sharing === undefined || !this.#isBusy(key, sharing) ? undefined : this.#socketsTo(key);
    if (sharing === undefined || sockets === undefined)
      return new UdpSocket({ server, localAddress, queriesMax: 1, lifeMs: undefined }, this.#runtime);
    if (sockets.length >= sharing.socketsPerServer) {
      const latest = sockets[sockets.length - 1];
      const { clock, random } = this.#runtime;
      if (latest !== undefined && clock.nowMs() - latest.openedAtMs < sharing.youngMs) return latest;
      const drawn = sockets[random.below(sockets.length)];
      if (drawn !== undefined) return drawn;
    }
    const { queriesMax, lifeMs } = sharing;
    const fresh = new UdpSocket({ server, localAddress, queriesMax, lifeMs }, this.#runtime);
    sockets.push(fresh);
    return fresh;
  }

  /** The first queries of each second do not make a server a busy one. */
  #isBusy(key: string, { ownPerSecond }: Sharing): boolean {
    if (ownPerSecond === 0) return true;
    const nowMs = this.#runtime.clock.nowMs();
    if (nowMs - this.#countedFromMs >= 1000) {
      this.#countedFromMs = nowMs;
      this.#asked.clear();
    }
    const asked = this.#asked.get(key) ?? 0;
    if (asked >= ownPerSecond) return true;
    if (asked > 0 || this.#asked.size < COUNTED_MAX) this.#asked.set(key, asked + 1);
    return false;
  }

  /** Usable ones only; undefined: there are too many servers. */
  #socketsTo(key: string): UdpSocket[] | undefined {
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

interface Sharing {
  /** Queries per second to one server that have sockets of their own. */
  readonly ownPerSecond: number;
  readonly socketsPerServer: number;
  /** Queries that one socket serves. */
  readonly queriesMax: number;
  /** For how long it takes queries. */
  readonly lifeMs: number;
  /**
   * As long a port is as good as one that nobody has used: no probe has found it. A burst of queries shares one, whose replies are
   * read together.
   */
  readonly youngMs: number;
}

/**
 * Sockets to one server are so many bits of chance for whoever knows all of their ports. After so many queries what it took to open a
 * socket is a small part of what its queries take. A life is much shorter than it takes to find a port by its side effects, at
 * the thousand probes a second that Linux answers: the shorter one is for who caches for many.
 */
const SHARING: { readonly [sharing in SocketSharing]: Sharing | undefined } = {
  never: undefined,
  "when busy": { ownPerSecond: 16, socketsPerServer: 16, queriesMax: 64, lifeMs: 1000, youngMs: 0 },
  always: { ownPerSecond: 0, socketsPerServer: 8, queriesMax: 128, lifeMs: 5000, youngMs: 20 },
};
/** A stub has three, and with name-only upstreams and TLSA records some more; further servers are asked without sharing. */
const SERVERS_MAX = 32;
/** Servers whose queries are counted in one second, about 100 bytes each; further ones are not busy. */
const COUNTED_MAX = 2000;
