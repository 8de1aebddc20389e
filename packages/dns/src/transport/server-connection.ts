/**
 * One client connection of a server, without I/O: octets and time in, octets and calls out. Queries are handed over as
 * they come and answered in any order (RFC 7766 §6.2.1.1, §7); all replies that are ready in one turn leave in one write.
 * Sockets and timers belong to the host, what connections share belongs to {@link Admission}.
 */
import { concatOctets, FrameReader, HEADER_OCTETS, KEEPALIVE_UNIT_MS } from "@sotto/dns/wire";
import type { Admission, Admitted } from "./admission.ts";
import type { SessionLimits } from "./limits.ts";
import type { AnswerParts, MessageHandler, QueryChannel } from "./message-handler.ts";
import type { QueryOrigin } from "./responder.ts";
import { TurnOutput } from "./turn-output.ts";

/** Why a connection ended, for counters. */
export type ServerCloseReason =
  | "client closed"
  | "connection lost"
  | "first query timeout"
  | "message timeout"
  | "idle timeout"
  | "write stall"
  | "malformed frame"
  | "query limit"
  | "duration limit"
  | "overload"
  | "buffers full"
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

/** What a connection lives under; limits may change while it lives. */
export interface SessionTerms {
  readonly limits: SessionLimits;
  readonly admission: Admission;
}

/**
 * `open`: reading and answering. `finishing`: nothing more is read, what has been read is answered, then the end.
 * `ended`: nothing happens any more.
 */
type State = "open" | "finishing" | "ended";

/** The machine. Feed it from the stream's handlers; times are `Clock.nowMs`. */
export class ServerConnection implements QueryChannel, AnswerParts, Admitted {
  readonly origin: QueryOrigin;
  readonly #terms: SessionTerms;
  readonly #handler: MessageHandler;
  readonly #host: ServerConnectionHost;
  readonly #frames = new FrameReader();
  readonly #nowMs: () => number;
  #state: State = "open";
  #finishReason: ServerCloseReason = "client closed";
  /** Set once the client has been or will be told to go; the connection ends when nothing is in flight. */
  #leaveReason: ServerCloseReason | undefined = undefined;
  #inFlight = 0;
  #queries = 0;
  #isPaused = false;
  /** Octets of a chunk that were not looked at because reading paused in the middle of it. */
  #held: Uint8Array | undefined = undefined;
  readonly #output = new TurnOutput();
  /** What the host had not sent when it was last asked: at the start of each call from outside, and after each write. */
  #unsent = 0;
  /** Whoever sends a long answer and was told to wait. */
  readonly #waitForRoom: ((isThere: boolean) => void)[] = [];
  #isFlushDeferred = false;
  #isReceiving = false;
  /** Octets that admission has been told of. */
  #accountedOctets = 0;
  readonly #openedMs: number;
  readonly #firstQueryDueMs: number;
  #lastMessageMs: number;
  /** When what is being read came; the clock is asked once for all messages of a chunk. */
  #chunkMs = 0;
  /** What keepalive has promised last, or would have. */
  #idleTimeoutMs: number;
  /** When an incomplete message must be complete; Infinity between messages. */
  #messageDueMs = Number.POSITIVE_INFINITY;
  #lastProgressMs: number;
  #unsentAtProgress = 0;
  #timerAtMs = Number.POSITIVE_INFINITY;

  constructor(
    origin: QueryOrigin,
    terms: SessionTerms,
    handler: MessageHandler,
    host: ServerConnectionHost,
    nowMs: () => number,
  ) {
    this.origin = origin;
    this.#terms = terms;
    this.#handler = handler;
    this.#host = host;
    this.#nowMs = nowMs;
    const openedMs = nowMs();
    this.#openedMs = openedMs;
    this.#lastMessageMs = openedMs;
    this.#lastProgressMs = openedMs;
    const { patience } = terms.admission;
    this.#idleTimeoutMs = terms.limits.idleTimeoutMs * patience;
    // In the same ticks as the promise, so that both are the same where the settings are.
    const ticks = Math.floor((terms.limits.firstQueryTimeoutMs * patience) / KEEPALIVE_UNIT_MS);
    this.#firstQueryDueMs = openedMs + Math.max(ticks * KEEPALIVE_UNIT_MS, LEAVE_GRACE_MS);
    terms.admission.opened(this);
    this.#arm();
  }

