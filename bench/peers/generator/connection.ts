/** One socket of the load: UDP, TCP or TLS, without blocking. Whoever makes it closes it. */
import {
  AF_INET,
  allocate,
  c,
  EPOLLERR,
  EPOLLHUP,
  IP_BIND_ADDRESS_NO_PORT,
  IPPROTO_IP,
  IPPROTO_TCP,
  MSG_NOSIGNAL,
  makeTlsContext,
  SO_ERROR,
  SO_RCVBUF,
  SOCK_DGRAM_NONBLOCK,
  SOCK_STREAM_NONBLOCK,
  SOCKADDR_OCTETS,
  SOL_SOCKET,
  SSL_ERROR_WANT_READ,
  SSL_ERROR_WANT_WRITE,
  socketAddress,
  TCP_NODELAY,
} from "./c-calls.ts";
import type { LoadTarget, LoadTransport } from "./orders.ts";
import type { Poller } from "./poller.ts";
import type { Queries } from "./queries.ts";

/** Takes one message of the server, from `start` to `end` of octets that are gone after it. */
export type TakeReply = (connection: Connection, octets: Buffer, start: number, end: number) => void;

type State = "connecting" | "handshake" | "open" | "closed";

export interface ConnectionOptions {
  readonly target: LoadTarget;
  /** Where it stands in the table of its owner, which events tell. */
  readonly place: number;
  readonly poller: Poller;
  /** A TLS session to resume; stays the caller's. */
  readonly session?: bigint;
}

export class Connection {
  readonly place: number;
  readonly #transport: LoadTransport;
  readonly #poller: Poller;
  readonly #fd: number;
  #state: State = "connecting";
  #ssl = 0n;
  #wantsWrite = true;
  /** Written when there is room again: whole framed queries, of which the first may have left in part. */
  #backlog: Buffer[] = [];
  #leftOf = 0;
  /** The beginning of a message whose rest has not come. */
  #half: Buffer | undefined;

