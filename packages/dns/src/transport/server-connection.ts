/**
 * One client connection of a server, without I/O: octets and time in, octets and calls out. Queries are handed over as
 * they come and answered in any order (RFC 7766 §6.2.1.1, §7); all replies that are ready in one turn leave in one write.
 * Sockets and timers belong to the host.
 */
import {
  concatOctets,
  FRAME_PREFIX_OCTETS,
  FrameReader,
  HEADER_OCTETS,
  KEEPALIVE_UNIT_MS,
  setUint16,
} from "@sotto/dns/wire";
import type { ServerLimits } from "./limits.ts";
import type { MessageHandler, QueryChannel } from "./message-handler.ts";
import type { QueryOrigin } from "./responder.ts";

/** Why a connection ended, for counters. */
export type ServerCloseReason =
  | "client closed"
  | "connection lost"
  | "first query timeout"
  | "message timeout"
  | "idle timeout"
  | "write stall"
  | "malformed frame"
  | "drained"
  | "displaced";

/** What the machine asks of whoever owns the stream. */
export interface ServerConnectionHost {
  /** Octets that the machine will not touch again. */
  write(octets: Uint8Array): void;
  /** Octets written that the system has not taken. */
  unsentOctets(): number;
  /** Orderly end: close_notify and FIN. */
  end(): void;
  reset(): void;
  pause(): void;
  resume(): void;
  /** Runs at the end of this turn. */
  defer(run: () => void): void;
  /** The machine's only timer: replaces the one before; undefined cancels. */
  setTimer(delayMs: number | undefined): void;
  /** Called once, when the machine has ended by itself or learnt of the end. */
  onEnded(reason: ServerCloseReason): void;
}

/**
 * `open`: reading and answering. `finishing`: nothing more is read, what has been read is answered, then the end.
 * `ended`: nothing happens any more.
 */
type State = "open" | "finishing" | "ended";

/** The machine. Feed it from the stream's handlers; times are `Clock.nowMs`. */
export class ServerConnection implements QueryChannel {
  readonly origin: QueryOrigin;
  readonly #limits: ServerLimits;
  readonly #handler: MessageHandler;
  readonly #host: ServerConnectionHost;
  readonly #frames = new FrameReader();
  readonly #nowMs: () => number;
  #state: State = "open";
  #finishReason: ServerCloseReason = "client closed";
  #inFlight = 0;
  #queries = 0;
  #isPaused = false;
  #isDraining = false;
  /** Octets of a chunk that were not looked at because reading paused in the middle of it. */
  #held: Uint8Array | undefined = undefined;
  /** Framed replies of this turn. */
  #output: Uint8Array = NO_OUTPUT;
  #outputOctets = 0;
  #isFlushDeferred = false;
  #isReceiving = false;
  #lastMessageMs: number;
  /** When the first octet of an incomplete message came; undefined between messages. */
  #partialSinceMs: number | undefined = undefined;
  #lastProgressMs: number;

  constructor(
    origin: QueryOrigin,
    limits: ServerLimits,
    handler: MessageHandler,
    host: ServerConnectionHost,
    nowMs: () => number,
  ) {
    this.origin = origin;
    this.#limits = limits;
    this.#handler = handler;
    this.#host = host;
    this.#nowMs = nowMs;
    this.#lastMessageMs = nowMs();
    this.#lastProgressMs = this.#lastMessageMs;
    this.#arm();
  }

  /** Queries handed over and not answered yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Since when the connection has been idle, monotonic milliseconds; Infinity while something is in flight. */
  get idleSinceMs(): number {
    return this.#inFlight > 0 || this.#state !== "open" ? Number.POSITIVE_INFINITY : this.#lastMessageMs;
  }

