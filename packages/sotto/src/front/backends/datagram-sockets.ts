/**
 * Queries to one backend over UDP, on a few connected sockets whose ports the system draws and which are replaced after a while
 * (RFC 5452 §9.2, §10). What does not match by id and question is ignored: a forged reply must not end the wait for the right one.
 */
import { DnsError, type Endpoint, type Runtime, SharedTimer } from "@sotto/dns/runtime";
import { copyToSend, setUint16 } from "@sotto/dns/wire";
import type { Attempt } from "./attempt.ts";
import type { BackendLimits } from "./backend-settings.ts";
import { BackendSocket } from "./backend-socket.ts";
import { proxyHeader } from "./client-lanes.ts";
import type { Dress, QueryDresser } from "./query-dress.ts";

/** The backend. */
export interface DatagramHost {
  /** The octets are the receiver's own. */
  datagramReplied(attempt: Attempt, octets: Uint8Array, isTruncated: boolean, nowMs: number): void;
  /** Time is up, or nobody waits any more. */
  datagramTimedOut(attempt: Attempt, nowMs: number): void;
  /** A socket failed, with all that was on it: told before each of those fails. */
  socketFailed(problem: DnsError, nowMs: number): void;
  datagramFailed(attempt: Attempt, problem: DnsError, nowMs: number): void;
}

export interface DatagramOptions {
  readonly endpoint: Endpoint;
  readonly localAddress: string | undefined;
  readonly limits: BackendLimits;
  readonly dresser: QueryDresser;
  /** Each datagram begins with a PROXY header. */
  readonly tellsClient: boolean;
  /** Milliseconds after which a query is sent again. */
  readonly patienceMs: () => number;
}

export class DatagramSockets {
  /** Datagrams that matched no query. */
  wrongReplies = 0;
  readonly #options: DatagramOptions;
  readonly #host: DatagramHost;
  readonly #runtime: Runtime;
  readonly #dress: Dress;
  readonly #plainDress: Dress;
  /** Those that take queries. */
  readonly #sockets: BackendSocket[] = [];
  /** Those that only wait for replies. */
  readonly #leaving = new Set<BackendSocket>();
  readonly #timer: SharedTimer;

  constructor(options: DatagramOptions, host: DatagramHost, runtime: Runtime) {
    this.#options = options;
    this.#host = host;
    this.#runtime = runtime;
    const { udpPayloadOctets } = options.limits;
    this.#dress = { asksKeepalive: false, padBlockOctets: 0, isPlain: false, udpPayloadOctets };
    this.#plainDress = { ...this.#dress, isPlain: true };
    this.#timer = new SharedTimer(
      { name: "udp backend", sweep: (nowMs) => this.#sweep(nowMs) },
      runtime.clock,
    );
  }

  /** Sockets that are open. */
  get sockets(): number {
    return this.#sockets.length + this.#leaving.size;
  }

  send(attempt: Attempt, nowMs: number): void {
    const { dresser, tellsClient, endpoint } = this.#options;
    const { query } = attempt;
    const dressed = dresser.dress(query.octets, attempt.isPlain ? this.#plainDress : this.#dress);
    const header = tellsClient ? proxyHeader(query.client, query.local ?? endpoint, "datagram") : undefined;
    const socket = this.#take(nowMs);
    const own = dressed === query.octets ? copyToSend(dressed, 0, dressed.length) : dressed;
    setUint16(own, 0, socket.add(attempt));
    if (header !== undefined) {
      attempt.octets = new Uint8Array(header.length + own.length);
      attempt.octets.set(header);
      attempt.octets.set(own, header.length);
    } else attempt.octets = own;
    attempt.sends = 0;
    this.#sendNow(attempt, socket, nowMs);
  }

  #sendNow(attempt: Attempt, socket: BackendSocket, nowMs: number): void {
    attempt.sends++;
    const isLast = attempt.sends >= this.#options.limits.udpSendsMax;
    attempt.resendAtMs = isLast
      ? Number.POSITIVE_INFINITY
      : nowMs + this.#options.patienceMs() * 2 ** (attempt.sends - 1);
    this.#timer.expect(Math.min(attempt.resendAtMs, attempt.deadlineMs));
    socket.send(attempt.octets);
  }

