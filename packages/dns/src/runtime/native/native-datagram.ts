/**
 * Listening UDP sockets. Datagrams come and go in batches; a socket on all addresses asks the system where each came to, and
 * answers from there (RFC 2181 §4.1), so that one socket serves all addresses, also those that only the routing table knows.
 */
import { DnsError } from "../dns-error.ts";
import type { DatagramHandlers, DatagramOptions, DatagramSocket, Endpoint } from "../network.ts";
import { RECEIVE_BUFFER_OCTETS } from "../node/node-datagram.ts";
import { duplicateDescriptor } from "../node/system-calls.ts";
import { endpointText, toDnsError } from "../node/system-problem.ts";
import { type NativeLoop, type TurnEnd, Watch, type Watcher } from "./native-loop.ts";
import { ipv4Text } from "./socket-address.ts";
import type { Destination } from "./unsafe/datagram-batch.ts";
import { Ready } from "./unsafe/event-set.ts";
import { Blocked } from "./unsafe/sockets.ts";

/** Binds. Rejects with a `DnsError`. */
export async function openNativeDatagram(
  loop: NativeLoop,
  options: DatagramOptions,
  handlers: DatagramHandlers,
): Promise<DatagramSocket> {
  const { local, reusePort, inheritedFd } = options;
  const { sockets } = loop;
  const own = inheritedFd === undefined ? undefined : await duplicateDescriptor(inheritedFd);
  const fd = own ?? sockets.open("udp", { local, reusePort });
  if (fd < 0 || (own !== undefined && !sockets.adopt(own))) {
    const problem = sockets.lastProblem("bind", local);
    if (fd >= 0) sockets.close(fd);
    throw toDnsError(problem, `listening on ${endpointText(local)} (UDP)`, "listen");
  }
  if (own === undefined) sockets.setOption(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_OCTETS);
  return new NativeDatagram(loop, fd, options, handlers);
}

/** A datagram that waits for room in the system. */
interface Waiting {
  readonly octets: Uint8Array;
  readonly to: Endpoint;
  readonly source: Destination | undefined;
}

class NativeDatagram implements DatagramSocket, Watcher, TurnEnd {
  readonly local: Endpoint;
  readonly #loop: NativeLoop;
  readonly #watch: Watch;
  readonly #handlers: DatagramHandlers;
  readonly #isIpv6: boolean;
  readonly #isBackground: boolean;
  /** Answers for each address of this machine that was asked, by the address as a number or a text. */
  readonly #replies = new Map<number | string, ReplySocket>();
  /** Texts of the IPv4 addresses seen last. */
  readonly #texts = new Map<number, string>();
  #waiting: Waiting[] = [];
  /** The datagram that is handled now, and its sender: answers to it need no new address. */
  #currentFrom: Endpoint | undefined = undefined;
  #currentIndex = 0;
  #isReading = false;
  #isFlushPlanned = false;
  #isClosed = false;
  #whenSent: (() => void) | undefined = undefined;

