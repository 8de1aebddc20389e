/** A `ByteStream` over a watched descriptor, clear or TLS. */
import type { ByteStream, ChannelSecurity, Endpoint, StreamHandlers } from "../network.ts";
import { endpointText, toDnsError } from "../node/system-problem.ts";
import type { NativeLoop, Task, TurnEnd, Watch, Watcher } from "./native-loop.ts";
import { Ready } from "./unsafe/event-set.ts";
import { Blocked, SCRATCH_OCTETS } from "./unsafe/sockets.ts";
import type { Wire } from "./wire.ts";

/** What a stream is made of. */
export interface StreamParts {
  readonly loop: NativeLoop;
  readonly watch: Watch;
  readonly wire: Wire;
  readonly security: ChannelSecurity | undefined;
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** Takes over the watch and the wire. Reads once there are handlers, and writes once for all that was written in a turn. */
export class NativeStream implements ByteStream, Watcher, Task, TurnEnd {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly security: ChannelSecurity | undefined;
  readonly #loop: NativeLoop;
  readonly #watch: Watch;
  readonly #wire: Wire;
  #handlers: StreamHandlers | undefined = undefined;
  /** Octets that the wire has not taken; of the first, those from {@link #taken} on. */
  #queue: Uint8Array[] = [];
  #taken = 0;
  #queuedOctets = 0;
  /** Until there is somebody to be told, and whenever that one wants. */
  #isPaused = true;
  #isBackground = false;
  /** The peer sends no more. */
  #peerEnded = false;
  /** We shall send no more than what is queued. */
  #isEnding = false;
  #hasSaidGoodbye = false;
  /** FIN has been sent. */
  #hasEnded = false;
  #isClosed = false;
  #wantsDrain = false;
  #isReading = false;
  #isFlushPlanned = false;
  #isReadPlanned = false;

  constructor({ loop, watch, wire, security, local, remote }: StreamParts) {
    this.local = local;
    this.remote = remote;
    this.security = security;
    this.#loop = loop;
    this.#watch = watch;
    this.#wire = wire;
    watch.watcher = this;
    loop.events.hold();
  }

  get bufferedOctets(): number {
    return this.#queuedOctets + this.#wire.unsentOctets;
  }