  /** One by chance; a fresh one in the place of one that has served long enough. */
  #take(nowMs: number): BackendSocket {
    const { limits, endpoint, localAddress } = this.#options;
    const at = this.#runtime.random.below(limits.sockets);
    const drawn = this.#sockets[at];
    if (drawn?.takesQueries(nowMs) === true) return drawn;
    const fresh = new BackendSocket(
      {
        endpoint,
        localAddress,
        onReply: (attempt, octets, isTruncated) =>
          this.#host.datagramReplied(attempt, octets, isTruncated, this.#runtime.clock.nowMs()),
        onWrong: () => {
          this.wrongReplies++;
        },
        onFailed: (socket, problem) => this.#failed(socket, problem),
        onEmpty: (socket) => {
          if (this.#leaving.delete(socket)) void socket.close();
        },
      },
      this.#runtime,
    );
    this.#sockets.push(fresh);
    // Last: those that fail by it may come again at once, and must find its place taken.
    if (drawn !== undefined) this.#retire(drawn, nowMs);
    return fresh;
  }

  #retire(socket: BackendSocket, nowMs: number): void {
    const at = this.#sockets.indexOf(socket);
    if (at >= 0) this.#sockets.splice(at, 1);
    if (socket.pending === 0) {
      void socket.close();
      return;
    }
    // One that is emptied by deadlines only must not be followed by too many others.
    if (this.#leaving.size >= LEAVING_MAX) {
      const [oldest] = this.#leaving;
      if (oldest !== undefined) this.#fail(oldest, retiredTooSoon(this.#options.endpoint), nowMs);
    }
    this.#leaving.add(socket);
  }

  /** What the system reports on a connected socket is about the backend, and so about all that wait on it. */
  #failed(socket: BackendSocket, problem: DnsError): void {
    const nowMs = this.#runtime.clock.nowMs();
    this.#host.socketFailed(problem, nowMs);
    this.#fail(socket, problem, nowMs);
  }

  #fail(socket: BackendSocket, problem: DnsError, nowMs: number): void {
    const at = this.#sockets.indexOf(socket);
    if (at >= 0) this.#sockets.splice(at, 1);
    this.#leaving.delete(socket);
    const waiting = socket.takeAll();
    void socket.close();
    for (const attempt of waiting) this.#host.datagramFailed(attempt, problem, nowMs);
  }

  #sweep(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const socket of [...this.#sockets, ...this.#leaving])
      nextMs = Math.min(nextMs, this.#sweepSocket(socket, nowMs));
    return Math.max(nextMs, nowMs + SWEEP_MS);
  }

  #sweepSocket(socket: BackendSocket, nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    const over: Attempt[] = [];
    for (const [id, attempt] of socket.entries()) {
      if (attempt.deadlineMs <= nowMs) {
        over.push(attempt);
        socket.remove(id);
        continue;
      }
      if (attempt.resendAtMs <= nowMs) {
        if (attempt.isAwaited) this.#sendNow(attempt, socket, nowMs);
        else attempt.resendAtMs = Number.POSITIVE_INFINITY;
      }
      nextMs = Math.min(nextMs, attempt.deadlineMs, attempt.resendAtMs);
    }
    socket.noteEmpty();
    // Whoever is told may send the next query.
    for (const attempt of over) this.#host.datagramTimedOut(attempt, nowMs);
    return nextMs;
  }

  /** Closes all; nobody is told. */
  async close(): Promise<void> {
    this.#timer.rest();
    const all = [...this.#sockets.splice(0), ...this.#leaving];
    this.#leaving.clear();
    await Promise.all(all.map((socket) => socket.close()));
  }
}

function retiredTooSoon({ address, port }: Endpoint): DnsError {
  return new DnsError("ERR_TIMEOUT", `no reply from ${address} port ${port} over UDP`, { stage: "query" });
}

/** A timer of Node is no finer, and thousands of waits must not be walked over more often. */
const SWEEP_MS = 5;
/** Each holds a descriptor until its last query is over. */
const LEAVING_MAX = 16;
