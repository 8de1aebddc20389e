/**
 * UDP sockets that are connected to one peer. What is sent in a turn leaves at its end, so that a peer that sleeps is woken once;
 * what has come is read without a callback of libuv for each datagram, and without memory of its own.
 */
import { DnsError } from "../dns-error.ts";
import type { DatagramHandlers, DatagramOptions, DatagramSocket, Endpoint } from "../network.ts";
import { endpointText, toDnsError } from "../node/system-problem.ts";
import { type NativeLoop, type TurnEnd, Watch, type Watcher } from "./native-loop.ts";
import { Ready } from "./unsafe/event-set.ts";
import { Blocked } from "./unsafe/sockets.ts";

/** Binds and connects. Rejects with a `DnsError`. */
export async function openNativeClientDatagram(
  loop: NativeLoop,
  peer: Endpoint,
  options: DatagramOptions,
  handlers: DatagramHandlers,
): Promise<DatagramSocket> {
  const { sockets } = loop;
  const fd = sockets.open("udp", options);
  if (fd < 0 || !sockets.connect(fd, peer)) {
    const problem = sockets.lastProblem(fd < 0 ? "bind" : "connect", fd < 0 ? options.local : peer);
    if (fd >= 0) sockets.close(fd);
    throw toDnsError(problem, whatOf(peer), "connect");
  }
  if (!dropStrangers(loop, fd)) {
    sockets.close(fd);
    const what = `${whatOf(peer)}: more came to its port than can be thrown away`;
    throw new DnsError("ERR_QUOTA_EXCEEDED", what, { stage: "connect" });
  }
  return new NativeClientDatagram(loop, fd, peer, options, handlers);
}

/** What came between binding and connecting may be anybody's. False when it does not end. */
function dropStrangers({ sockets }: NativeLoop, fd: number): boolean {
  for (let i = 0; i < STRANGERS_MAX; i++) if (sockets.drop(fd) < 0) return true;
  return false;
}

class NativeClientDatagram implements DatagramSocket, Watcher, TurnEnd {
  readonly local: Endpoint;
  readonly #loop: NativeLoop;
  readonly #watch: Watch;
  readonly #peer: Endpoint;
  readonly #handlers: DatagramHandlers;
  readonly #isBackground: boolean;
  /** For the end of the turn, or for when the system has room. */
  #waiting: Uint8Array[] = [];
  #isFlushPlanned = false;
  #isInSend = false;
  /** The system takes no more for now, and an event will tell when it does. */
  #isBlocked = false;
  #isClosed = false;

  constructor(
    loop: NativeLoop,
    fd: number,
    peer: Endpoint,
    options: DatagramOptions,
    handlers: DatagramHandlers,
  ) {
    this.#loop = loop;
    this.#watch = new Watch(loop, fd, this);
    this.#peer = peer;
    this.#handlers = handlers;
    this.#isBackground = options.isBackground === true;
    this.local = loop.sockets.localOf(fd) ?? options.local;
    if (!this.#watch.want(Ready.In)) {
      this.#watch.close("orderly");
      throw toDnsError(loop.events.problem, whatOf(peer), "connect");
    }
    if (!this.#isBackground) loop.events.hold();
  }

  /** `octets` must not change in this turn. Who is told of a failure, which is not in this call, may send and close. */
  send(octets: Uint8Array): void {
    if (this.#isClosed) return;
    this.#isInSend = true;
    this.#sendSoon(octets);
    this.#isInSend = false;
  }

  #sendSoon(octets: Uint8Array): void {
    if (this.#isBlocked) {
      // Beyond this turn octets are whoever's sent them.
      if (this.#waiting.length < WAITING_MAX) this.#waiting.push(octets.slice());
      else this.#tell(new DnsError("ERR_QUOTA_EXCEEDED", "the system takes no more datagrams"));
      return;
    }
    this.#waiting.push(octets);
    if (this.#waiting.length >= TOGETHER_MAX) this.turnEnds();
    else if (!this.#isFlushPlanned) {
      this.#isFlushPlanned = true;
      this.#loop.thisTurn(this);
    }
  }

  turnEnds(): void {
    this.#isFlushPlanned = false;
    const { sockets } = this.#loop;
    for (let left = this.#waiting.length; left > 0 && !this.#isClosed; left--) {
      // Out of the queue before it is sent: closing sends what is left.
      const octets = this.#waiting.shift();
      if (octets === undefined) break;
      const sent = sockets.send(this.#watch.fd, octets);
      if (sent === Blocked) {
        this.#waiting.unshift(octets);
        if (!this.#isBlocked) this.#waiting = this.#waiting.map((one) => one.slice());
        this.#isBlocked = true;
        break;
      }
      this.#isBlocked = false;
      if (sent < 0) this.#tell(sockets.lastProblem("send"));
    }
    if (!this.#isClosed) this.#watch.want(this.#isBlocked ? Ready.In | Ready.Out : Ready.In);
  }

  #tell(problem: Error): void {
    if (this.#isInSend) queueMicrotask(() => this.#tell(problem));
    else if (!this.#isClosed) this.#handlers.onError(toDnsError(problem, whatOf(this.#peer), "query"));
  }

  onReady(ready: number): void {
    if ((ready & Ready.Out) !== 0) this.turnEnds();
    if ((ready & ~Ready.Out) !== 0) this.#read();
  }

  /** Other sockets have their turn in between: what is left here is told again. */
  #read(): void {
    const { sockets } = this.#loop;
    for (let i = 0; i < READS_PER_TURN && !this.#isClosed; i++) {
      const octets = sockets.read(this.#watch.fd);
      if (octets === Blocked) return;
      if (octets < 0) this.#tell(sockets.lastProblem("recv"));
      else this.#handlers.onMessage(sockets.input.subarray(0, octets), this.#peer, this);
    }
  }

  abandon(): void {
    this.#isClosed = true;
  }

  /** What was sent before leaves first, as far as the system has room: who closes waits for no reply. */
  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.turnEnds();
    this.#isClosed = true;
    this.#watch.close("orderly");
    if (!this.#isBackground) this.#loop.events.release();
    return Promise.resolve();
  }
}

function whatOf(peer: Endpoint): string {
  return `UDP socket to ${endpointText(peer)}`;
}

/** More than a system keeps for a socket that nobody reads (`rmem_default`), and than come in the microseconds before it is connected. */
const STRANGERS_MAX = 1024;
/** Before others have their turn. */
const READS_PER_TURN = 16;
/** As many wait for the end of a turn; with more the turn is long enough. */
const TOGETHER_MAX = 256;
/** For room in the system: as many queries as a front end puts on one socket, some 100 octets each; more are told and not sent. */
const WAITING_MAX = 4096;