  keepaliveUnits(): number {
    if (this.#isDraining || this.#state !== "open") return 0;
    return Math.min(Math.floor(this.#limits.idleTimeoutMs / KEEPALIVE_UNIT_MS), KEEPALIVE_UNITS_MAX);
  }

  /** Octets from the client, valid during the call. */
  receive(chunk: Uint8Array): void {
    if (this.#state !== "open") return;
    if (this.#held === undefined) this.#read(chunk);
    // A pause takes effect a little later; what comes until then is kept, one more chunk at most.
    else this.#held = concatOctets([this.#held, chunk]);
  }

  #read(chunk: Uint8Array): void {
    const queriesBefore = this.#queries;
    const hadPartial = this.#frames.bufferedOctets > 0;
    this.#isReceiving = true;
    const consumed = this.#frames.push(chunk, this.#deliver);
    this.#isReceiving = false;
    if (this.#isEnded()) return;
    if (consumed < chunk.length) this.#held = chunk.slice(consumed);
    if (this.#frames.bufferedOctets === 0) this.#partialSinceMs = undefined;
    else if (!hadPartial || this.#queries !== queriesBefore) this.#partialSinceMs = this.#nowMs();
    this.#flush();
    if (!this.#endIfFinished()) this.#arm();
  }

  /** Takes one message; false stops reading for now. */
  readonly #deliver = (message: Uint8Array): boolean => {
    if (message.length < HEADER_OCTETS) {
      // Nothing can be answered: there is no header to answer with, and the stream cannot be trusted further.
      this.#abort("malformed frame");
      return false;
    }
    // RFC 7766 §6.2.3: the idle timer restarts on complete messages only.
    this.#lastMessageMs = this.#nowMs();
    this.#queries++;
    const answer = this.#handler.answer(message, this);
    if (answer === undefined) return true;
    if (answer instanceof Uint8Array) {
      this.#append(answer);
      return !this.#isTooFull();
    }
    this.#inFlight++;
    void answer.then(this.#answered);
    return !this.#isTooFull();
  };

  readonly #answered = (answer: Uint8Array | undefined): void => {
    this.#inFlight--;
    this.#lastMessageMs = this.#nowMs();
    // RFC 7766 §6.2.4: when the client has gone, pending answers are not sent.
    if (this.#state === "ended") return;
    if (answer !== undefined) this.#append(answer);
    if (this.#isReceiving || this.#isFlushDeferred) return;
    this.#isFlushDeferred = true;
    this.#host.defer(this.#flushDeferred);
  };

  readonly #flushDeferred = (): void => {
    this.#isFlushDeferred = false;
    if (this.#state === "ended") return;
    this.#flush();
    this.#resumeIfRoom();
    if (!this.#endIfFinished()) this.#arm();
  };

  #isTooFull(): boolean {
    const isFull =
      this.#inFlight >= this.#limits.inFlightMax || this.#unsent() >= this.#limits.unsentOctetsMax;
    if (isFull && !this.#isPaused) {
      this.#isPaused = true;
      this.#host.pause();
    }
    return isFull;
  }

  #unsent(): number {
    return this.#host.unsentOctets() + this.#outputOctets;
  }

  /** Copies an answer, which may be a view of a buffer that is used again, behind its length (RFC 7766 §8). */
  #append(answer: Uint8Array): void {
    const start = this.#outputOctets;
    const end = start + FRAME_PREFIX_OCTETS + answer.length;
    if (end > this.#output.length) {
      // A turn's first reply gets exactly its size, which is all that a client without pipelining needs.
      const grown = new Uint8Array(
        start === 0 ? end : Math.max(end, 2 * this.#output.length, OUTPUT_OCTETS_MIN),
      );
      grown.set(this.#output.subarray(0, start));
      this.#output = grown;
    }
    setUint16(this.#output, start, answer.length);
    this.#output.set(answer, start + FRAME_PREFIX_OCTETS);
    this.#outputOctets = end;
  }

  /** One write for all replies of this turn (RFC 7766 §8: length and message together). */
  #flush(): void {
    if (this.#outputOctets === 0) return;
    const octets = this.#output.subarray(0, this.#outputOctets);
    // The host keeps what it was given until it is sent: the next turn gets new memory.
    this.#output = NO_OUTPUT;
    this.#outputOctets = 0;
    if (this.#host.unsentOctets() === 0) this.#lastProgressMs = this.#nowMs();
    this.#host.write(octets);
  }

  #resumeIfRoom(): void {
    if (!this.#isPaused || this.#state === "ended") return;
    if (
      this.#inFlight >= this.#limits.inFlightMax ||
      this.#host.unsentOctets() >= this.#limits.unsentOctetsMax
    )
      return;
    this.#isPaused = false;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#read(held);
    if (!this.#isPaused && this.#isReading()) this.#host.resume();
  }

  /** The system has taken what was written. */
  onDrain(): void {
    this.#lastProgressMs = this.#nowMs();
    if (this.#state === "ended") return;
    this.#resumeIfRoom();
    if (!this.#endIfFinished()) this.#arm();
  }

  /** The client sends no more: what it asked is still answered, then we end too (RFC 1035 §4.2.2). */
  onEnd(): void {
    if (this.#state === "open") this.#finish("client closed");
  }

  /** The stream is gone; `isOrderly` when both sides had ended. */
  onClose(isOrderly: boolean): void {
    this.#ended(isOrderly ? this.#finishReason : "connection lost");
  }

  /** Tells the client to go (keepalive 0 in further answers), answers what is in flight and ends when idle. */
  drain(): void {
    if (this.#state !== "open") return;
    this.#isDraining = true;
    if (this.#inFlight === 0 && this.#frames.bufferedOctets === 0 && this.#held === undefined)
      this.#finish("drained");
    else this.#arm();
  }

  /** Ends at once although the client did nothing wrong: its place is needed. */
  displace(): void {
    if (this.#state === "open") this.#finish("displaced");
  }

  /** Ends at once without answering. */
  abort(): void {
    this.#abort("drained");
  }

  /** The timer that the machine set has fired. */
  onTimer(): void {
    if (this.#state === "ended") return;
    const nowMs = this.#nowMs();
    const due = this.#nextDeadline();
    if (due === undefined || nowMs < due.atMs) {
      this.#arm();
      return;
    }
    if (due.reason === "write stall") this.#abort("write stall");
    else if (due.reason === "drained") this.#finish("drained");
    else if (due.reason === "message timeout") this.#abort("message timeout");
    else this.#finish(due.reason);
  }

  #nextDeadline(): { atMs: number; reason: ServerCloseReason } | undefined {
    const limits = this.#limits;
    if (this.#host.unsentOctets() > 0)
      return { atMs: this.#lastProgressMs + limits.writeStallTimeoutMs, reason: "write stall" };
    if (this.#state !== "open" || this.#isPaused) return undefined;
    if (this.#partialSinceMs !== undefined)
      return { atMs: this.#partialSinceMs + limits.messageTimeoutMs, reason: "message timeout" };
    if (this.#inFlight > 0) return undefined;
    if (this.#isDraining) return { atMs: this.#nowMs(), reason: "drained" };
    if (this.#queries === 0)
      return { atMs: this.#lastMessageMs + limits.firstQueryTimeoutMs, reason: "first query timeout" };
    return { atMs: this.#lastMessageMs + limits.idleTimeoutMs, reason: "idle timeout" };
  }

  #arm(): void {
    if (this.#state === "ended") return;
    const due = this.#nextDeadline();
    this.#host.setTimer(due === undefined ? undefined : Math.max(0, due.atMs - this.#nowMs()));
  }

  #finish(reason: ServerCloseReason): void {
    this.#state = "finishing";
    this.#finishReason = reason;
    this.#flush();
    if (!this.#endIfFinished()) this.#arm();
  }

  #isReading(): boolean {
    return this.#state === "open";
  }

  /** Calls in between may have ended the connection, which the compiler cannot see. */
  #isEnded(): boolean {
    return this.#state === "ended";
  }

  #endIfFinished(): boolean {
    if (
      this.#state !== "finishing" ||
      this.#inFlight > 0 ||
      this.#outputOctets > 0 ||
      this.#held !== undefined
    )
      return false;
    this.#host.end();
    this.#ended(this.#finishReason);
    return true;
  }

  #abort(reason: ServerCloseReason): void {
    if (this.#state === "ended") return;
    this.#host.reset();
    this.#ended(reason);
  }

  #ended(reason: ServerCloseReason): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#output = NO_OUTPUT;
    this.#outputOctets = 0;
    this.#held = undefined;
    this.#host.setTimer(undefined);
    this.#host.onEnded(reason);
  }
}

/** TIMEOUT has 16 bits (RFC 7828 §3.1). */
const KEEPALIVE_UNITS_MAX = 0xffff;

const NO_OUTPUT = new Uint8Array(0);
/** Room for the second and later replies of a turn; most replies are smaller than a tenth of it. */
const OUTPUT_OCTETS_MIN = 4096;