  constructor(loop: NativeLoop, fd: number, options: DatagramOptions, handlers: DatagramHandlers) {
    this.#loop = loop;
    this.#watch = new Watch(loop, fd, this);
    this.#handlers = handlers;
    this.local = loop.sockets.localOf(fd) ?? options.local;
    this.#isIpv6 = options.local.address.includes(":");
    this.#isBackground = options.isBackground === true;
    const { address } = this.local;
    if (options.inheritedFd === undefined && (address === "0.0.0.0" || address === "::")) {
      if (this.#isIpv6) loop.sockets.setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
      else loop.sockets.setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
    }
    if (!this.#watch.want(Ready.In)) {
      this.#watch.close("orderly");
      throw toDnsError(loop.events.problem, this.#what, "listen");
    }
    if (!this.#isBackground) loop.events.hold();
  }

  send(octets: Uint8Array, to: Endpoint): void {
    this.sendFrom(octets, to, undefined);
  }

  /** From one of the addresses of a socket on all of them. */
  sendFrom(octets: Uint8Array, to: Endpoint, source: Destination | undefined): void {
    if (!this.#isClosed) this.#send(octets, to, source);
  }

  #send(octets: Uint8Array, to: Endpoint, source: Destination | undefined): void {
    // Who was told of a failure may have closed it.
    if (this.#watch.isClosed) return;
    if (this.#waiting.length > 0) {
      this.#wait({ octets, to, source });
      return;
    }
    const { datagrams } = this.#loop;
    this.#loop.claimDatagrams(this);
    const known = to === this.#currentFrom ? this.#currentIndex : to;
    if (!datagrams.add(octets, this.#isIpv6, known, source)) {
      this.turnEnds();
      // Who was told of a failure may have closed it, or used another socket.
      if (this.#watch.isClosed) return;
      this.#loop.claimDatagrams(this);
      // It may have to wait now, and then goes the same way as the others.
      if (this.#waiting.length > 0) {
        this.#wait({ octets, to, source });
        return;
      }
      datagrams.add(octets, this.#isIpv6, known, source);
    }
    this.#sources[datagrams.count - 1] = source;
    if (this.#isReading || this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    this.#loop.thisTurn(this);
  }

  /** By place in the batch, for those that have to wait. */
  readonly #sources: (Destination | undefined)[] = [];

  #wait(one: Waiting): void {
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push({ ...one, octets: one.octets.slice() });
    else this.#tell(new DnsError("ERR_QUOTA_EXCEEDED", `${this.#what}: the system takes no more datagrams`));
  }

  get #what(): string {
    return `listening on ${endpointText(this.local)} (UDP)`;
  }

  #tell(problem: Error): void {
    if (!this.#isClosed) this.#handlers.onError(toDnsError(problem, this.#what, "query"));
  }

  /** How many of the batch have been sent. Whoever is told of a failure may close or send, which goes on from here. */
  #sent = 0;

  /** Sends what this socket has in the batch. */
  turnEnds(): void {
    this.#isFlushPlanned = false;
    const { datagrams } = this.#loop;
    while (this.#loop.hasDatagramsOf(this) && this.#sent < datagrams.count) {
      const sent = datagrams.send(this.#watch.fd, this.#sent);
      if (sent > 0) this.#sent += sent;
      else if (sent === Blocked) this.#putOff();
      else {
        this.#sent++;
        this.#tell(datagrams.lastProblem("send"));
      }
    }
    this.#sent = 0;
    if (this.#loop.hasDatagramsOf(this)) datagrams.clear();
  }

  /** What is left of the batch waits for room in the system. */
  #putOff(): void {
    const { datagrams } = this.#loop;
    for (; this.#sent < datagrams.count; this.#sent++)
      this.#waiting.push({ ...datagrams.unsentAt(this.#sent), source: this.#sources[this.#sent] });
    this.#watch.want(this.#isClosed ? Ready.Out : Ready.In | Ready.Out);
  }

  abandon(): void {
    this.#isClosed = true;
  }

  onReady(ready: number): void {
    if ((ready & Ready.Out) !== 0) this.#sendWaiting();
    if ((ready & ~Ready.Out) !== 0) this.#read();
  }

  #sendWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (!this.#isClosed) this.#watch.want(Ready.In);
    for (const { octets, to, source } of waiting) this.#send(octets, to, source);
    this.turnEnds();
    if (this.#waiting.length === 0) this.#whenSent?.();
  }

  #read(): void {
    const { datagrams } = this.#loop;
    for (let batches = 0; batches < BATCHES_PER_TURN && !this.#isClosed; batches++) {
      const count = datagrams.receive(this.#watch.fd);
      if (count < 0) {
        if (count !== Blocked) this.#tell(datagrams.lastProblem("recv"));
        return;
      }
      this.#isReading = true;
      try {
        for (let i = 0; i < count && !this.#isClosed; i++) this.#deliver(i);
      } finally {
        this.#isReading = false;
        this.#currentFrom = undefined;
      }
      this.turnEnds();
      if (!datagrams.isFull(count)) return;
    }
  }

  #deliver(index: number): void {
    const { datagrams } = this.#loop;
    const number = datagrams.ipv4SenderAt(index);
    const from =
      number === undefined
        ? datagrams.senderAt(index)
        : { address: this.#textOf(number), port: datagrams.senderPortAt(index) };
    this.#currentFrom = from;
    this.#currentIndex = index;
    this.#handlers.onMessage(datagrams.octetsAt(index), from, this.#replySocket(index));
  }

  #textOf(number: number): string {
    const known = this.#texts.get(number);
    if (known !== undefined) return known;
    if (this.#texts.size >= TEXTS_MAX) this.#texts.clear();
    const text = ipv4Text(number);
    this.#texts.set(number, text);
    return text;
  }

  #replySocket(index: number): DatagramSocket {
    const { datagrams } = this.#loop;
    const number = datagrams.destinationKeyAt(index);
    const quick = number === undefined ? undefined : this.#replies.get(number);
    if (quick !== undefined) return quick;
    const destination = datagrams.destinationAt(index);
    if (destination === undefined) return this;
    const key = number ?? destination.address;
    const known = this.#replies.get(key);
    if (known !== undefined) return known;
    if (this.#replies.size >= REPLIES_MAX) this.#replies.clear();
    const made = new ReplySocket(this, destination);
    this.#replies.set(key, made);
    return made;
  }

  /** One socket has all addresses. */
  networkChanged(): Promise<void> {
    return Promise.resolve();
  }

  /** What was sent before leaves first. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.turnEnds();
    this.#isClosed = true;
    if (this.#waiting.length > 0) await this.#untilSent();
    this.#loop.leaveDatagrams(this);
    // The set would keep a socket of which somebody holds a duplicate.
    this.#watch.want(0);
    this.#watch.close("orderly");
    if (!this.#isBackground) this.#loop.events.release();
  }

  /** What comes meanwhile is not read, and must not be told of. */
  async #untilSent(): Promise<void> {
    this.#watch.want(Ready.Out);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenSent = resolve;
    const timer = setTimeout(resolve, CLOSE_MS);
    await promise;
    clearTimeout(timer);
  }
}

/** The way back from one address of a socket on all of them. */
class ReplySocket implements DatagramSocket {
  readonly local: Endpoint;
  readonly #socket: NativeDatagram;
  readonly #source: Destination;

  constructor(socket: NativeDatagram, source: Destination) {
    this.local = { address: source.address, port: socket.local.port };
    this.#socket = socket;
    this.#source = source;
  }

  send(octets: Uint8Array, to: Endpoint): void {
    this.#socket.sendFrom(octets, to, this.#source);
  }

  close(): Promise<void> {
    return this.#socket.close();
  }
}

/** Before others have their turn. */
const BATCHES_PER_TURN = 4;
/** Datagrams that wait for room in the system; more are dropped and told. */
const WAITING_MAX = 1024;
/** For those that wait when the socket is closed: a system that takes nothing for so long is given up. */
const CLOSE_MS = 1000;
/** Addresses whose texts are kept. */
const TEXTS_MAX = 4096;
/** More addresses than any machine has that is not a test. */
const REPLIES_MAX = 256;

// Constants of Linux, from its headers.
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const IPPROTO_IP = 0;
const IP_PKTINFO = 8;
const IPPROTO_IPV6 = 41;
const IPV6_RECVPKTINFO = 49;
