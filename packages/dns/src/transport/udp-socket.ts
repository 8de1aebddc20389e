/**
 * A UDP socket that is connected to one server, and the queries that wait for replies on it. No two of them have the same id, not even
 * one after the other: a late reply finds nobody. Replies that match no query are ignored up to a limit: they may be a forger's.
 */
import { type DatagramSocket, DnsError, type Endpoint, type Runtime, type Timer } from "@sotto/dns/runtime";
import { MessageView, uint16At } from "@sotto/dns/wire";

/** A query on a socket. */
export interface UdpWaiter {
  /** The socket is open, at this end. */
  start(local: Endpoint): void;
  /** A datagram with the query's id, valid only during the call. False: it is not the reply. */
  receive(octets: Uint8Array, from: Endpoint): boolean;
  /** There will be no reply. */
  fail(problem: Error): void;
}

export interface UdpSocketOptions {
  readonly server: Endpoint;
  readonly localAddress: string | undefined;
  /** Queries that it may be used for, one after the other or at once. */
  readonly queriesMax: number;
  /** Milliseconds for which it takes queries; undefined: no limit. */
  readonly lifeMs: number | undefined;
}

export class UdpSocket {
  /** For looking at a datagram while it is valid. */
  readonly view = new MessageView();
  /** Monotonic milliseconds. */
  readonly openedAtMs: number;
  readonly #options: UdpSocketOptions;
  readonly #runtime: Runtime;
  /** All ids that were drawn, and who has them: undefined when the query is over. A hundred ids are found faster than in a map. */
  readonly #ids: number[] = [];
  readonly #waiters: (UdpWaiter | undefined)[] = [];
  readonly #opening: Promise<void>;
  #socket: DatagramSocket | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  #endOfLife: Timer | undefined = undefined;
  #awaited = 0;
  #isRetired = false;
  #wrongReplies = 0;

  constructor(options: UdpSocketOptions, runtime: Runtime) {
    this.#options = options;
    this.#runtime = runtime;
    this.openedAtMs = runtime.clock.nowMs();
    this.#opening = this.#open();
    const { lifeMs } = options;
    if (lifeMs !== undefined)
      this.#endOfLife = runtime.clock.startTimer("udp socket", lifeMs, () => this.retire(), true);
  }

  /** True while another query may use it. */
  get takesQueries(): boolean {
    return !this.#isRetired && this.#ids.length < this.#options.queriesMax;
  }

  /** Datagrams that were no replies. */
  get wrongReplies(): number {
    return this.#wrongReplies;
  }

  /** Once it is open. */
  get local(): Endpoint | undefined {
    return this.#socket?.local;
  }

  /**
   * Takes a query, only while {@link takesQueries}, and gives its id (RFC 5452 §9.2: unpredictable). It is started when the socket
   * opens, or not, when that has happened already.
   */
  add(waiter: UdpWaiter): number {
    let id = this.#runtime.random.uint16();
    while (this.#ids.includes(id)) id = this.#runtime.random.uint16();
    this.#ids.push(id);
    this.#waiters.push(waiter);
    this.#awaited++;
    return id;
  }

  send(octets: Uint8Array): void {
    this.#socket?.send(octets, this.#options.server, this.#awaited >= MANY);
  }

  /** The query with this id is over. The promise tells when the socket is closed, where that is the end of it. */
  remove(id: number): Promise<void> | undefined {
    const at = this.#ids.indexOf(id);
    if (this.#waiters[at] === undefined) return undefined;
    this.#waiters[at] = undefined;
    this.#awaited--;
    return this.#closeWhenDone();
  }

  /** Takes no more queries, and closes when the last one is over. */
  retire(): void {
    this.#isRetired = true;
    void this.#closeWhenDone();
  }

  /** Closes when the last query is over, and waits for that. */
  async close(): Promise<void> {
    this.retire();
    await this.#opening;
    await this.#closing;
  }

  async #open(): Promise<void> {
    const { server, localAddress, queriesMax } = this.#options;
    const any = server.address.includes(":") ? "::" : "0.0.0.0";
    try {
      this.#socket = await this.#runtime.network.bindDatagram(
        {
          local: { address: localAddress ?? any, port: 0 },
          // The system drops what other addresses send, and reports ICMP refusals.
          connectTo: server,
          reusePort: false,
          // Who waits has a timer that holds the process; an idle socket must not.
          isBackground: queriesMax > 1,
        },
        {
          onMessage: (octets, from) => this.#receive(octets, from),
          onError: (problem) => this.#failAll(problem),
        },
      );
    } catch (problem) {
      this.#failAll(problem instanceof Error ? problem : new Error(String(problem)));
      return;
    }
    const { local } = this.#socket;
    for (const waiter of this.#waiters) waiter?.start(local);
    await this.#closeWhenDone();
  }

  #receive(octets: Uint8Array, from: Endpoint): void {
    const at = octets.length < 2 ? -1 : this.#ids.indexOf(uint16At(octets, 0));
    const waiter = this.#waiters[at];
    // A second reply, or one that came too late, of a query that is over.
    if (at >= 0 && waiter === undefined) return;
    if (waiter?.receive(octets, from) === true) return;
    this.#wrongReplies++;
    if (this.#wrongReplies <= WRONG_REPLIES_MAX) return;
    const { server } = this.#options;
    const problem = `more than ${WRONG_REPLIES_MAX} datagrams claim to be the reply of ${server.address} and are not; ask over TCP`;
    this.#failAll(new DnsError("ERR_REPLY_UNUSABLE", problem, { stage: "query" }));
  }

  /** What the system reports on a connected socket is about its server, and so about all that wait. */
  #failAll(problem: Error): void {
    this.#isRetired = true;
    for (const waiter of this.#waiters) waiter?.fail(problem);
    void this.#closeWhenDone();
  }

  #closeWhenDone(): Promise<void> | undefined {
    if (this.takesQueries) return undefined;
    this.#endOfLife?.cancel();
    if (this.#awaited > 0) return undefined;
    // Opening ends with closing when nobody waits any more.
    if (this.#socket === undefined) return this.#opening;
    this.#closing ??= this.#socket.close();
    return this.#closing;
  }
}

/** Wrong datagrams that are ignored. Chance brings a few, a forger who guesses ids brings thousands. */
export const WRONG_REPLIES_MAX = 100;
/** Queries on a socket from which on they leave together, which a few would only have to wait for. */
const MANY = 5;