  constructor({ target, place, poller, session }: ConnectionOptions) {
    this.place = place;
    this.#transport = target.transport;
    this.#poller = poller;
    const isUdp = target.transport === "udp";
    this.#fd = c.socket(AF_INET, isUdp ? SOCK_DGRAM_NONBLOCK : SOCK_STREAM_NONBLOCK, 0);
    if (this.#fd < 0) throw new Error("no socket: the limit of open files is too low (ulimit -n)");
    setOptions(this.#fd, isUdp);
    if (!isUdp) c.bind(this.#fd, sourceAddress(), SOCKADDR_OCTETS);
    c.connect(this.#fd, addressOf(target), SOCKADDR_OCTETS);
    if (target.transport === "tls") this.#ssl = startTls(this.#fd, session);
    if (isUdp) this.#state = "open";
    poller.add(this.#fd, place);
    if (isUdp) this.#want(false);
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Whether the TLS handshake resumed a session. */
  get isResumed(): boolean {
    return this.#ssl !== 0n && c.SSL_session_reused(this.#ssl) === 1;
  }

  /** Goes on with connecting, writes what waited; true when it has become open by that. */
  progress(events: number): boolean {
    if (this.#state === "open") {
      if (this.#backlog.length > 0) this.#writeBacklog();
      return false;
    }
    if (this.#state === "connecting") {
      if (socketError(this.#fd) !== 0 || (events & EPOLLERR) !== 0) {
        this.close();
        return false;
      }
      this.#state = this.#transport === "tls" ? "handshake" : "open";
    }
    if (this.#state === "handshake") this.#shakeHands();
    if (this.#state === "open") this.#want(false);
    return this.#state === "open";
  }

  /** Writes a query by itself: one datagram, one segment if the kernel wants, one TLS record. */
  write(queries: Queries, index: number): void {
    if (this.#transport === "udp") {
      // A full buffer loses the query, which its sender finds out.
      c.send(this.#fd, queries.messagePointer(index), queries.messageSize(index), MSG_NOSIGNAL);
      return;
    }
    if (this.#backlog.length > 0) {
      this.#backlog.push(Buffer.from(queries.framed(index)));
      return;
    }
    const octets = queries.framedOctets(index);
    const written =
      this.#ssl === 0n
        ? c.send(this.#fd, queries.framedPointer(index), queries.framedSize(index), MSG_NOSIGNAL)
        : c.SSL_write(this.#ssl, queries.framedPointer(index), octets);
    if (written === octets) return;
    this.#backlog.push(Buffer.from(queries.framed(index)));
    this.#leftOf = Math.max(0, written);
    this.#want(true);
  }

  /** Reads what an event tells of, at most about `repliesMax` messages; false when there may be more. */
  read(events: number, take: TakeReply, repliesMax: number): boolean {
    for (let replies = 0; replies < repliesMax && this.#state === "open"; ) {
      const start = this.#half?.length ?? 0;
      if (this.#half !== undefined) received.octets.set(this.#half);
      const pointer = start === 0 ? received.pointer : received.pointer + BigInt(start);
      const room = RECEIVED_OCTETS_MAX - start;
      const octets =
        this.#ssl === 0n
          ? c.recv(this.#fd, pointer, start === 0 ? RECEIVED_SIZE : BigInt(room), 0)
          : c.SSL_read(this.#ssl, pointer, room);
      if (octets <= 0) {
        this.#half = start === 0 ? undefined : this.#half;
        this.#readNothing(octets, (events & (EPOLLERR | EPOLLHUP)) !== 0);
        return true;
      }
      this.#half = undefined;
      replies += this.#deliver(start + octets, take);
    }
    return this.#state !== "open";
  }

  /** A session to resume, when the server has given one; whoever takes it frees it. */
  takeSession(): bigint | undefined {
    const session = c.SSL_get1_session(this.#ssl);
    if (session === 0n) return undefined;
    if (c.SSL_SESSION_is_resumable(session) === 1) return session;
    c.SSL_SESSION_free(session);
    return undefined;
  }

  /** Ends it, over TLS with its goodbye. Again: nothing. */
  close(): void {
    if (this.#state === "closed") return;
    if (this.#ssl !== 0n) {
      if (this.#state === "open") c.SSL_shutdown(this.#ssl);
      c.SSL_free(this.#ssl);
      c.ERR_clear_error();
      this.#ssl = 0n;
    }
    c.close(this.#fd);
    this.#state = "closed";
  }

  #shakeHands(): void {
    const result = c.SSL_do_handshake(this.#ssl);
    if (result === 1) {
      this.#state = "open";
      return;
    }
    const reason = c.SSL_get_error(this.#ssl, result);
    if (reason === SSL_ERROR_WANT_READ) this.#want(false);
    else if (reason === SSL_ERROR_WANT_WRITE) this.#want(true);
    else this.close();
  }

  /** Nothing came: later, or never. */
  #readNothing(result: number, isBroken: boolean): void {
    if (this.#ssl !== 0n) {
      const reason = c.SSL_get_error(this.#ssl, result);
      if (reason !== SSL_ERROR_WANT_READ && reason !== SSL_ERROR_WANT_WRITE) this.close();
    } else if (isBroken || (result === 0 && this.#transport === "tcp")) this.close();
  }

  #deliver(end: number, take: TakeReply): number {
    if (this.#transport === "udp") {
      take(this, received.octets, 0, end);
      return 1;
    }
    let at = 0;
    let replies = 0;
    while (end - at >= 2) {
      const octets = received.octets.readUInt16BE(at);
      if (end - at < 2 + octets) break;
      take(this, received.octets, at + 2, at + 2 + octets);
      replies++;
      at += 2 + octets;
    }
    if (at < end) this.#half = Buffer.from(received.octets.subarray(at, end));
    return replies;
  }

  #writeBacklog(): void {
    while (this.#backlog.length > 0) {
      const [first] = this.#backlog;
      if (first === undefined) break;
      waiting.octets.set(first.subarray(this.#leftOf));
      const octets = first.length - this.#leftOf;
      const written =
        this.#ssl === 0n
          ? c.send(this.#fd, waiting.pointer, BigInt(octets), MSG_NOSIGNAL)
          : c.SSL_write(this.#ssl, waiting.pointer, octets);
      if (written <= 0) return;
      this.#leftOf += written;
      if (this.#leftOf < first.length) return;
      this.#leftOf = 0;
      this.#backlog.shift();
    }
    this.#want(false);
  }

  #want(wantsWrite: boolean): void {
    if (this.#wantsWrite === wantsWrite) return;
    this.#wantsWrite = wantsWrite;
    this.#poller.change(this.#fd, this.place, wantsWrite);
  }
}

const RECEIVED_OCTETS_MAX = 128 * 1024;
const RECEIVED_SIZE = BigInt(RECEIVED_OCTETS_MAX);
/** What all connections read into, one after the other. */
const received = allocate(RECEIVED_OCTETS_MAX);
/** A query that is written late. */
const waiting = allocate(4096);
const number = allocate(8);
const length = allocate(4);
const addresses = new Map<string, bigint>();
let context = 0n;
let sources: readonly bigint[] | undefined;
let nextSource = 0;

function addressOf({ address, port }: LoadTarget): bigint {
  const key = `${address}:${port}`;
  const known = addresses.get(key) ?? socketAddress(address, port);
  addresses.set(key, known);
  return known;
}

/** Connections come from several addresses in turn, so that ports do not run out. */
function sourceAddress(): bigint {
  sources ??= Array.from({ length: SOURCES }, (_, i) => socketAddress(`${SOURCE_PREFIX}${i}`, 0));
  return sources[nextSource++ % SOURCES] ?? 0n;
}

const SOURCES = 8;
const SOURCE_PREFIX = "127.0.61.10";

function setOptions(fd: number, isUdp: boolean): void {
  const set = (level: number, option: number, value: number): void => {
    number.octets.writeInt32LE(value);
    c.setsockopt(fd, level, option, number.pointer, 4);
  };
  if (isUdp) set(SOL_SOCKET, SO_RCVBUF, UDP_BUFFER_OCTETS);
  else {
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    set(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  }
}

const UDP_BUFFER_OCTETS = 4 * 1024 * 1024;

function socketError(fd: number): number {
  length.octets.writeUInt32LE(4);
  c.getsockopt(fd, SOL_SOCKET, SO_ERROR, number.pointer, length.pointer);
  return number.octets.readInt32LE();
}

function startTls(fd: number, session: bigint | undefined): bigint {
  if (context === 0n) context = makeTlsContext();
  const ssl = c.SSL_new(context);
  c.SSL_set_fd(ssl, fd);
  c.SSL_set_connect_state(ssl);
  if (session !== undefined) {
    // A copy, because a session is for one use, and some servers give no new one when one was used.
    const copy = c.SSL_SESSION_dup(session);
    c.SSL_set_session(ssl, copy);
    c.SSL_SESSION_free(copy);
  }
  return ssl;
}