  setHandlers(handlers: StreamHandlers): void {
    this.#handlers = handlers;
    // A stream that was reset before there was anybody to be told.
    if (this.#isClosed) this.#tellClosed(undefined);
    else this.resume();
    // The end of a handshake may have to wait for room.
    if (this.#wire.unsentOctets > 0) this.#watchFor(this.#watch.wanted | Ready.Out);
  }

  write(octets: Uint8Array): boolean {
    if (this.#isClosed || this.#isEnding || octets.length === 0) return true;
    this.#queue.push(octets);
    this.#queuedOctets += octets.length;
    // More than the system takes at once gains nothing by waiting.
    if (this.#queuedOctets >= SCRATCH_OCTETS && !this.#isBlocked) this.#flushInWrite();
    else this.#planFlush();
    const isMuch = this.bufferedOctets >= SCRATCH_OCTETS;
    if (isMuch) this.#wantsDrain = true;
    return !isMuch;
  }

  /** Whoever waits for the drain is in the middle of writing, and is told later. */
  #flushInWrite(): void {
    const isAwaited = this.#wantsDrain;
    this.#wantsDrain = false;
    this.#flush();
    if (!isAwaited) return;
    this.#wantsDrain = true;
    this.#planFlush();
  }

  /** The system takes no more for now, and an event will tell when it does. */
  get #isBlocked(): boolean {
    return (this.#watch.wanted & Ready.Out) !== 0;
  }

  end(): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#isEnding = true;
    this.#planFlush();
  }

  reset(): void {
    // After our end what the system has is still delivered, as with Node's sockets.
    if (!this.#isClosed) this.#close(this.#isEnding ? "orderly" : "reset", undefined);
  }

  acknowledge(): void {
    if (!this.#isClosed) this.#loop.sockets.acknowledge(this.#watch.fd);
  }

  setBackground(isBackground: boolean): void {
    if (isBackground === this.#isBackground || this.#isClosed) return;
    this.#isBackground = isBackground;
    if (isBackground) this.#loop.events.release();
    else this.#loop.events.hold();
  }

  pause(): void {
    // The watch stays until an event comes that nobody wants: most pauses end before.
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#isClosed || this.#peerEnded || this.#handlers === undefined) return;
    this.#watchFor(this.#watch.wanted | Ready.In);
    // What TLS has read already, no event tells of.
    if (this.#wire.hasMore && !this.#isReading) this.#planRead();
  }

  onReady(ready: number): void {
    const isFailing = (ready & (Ready.Error | Ready.HangUp)) !== 0;
    const reads = !this.#isPaused && !this.#peerEnded;
    // Nothing can be sent any more then, and what has arrived before is read first.
    if ((ready & Ready.Out) !== 0 && !(isFailing && reads)) this.#flush();
    if (this.#isClosed) return;
    if (this.#isPaused || this.#peerEnded) {
      if (!isFailing || this.#watch.wanted === Ready.In) this.#watchFor(this.#watch.wanted & ~Ready.In);
      // It would be told again and again, and nobody reads or writes who could be told.
      else this.#fail(this.#loop.sockets.takeProblem(this.#watch.fd, "write"));
      return;
    }
    if ((ready & ~Ready.Out) !== 0) this.#read(isFailing);
  }

  abandon(): void {
    this.#isClosed = true;
    this.#wire.free();
  }

  /** A read that was put off. */
  run(): void {
    this.#isReadPlanned = false;
    if (!this.#isClosed && !this.#isPaused && !this.#peerEnded) this.#read(false);
  }

  #planRead(): void {
    if (this.#isReadPlanned) return;
    this.#isReadPlanned = true;
    this.#loop.nextTurn(this);
  }

  /** One read of the system; of TLS all records of that read, so that their answers leave together. All that is there with `isLast`. */
  #read(isLast: boolean): void {
    const { input } = this.#loop.sockets;
    this.#isReading = true;
    try {
      for (let left = RECORDS_PER_TURN; ; left--) {
        const octets = this.#wire.read();
        if (octets > 0) this.#handlers?.onData(input.subarray(0, octets));
        else {
          if (octets === 0) this.#endOfPeer();
          else if (octets !== Blocked) this.#fail(this.#wire.problem);
          break;
        }
        if (this.#isClosed || this.#isPaused || !(isLast || this.#wire.hasMore)) break;
        if (left <= 1) {
          this.#planRead();
          break;
        }
      }
    } finally {
      this.#isReading = false;
    }
    if (!this.#isClosed) this.#flush();
  }

  #endOfPeer(): void {
    this.#peerEnded = true;
    this.#handlers?.onEnd();
    if (this.#isClosed) return;
    if (this.#hasEnded) this.#close("orderly", undefined);
    // The handler may have ended the stream, which then is closed at the end of this turn: no need to tell the system.
    else if (!this.#isEnding) this.#watchFor(this.#watch.wanted & ~Ready.In);
  }

  /** While reading, what is written leaves at its end; otherwise when the microtasks that wait now have run. */
  #planFlush(): void {
    if (this.#isReading || this.#isFlushPlanned || this.#isBlocked) return;
    this.#isFlushPlanned = true;
    this.#loop.thisTurn(this);
  }

  turnEnds(): void {
    this.#isFlushPlanned = false;
    if (!this.#isClosed) this.#flush();
  }

  #flush(): void {
    let isTaken = this.#wire.push();
    while (isTaken && this.#queue.length > 0) {
      const octets = this.#wire.put(this.#fillOutput());
      if (octets > 0) this.#take(octets);
      isTaken = octets > 0 && (this.#mayPutMore() || this.#wire.push());
    }
    if (isTaken) isTaken = this.#wire.push();
    if (this.#wire.problem !== undefined) this.#fail(this.#wire.problem);
    else if (!isTaken) this.#watchFor(this.#watch.wanted | Ready.Out);
    else this.#flushed();
  }

  /** Records of one flush leave with one write, as long as they are not too many. */
  #mayPutMore(): boolean {
    return this.#wire.unsentOctets < SCRATCH_OCTETS;
  }

  /**
   * Joins what is queued, but over TLS not the last: it gets a record of its own, because peers that take one message each
   * time their socket is readable (getdns, Stubby) would leave a second one in the last record unread.
   */
  #fillOutput(): number {
    const { output } = this.#loop.sockets;
    const count =
      this.security === undefined || this.#queue.length === 1 ? this.#queue.length : this.#queue.length - 1;
    let filled = 0;
    for (let i = 0; i < count && filled < output.length; i++) {
      const octets = this.#queue[i] ?? NOTHING;
      const from = i === 0 ? this.#taken : 0;
      const room = output.length - filled;
      // A view moves up to 64 octets, which V8 keeps on its own heap, to memory of their own.
      const piece = from === 0 && octets.length <= room ? octets : octets.subarray(from, from + room);
      output.set(piece, filled);
      filled += piece.length;
    }
    return filled;
  }

  /** Forgets what the wire has taken. */
  #take(octets: number): void {
    this.#queuedOctets -= octets;
    let taken = this.#taken + octets;
    let whole = 0;
    for (
      let first = this.#queue[0];
      first !== undefined && taken >= first.length;
      first = this.#queue[whole]
    ) {
      taken -= first.length;
      whole++;
    }
    this.#taken = taken;
    if (whole === this.#queue.length) this.#queue = [];
    else if (whole > 0) this.#queue.splice(0, whole);
  }

  #flushed(): void {
    this.#watchFor(this.#watch.wanted & ~Ready.Out);
    if (this.#wantsDrain) {
      this.#wantsDrain = false;
      this.#handlers?.onDrain();
      // The handler may have written, ended or reset.
      if (this.#isClosed || this.#queue.length > 0) return;
    }
    if (this.#isEnding && !this.#hasEnded) this.#sayEnd();
  }

  #sayEnd(): void {
    if (!this.#hasSaidGoodbye) this.#wire.sayGoodbye();
    this.#hasSaidGoodbye = true;
    if (this.#wire.push()) {
      this.#hasEnded = true;
      if (this.#peerEnded) this.#close("orderly", undefined);
      else this.#loop.sockets.shutdown(this.#watch.fd);
    } else if (this.#wire.problem !== undefined) this.#fail(this.#wire.problem);
    else this.#watchFor(this.#watch.wanted | Ready.Out);
  }

  #watchFor(ready: number): void {
    if (!this.#watch.want(ready)) this.#fail(this.#loop.events.problem);
  }

  #fail(problem: Error | undefined): void {
    if (this.#isClosed) return;
    const told =
      problem === undefined
        ? undefined
        : toDnsError(problem, `connection with ${endpointText(this.remote)}`, "query", "ERR_CONNECTION_LOST");
    this.#close("orderly", told);
  }

  #close(how: "orderly" | "reset", problem: Error | undefined): void {
    this.#isClosed = true;
    this.#queue = [];
    this.#queuedOctets = 0;
    this.#wire.free();
    this.#watch.close(how);
    if (!this.#isBackground) this.#loop.events.release();
    this.#tellClosed(problem);
  }

  /** Not in the call that closed: whoever called may be in the middle of something. */
  #tellClosed(problem: Error | undefined): void {
    const handlers = this.#handlers;
    if (handlers !== undefined) queueMicrotask(() => handlers.onClose(problem));
  }
}

/** Records of one connection before others have their turn. */
const RECORDS_PER_TURN = 256;
const NOTHING = new Uint8Array(0);