  /** Queries handed over and not answered yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Since when the connection has been idle, monotonic milliseconds; Infinity while something is in flight. */
  get idleSinceMs(): number {
    return this.#inFlight > 0 || this.#held !== undefined || this.#state !== "open"
      ? Number.POSITIVE_INFINITY
      : this.#lastMessageMs;
  }

  /** RFC 7828 §3.3.2: what is told is what the timer is set to from now on, and 0 means that the client should go. */
  keepaliveUnits(): number {
    if (this.#leaveReason !== undefined || this.#state !== "open") return 0;
    const { limits, admission } = this.#terms;
    const units = Math.floor((limits.idleTimeoutMs * admission.patience) / KEEPALIVE_UNIT_MS);
    const told = Math.min(units, KEEPALIVE_UNITS_MAX);
    this.#idleTimeoutMs = told * KEEPALIVE_UNIT_MS;
    if (told === 0) this.#leaveReason = "overload";
    return told;
  }

  get parts(): AnswerParts {
    return this;
  }

  sendPart(octets: Uint8Array): boolean {
    if (this.#state === "ended") return false;
    this.#lastMessageMs = this.#nowMs();
    this.#output.append(octets);
    this.#deferFlush();
    return !this.#isSendingFull();
  }

  whenRoom(call: (isThere: boolean) => void): void {
    if (this.#state === "ended") call(false);
    else if (this.#isSendingFull()) this.#waitForRoom.push(call);
    else call(true);
  }

  #isSendingFull(): boolean {
    return this.#unsent + this.#output.heldOctets >= this.#terms.limits.unsentOctetsMax;
  }

  #tellOfRoom(isThere: boolean): void {
    if (this.#waitForRoom.length === 0) return;
    for (const call of this.#waitForRoom.splice(0)) call(isThere);
  }

  #deferFlush(): void {
    if (this.#isReceiving || this.#isFlushDeferred) return;
    this.#isFlushDeferred = true;
    this.#host.defer(this.#flushDeferred);
  }

  /** Octets from the client, valid during the call. */
  receive(chunk: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#unsent = this.#host.unsentOctets();
    if (this.#held === undefined) this.#read(chunk, false);
    // A pause takes effect a little later; what comes until then is kept, one more chunk at most.
    else this.#held = concatOctets([this.#held, chunk]);
    this.#account();
  }

  /** `isOwn`: the chunk is what was held, and stays as it is. */
  #read(chunk: Uint8Array, isOwn: boolean): void {
    const queriesBefore = this.#queries;
    const hadPartial = this.#frames.bufferedOctets > 0;
    this.#chunkMs = this.#nowMs();
    this.#isReceiving = true;
    const consumed = this.#frames.push(chunk, this.#deliver);
    this.#isReceiving = false;
    if (this.#isEnded()) return;
    if (consumed < chunk.length && this.#isReading()) this.#held = restOf(chunk, consumed, isOwn);
    if (this.#frames.bufferedOctets === 0) this.#messageDueMs = Number.POSITIVE_INFINITY;
    else if (!hadPartial || this.#queries !== queriesBefore) this.#messageDueMs = this.#messageDue();
    this.#flush();
    this.#readOnIfTaken();
    if (!this.#endIfFinished()) this.#arm();
  }

  /** A system that takes all octets within the call tells of no drain: what is held goes on in the next turn. */
  #readOnIfTaken(): void {
    if (!this.#isPaused || this.#isFlushDeferred || this.#isFull()) return;
    this.#isFlushDeferred = true;
    this.#host.defer(this.#flushDeferred);
  }

  #messageDue(): number {
    const { limits, admission } = this.#terms;
    return this.#nowMs() + Math.max(limits.messageTimeoutMs * admission.patience, MESSAGE_MS_MIN);
  }

  /** Takes one message; false stops reading for now, or for good. */
  readonly #deliver = (message: Uint8Array): boolean => {
    if (message.length < HEADER_OCTETS) {
      // Nothing can be answered: there is no header to answer with, and the stream cannot be trusted further.
      this.#stopReading("malformed frame");
      return false;
    }
    const { limits, admission } = this.#terms;
    // RFC 7766 §6.2.3: the idle timer restarts on complete messages only.
    this.#lastMessageMs = this.#chunkMs;
    this.#queries++;
    const isLast = this.#queries >= limits.queriesMax;
    // Before the answer is made, so that it tells the client to go.
    if (isLast) this.#leaveReason = "query limit";
    // Keepalive, when the answer has it, says the same in whole units.
    this.#idleTimeoutMs = limits.idleTimeoutMs * admission.patience;
    const answer = this.#handler.answer(message, this);
    if (answer instanceof Uint8Array) this.#output.append(answer);
    else if (answer !== undefined) {
      this.#inFlight++;
      admission.addInFlight(1);
      void answer.then(this.#answered);
    }
    if (isLast) this.#stopReading("query limit");
    return !isLast && !this.#pauseIfFull();
  };

  readonly #answered = (answer: Uint8Array | undefined): void => {
    this.#inFlight--;
    this.#lastMessageMs = this.#nowMs();
    // RFC 7766 §6.2.4: when the client has gone, pending answers are not sent.
    if (this.#state !== "ended") {
      if (answer !== undefined) this.#output.keep(answer);
      this.#deferFlush();
    }
    this.#terms.admission.addInFlight(-1);
  };

  readonly #flushDeferred = (): void => {
    this.#isFlushDeferred = false;
    if (this.#state === "ended") return;
    this.#unsent = this.#host.unsentOctets();
    this.#flush();
    if (!this.#isSendingFull()) this.#tellOfRoom(true);
    this.#resumeAndArm();
  };

  /** Reads on when there is room, ends when there is nothing left to do, and looks at the timer. */
  #goOn(): void {
    this.#unsent = this.#host.unsentOctets();
    if (!this.#isSendingFull()) this.#tellOfRoom(true);
    this.#resumeAndArm();
  }

  #resumeAndArm(): void {
    this.#resumeIfRoom();
    if (!this.#endIfFinished()) this.#arm();
    this.#account();
  }

  /** True, and reading is paused, at a limit of this connection or of all together. */
  #pauseIfFull(): boolean {
    const isFull = this.#isFull();
    const { admission } = this.#terms;
    const mustWait = !isFull && !admission.hasRoom;
    if (mustWait) admission.waitForTurn(this);
    if ((isFull || mustWait) && !this.#isPaused) {
      this.#isPaused = true;
      this.#host.pause();
    }
    return isFull || mustWait;
  }

  #isFull(): boolean {
    const { limits } = this.#terms;
    return this.#inFlight >= limits.inFlightMax || this.#isSendingFull();
  }

  /** It is this connection's turn again after all places were taken. */
  resumeTurn(): void {
    if (this.#state !== "open") return;
    this.#goOn();
  }

  #resumeIfRoom(): void {
    if (!this.#isPaused || this.#state !== "open" || this.#isReceiving) return;
    if (this.#pauseIfFull()) return;
    this.#isPaused = false;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#read(held, true);
    if (!this.#isPaused && this.#isReading()) this.#host.resume();
  }

  /** One write for all replies of this turn (RFC 7766 §8: length and message together); over TLS two records. */
  #flush(): void {
    this.#output.gather();
    if (this.#output.octets === 0) return;
    // Whatever there is to write has been made by the last message or answer.
    if (this.#unsent === 0 || this.#unsent < this.#unsentAtProgress)
      this.#lastProgressMs = this.#lastMessageMs;
    const { octets, lastAt } = this.#output;
    // The last reply of a turn gets a TLS record of its own: getdns and Stubby take one message each time their socket is
    // readable. As long as a record waits in the kernel it is, so that they get through all messages of the records
    // before; but a second message in the last record would stay unread until more octets come or its query times out.
    const isSplit = lastAt > 0 && this.origin.security !== undefined;
    const last = this.#output.view(isSplit ? lastAt : 0, octets);
    const others = isSplit ? this.#output.view(0, lastAt) : undefined;
    this.#output.clear();
    if (others !== undefined) this.#host.write(others);
    this.#host.write(last);
    this.#unsent = this.#host.unsentOctets();
    this.#unsentAtProgress = this.#unsent;
  }

  /** Tells admission how much memory the connection holds for its peer. */
  #account(): void {
    const octets =
      this.#state === "ended" ? 0 : this.#frames.bufferedOctets + (this.#held?.length ?? 0) + this.#unsent;
    if (octets === this.#accountedOctets) return;
    const change = octets - this.#accountedOctets;
    this.#accountedOctets = octets;
    this.#terms.admission.addBuffered(change);
  }

  /** The system has taken what was written. */
  onDrain(): void {
    this.#lastProgressMs = this.#nowMs();
    if (this.#state === "ended") return;
    this.#goOn();
  }

  /** The client sends no more: what it asked is still answered, then we end too (RFC 1035 §4.2.2). */
  onEnd(): void {
    if (this.#state !== "open") return;
    // What waits for room has been received: it is answered before the end.
    if (this.#held === undefined) this.#finish("client closed");
    else this.#endsAfterHeld = true;
  }

  #endsAfterHeld = false;

  /** The stream is gone; `isOrderly` when both sides had ended. */
  onClose(isOrderly: boolean): void {
    this.#ended(isOrderly ? this.#finishReason : "connection lost");
  }

  /** Tells the client to go (keepalive 0 in further answers), answers what it asks until then, and ends when it is idle. */
  drain(): void {
    if (this.#state !== "open") return;
    this.#leaveReason = "drained";
    if (this.#isQuiet()) this.#finish("drained");
    else this.#arm();
  }

  /** Reads no more, answers what has been read, and ends. */
  finish(): void {
    if (this.#state === "open") this.#finish("drained");
  }

  /** Ends although the client did nothing wrong: its place is needed. */
  displace(): void {
    if (this.#state === "open") this.#finish("displaced");
  }

  /** What is counted for it in {@link Admission}. */
  get bufferedOctets(): number {
    return this.#accountedOctets;
  }

  /** Ends at once: it holds more than anybody else while the buffers are full. */
  shed(): void {
    this.#abort("buffers full");
  }

  /** Ends at once without answering. */
  abort(): void {
    this.#abort("drained");
  }

  /** Nothing is in flight and no message has begun. */
  #isQuiet(): boolean {
    return this.#inFlight === 0 && this.#frames.bufferedOctets === 0 && this.#held === undefined;
  }

  /** The timer that the machine set has fired. */
  onTimer(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    if (this.#state === "ended") return;
    const nowMs = this.#nowMs();
    // A peer that takes octets slowly takes them all the same.
    this.#unsent = this.#host.unsentOctets();
    if (this.#unsent < this.#unsentAtProgress) {
      this.#lastProgressMs = nowMs;
      this.#unsentAtProgress = this.#unsent;
    }
    if (nowMs >= this.#stallDueMs()) {
      this.#abort("write stall");
      return;
    }
    if (this.#state === "open") this.#endIfDue(nowMs);
    if (!this.#isEnded()) this.#goOn();
  }

  #endIfDue(nowMs: number): void {
    if (nowMs >= this.#durationDueMs()) this.#leaveReason ??= "duration limit";
    if (this.#isPaused) return;
    if (nowMs >= this.#messageDueMs) this.#finish("message timeout");
    else if (nowMs >= this.#quietDueMs())
      this.#finish(this.#leaveReason ?? (this.#queries === 0 ? "first query timeout" : "idle timeout"));
    else if (nowMs >= this.#durationDueMs() + LEAVE_MS_MAX) this.#finish("duration limit");
  }

  #stallDueMs(): number {
    return this.#unsent > 0
      ? this.#lastProgressMs + this.#terms.limits.writeStallTimeoutMs
      : Number.POSITIVE_INFINITY;
  }

  #durationDueMs(): number {
    return this.#openedMs + this.#terms.limits.durationMaxMs;
  }

  /** When a connection without queries in flight and without a half message ends. */
  #quietDueMs(): number {
    if (this.#inFlight > 0 || this.#messageDueMs !== Number.POSITIVE_INFINITY)
      return Number.POSITIVE_INFINITY;
    if (this.#leaveReason !== undefined) return this.#lastMessageMs + LEAVE_GRACE_MS;
    return this.#queries === 0 ? this.#firstQueryDueMs : this.#lastMessageMs + this.#idleTimeoutMs;
  }

  /** Not later than {@link #dueMs}, and without asking the clock. */
  #soonestDueMs(): number {
    const lifeMs = Math.min(this.#durationDueMs(), this.#stallDueMs());
    return this.#isPaused ? lifeMs : Math.min(lifeMs, this.#messageDueMs, this.#quietDueMs());
  }

  #dueMs(): number {
    const stallMs = this.#stallDueMs();
    if (this.#state !== "open") return stallMs;
    const nowMs = this.#nowMs();
    const durationMs = this.#durationDueMs();
    const lifeMs = nowMs < durationMs ? durationMs : durationMs + LEAVE_MS_MAX;
    if (this.#isPaused) return Math.min(stallMs, lifeMs);
    return Math.min(stallMs, lifeMs, this.#messageDueMs, this.#quietDueMs());
  }

  /** Timers may fire early: {@link onTimer} looks what is really due, so that queries need not move them. */
  #arm(): void {
    if (this.#timerAtMs <= this.#soonestDueMs()) return;
    const dueMs = this.#dueMs();
    if (this.#timerAtMs <= dueMs) return;
    this.#timerAtMs = dueMs;
    this.#host.setTimer(Math.max(0, dueMs - this.#nowMs()));
  }

  #finish(reason: ServerCloseReason): void {
    this.#stopReading(reason);
    this.#unsent = this.#host.unsentOctets();
    this.#flush();
    if (!this.#endIfFinished()) this.#arm();
    this.#account();
  }

  #stopReading(reason: ServerCloseReason): void {
    this.#state = "finishing";
    this.#finishReason = reason;
    this.#held = undefined;
  }

  #isReading(): boolean {
    return this.#state === "open";
  }

  /** Calls in between may have ended the connection, which the compiler cannot see. */
  #isEnded(): boolean {
    return this.#state === "ended";
  }

  #endIfFinished(): boolean {
    if (this.#endsAfterHeld && this.#held === undefined && this.#state === "open")
      this.#stopReading("client closed");
    if (this.#state !== "finishing" || this.#inFlight > 0 || this.#output.heldOctets > 0) return false;
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
    this.#output.clear();
    this.#held = undefined;
    this.#host.setTimer(undefined);
    this.#terms.admission.closed(this);
    this.#account();
    this.#tellOfRoom(false);
    this.#host.onEnded(reason);
  }
}

/** Of our own octets nothing is copied as long as that keeps no more than twice as many alive: all copies together are one more chunk. */
function restOf(chunk: Uint8Array, at: number, isOwn: boolean): Uint8Array {
  const isMostOfIt = isOwn && 2 * (chunk.length - at) > chunk.buffer.byteLength;
  return isMostOfIt ? chunk.subarray(at) : chunk.slice(at);
}

/** TIMEOUT has 16 bits (RFC 7828 §3.1). */
const KEEPALIVE_UNITS_MAX = 0xffff;
/**
 * Half a unit of keepalive: a client that was told 0 may close first, so that TIME_WAIT is not ours (RFC 7858 §3.4), and
 * the promise still holds within its precision.
 */
const LEAVE_GRACE_MS = KEEPALIVE_UNIT_MS / 2;
/** A client that goes on asking at the end of its time is still answered for so long. */
const LEAVE_MS_MAX = 5_000;
/** However impatient the server is, a message gets the time for some round trips. */
const MESSAGE_MS_MIN = 200;
