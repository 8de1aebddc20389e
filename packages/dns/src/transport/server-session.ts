/** A server connection on a real stream: carries octets and time between the two. */
import type { ByteStream, Clock, StreamHandlers, Timer } from "@sotto/dns/runtime";
import type { MessageHandler } from "./message-handler.ts";
import type { QueryOrigin } from "./responder.ts";
import {
  type ServerCloseReason,
  ServerConnection,
  type ServerConnectionHost,
  type SessionTerms,
} from "./server-connection.ts";

/** One client's connection, as whoever keeps the connections of a listener sees it. */
export interface ServedSession {
  /** Tells the client to go, answers what it asks until then, and ends when it is idle. */
  drain(): void;
  /** Reads no more, answers what has been read, and ends. */
  finish(): void;
  /** Aborts the connection, whatever state the session is in. */
  drop(): void;
}

/** Whoever keeps the sessions of a listener. */
export interface SessionOwner {
  /** The machine has ended; the stream may linger. */
  sessionEnded(session: ServedSession, reason: ServerCloseReason): void;
  /** The stream is gone too. */
  streamClosed(session: ServedSession): void;
}

/** One client. */
export class ServerSession implements ServerConnectionHost, ServedSession, StreamHandlers {
  readonly connection: ServerConnection;
  readonly #stream: ByteStream;
  readonly #owner: SessionOwner;
  readonly #clock: Clock;
  #timer: Timer | undefined = undefined;
  #hasEnded = false;
  #peerHasEnded = false;

  constructor(
    stream: ByteStream,
    origin: QueryOrigin,
    terms: SessionTerms,
    handler: MessageHandler,
    owner: SessionOwner,
    clock: Clock,
  ) {
    this.#stream = stream;
    this.#owner = owner;
    this.#clock = clock;
    this.connection = new ServerConnection(origin, terms, handler, this, () => clock.nowMs());
    stream.setHandlers(this);
  }

  // What the stream tells.

  onData(octets: Uint8Array): void {
    this.connection.receive(octets);
  }

  onEnd(): void {
    this.#peerHasEnded = true;
    this.connection.onEnd();
  }

  onDrain(): void {
    this.connection.onDrain();
  }

  onClose(problem: Error | undefined): void {
    if (!this.#hasEnded) this.connection.onClose(problem === undefined);
    this.#timer?.cancel();
    this.#owner.streamClosed(this);
  }

  drain(): void {
    this.connection.drain();
  }

  finish(): void {
    this.connection.finish();
  }

  drop(): void {
    this.connection.abort();
    this.#timer?.cancel();
    this.#stream.reset();
  }

  // What the machine asks of its surroundings.

  write(octets: Uint8Array): void {
    this.#stream.write(octets);
  }

  unsentOctets(): number {
    return this.#stream.bufferedOctets;
  }

  end(): void {
    this.#stream.end();
  }

  reset(): void {
    this.#stream.reset();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Answers of one client come with pieces of several backends' connections: when all pieces were looked at they leave together. */
  defer(run: () => void): void {
    if (this.#clock.afterArrivals === undefined) queueMicrotask(run);
    else this.#clock.afterArrivals(run);
  }

  setTimer(delayMs: number | undefined): void {
    this.#timer?.cancel();
    this.#timer =
      delayMs === undefined
        ? undefined
        : this.#clock.startTimer("server-connection", delayMs, () => this.connection.onTimer(), true);
  }

  /** The peer may not have ended its side yet: its octets are read and dropped until it does or time is up. */
  onEnded(reason: ServerCloseReason): void {
    this.#hasEnded = true;
    this.#owner.sessionEnded(this, reason);
    // The usual end: the client went first and has all its answers. Nothing is left to wait for.
    if (this.#peerHasEnded && this.#stream.bufferedOctets === 0) return;
    this.#timer = this.#clock.startTimer("server-linger", LINGER_MS, () => this.#stream.reset(), true);
    this.#stream.resume();
  }
}

/** How long the peer has to end its side after we ended ours, milliseconds. */
export const LINGER_MS = 2_000;
