/**
 * The client's end of a DNS connection over TCP or TLS, as a state machine without I/O: octets and time in, octets and
 * outcomes out. Owns message ids, pipelining, matching in any order, deadlines, the keepalive negotiation of RFC 7828
 * and idle closing. Does not connect, authenticate or retry, and takes one reply per query: no zone transfers.
 */
import type { Random } from "@sotto/dns/runtime";
import {
  EdnsOptionCode,
  FRAME_PREFIX_OCTETS,
  FrameReader,
  MessageView,
  Name,
  octetsToSend,
  setUint16,
} from "@sotto/dns/wire";
import { idleTimeoutAfterReply, promisedIdleMs } from "./client-keepalive.ts";
import { CONNECTION_LIMITS_DEFAULT, type ConnectionLimits } from "./connection-limits.ts";
import type { ConnectionQuery, QueryOutcome } from "./connection-query.ts";
import { FlightTable, type TableFlight } from "./flight-table.ts";
import { echoesQuestion } from "./reply-match.ts";

/** What a connection does to its surroundings. Calls never come back into the connection within the same call. */
export interface ConnectionHost {
  /** Sends octets, which stay unchanged. False: write again after `drained`. */
  write(octets: Uint8Array): boolean;
  /** Sends FIN (and close_notify); nothing is written afterwards. */
  end(): void;
  /** Aborts. */
  reset(): void;
  /** Calls `onTimer` at that time instead of any earlier wish; undefined for never. */
  setTimer(atMs: number | undefined): void;
  /** Calls `flush` once at the end of this turn. */
  requestFlush(): void;
}

/**
 * `connecting` queues; `open` sends; `draining` waits for outstanding replies and takes nothing new; `closing` has sent
 * FIN; `closed` is the end.
 */
export type ConnectionState = "connecting" | "open" | "draining" | "closing" | "closed";

const NEXT_STATES: Readonly<Record<ConnectionState, readonly ConnectionState[]>> = {
  connecting: ["open", "closed"],
  open: ["draining", "closing", "closed"],
  draining: ["closing", "closed"],
  closing: ["closed"],
  closed: [],
};

/** A query from when it is given until it is answered. */
class Flight implements TableFlight<Flight> {
  /** {@link NO_QUERY} once it is answered: what has grown old with it would keep it alive until the next full collection. */
  query: ConnectionQuery;
  readonly isReused: boolean;
  id = -1;
  nth = 0;
  next: Flight | undefined = undefined;
  sentAtMs = 0;
  /** The query's deadline, or an earlier one on a connection that has yet to show that it works. */
  dueMs = 0;
  /** False once nobody waits: the id stays taken until the late reply or the end of the connection. */
  isAwaited = true;

  constructor(query: ConnectionQuery, isReused: boolean) {
    this.query = query;
    this.isReused = isReused;
  }
}

/** Counters of one connection. */
export interface ConnectionCounters {
  /** Queries written. */
  sent: number;
  /** Replies that settled a query. */
  served: number;
  /** Replies to queries that nobody waited for any more. */
  late: number;
  /** Messages that match no query: unsolicited, duplicate, of another question, or no replies. */
  unexpected: number;
}

export class ClientConnection {
  /** How long the connection had been idle when its peer closed it; undefined when that is not how it ended. */
  idleClosedAfterMs: number | undefined = undefined;
  /** What the server's latest reply promised (RFC 7828), milliseconds; undefined without. */
  promisedIdleMs: number | undefined = undefined;
  readonly counters: ConnectionCounters = { sent: 0, served: 0, late: 0, unexpected: 0 };
  readonly #limits: ConnectionLimits;
  readonly #host: ConnectionHost;
  readonly #random: Random;
  readonly #reader = new FrameReader();
  readonly #view = new MessageView();
  readonly #flights = new FlightTable<Flight>();
  /** What has not been sent. */
  #queue: Flight[] = [];
  #state: ConnectionState = "connecting";
  #awaited = 0;
  #isBlocked = false;
  #isFlushRequested = false;
  #idleTimeoutMs: number;
  #idleSinceMs = 0;
  #lastReceivedMs = 0;
  /** When the first of the queries left since which nothing has arrived. */
  #silentSinceMs: number | undefined = undefined;
  #lastServedMs = 0;
  #lastReplyTookMs = 0;
  #timerAtMs: number | undefined = undefined;

  constructor(limits: Partial<ConnectionLimits>, host: ConnectionHost, random: Random) {
    this.#limits = { ...CONNECTION_LIMITS_DEFAULT, ...limits };
    this.#host = host;
    this.#random = random;
    this.#idleTimeoutMs = this.#limits.idleTimeoutMs;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** True while {@link send} may be called. */
  get takesQueries(): boolean {
    return this.#state === "connecting" || this.#state === "open";
  }

  /** Queries that somebody waits for, sent or not. */
  get pending(): number {
    return this.#awaited + this.#queue.length;
  }

  /** Queries that leave together when this turn ends; 0 while they wait for something else, or some were not answered in time. */
  get gathered(): number {
    const isWell = this.#state === "open" && !this.#isBlocked && this.#flights.size === this.#awaited;
    return this.#isFlushRequested && isWell ? Math.min(this.#queue.length, this.#room) : 0;
  }

  /** Queries that may be sent now. */
  get #room(): number {
    const { inFlightMax, queriesMax } = this.#limits;
    return Math.max(0, Math.min(inFlightMax - this.#flights.size, queriesMax - this.counters.sent));
  }

  /** True when another query would be sent at once. */
  get hasRoom(): boolean {
    return this.#queue.length === 0 && this.#flights.size < this.#limits.inFlightMax && !this.#isBlocked;
  }

  /** True when queries have been met by silence for so long that the connection may be dead. */
  isSuspect(nowMs: number): boolean {
    return this.#silentSinceMs !== undefined && nowMs - this.#silentSinceMs >= SILENCE_EVIDENCE_MS;
  }

  /** Message ids that must not be used for another query now (RFC 7766 §6.2.1). */
  get takenIds(): number[] {
    return this.#flights.values().map(({ id }) => id);
  }

  /** How long the connection may now stay without queries, milliseconds. */
  get idleTimeoutMs(): number {
    return this.#idleTimeoutMs;
  }

  /** When it is closed unless a query comes, monotonic milliseconds; undefined while it is not idle. */
  get idleClosesAtMs(): number | undefined {
    return this.#state === "open" && this.pending === 0 ? this.#idleSinceMs + this.#idleTimeoutMs : undefined;
  }

  /** The stream is there: what waits is sent at the end of this turn. */
  open(nowMs: number): void {
    this.#move("open");
    this.#lastReceivedMs = nowMs;
    this.#becomeIdle(nowMs);
    this.#wantFlush();
  }

  /** There will be no stream. */
  fail(problem: Error): void {
    this.#move("closed");
    this.#setTimer(undefined);
    for (const { query } of this.#takeQueue()) query.settle({ kind: "failed", problem });
  }

  /** Takes a query; only while {@link takesQueries}. */
  send(query: ConnectionQuery): void {
    if (!this.takesQueries) throw new Error(`a query was given to a connection that is ${this.#state}`);
    if (this.#queue.length >= this.#limits.queueMax) {
      query.settle({ kind: "refused" });
      return;
    }
    this.#queue.push(new Flight(query, this.counters.sent > 0));
    this.#wantTimer(query.deadlineMs);
    this.#wantFlush();
  }

  /** Nobody waits for this query any more; it is not settled. */
  cancel(query: ConnectionQuery, nowMs: number): void {
    const before = this.#queue.length;
    this.#queue = this.#queue.filter((waiting) => waiting.query !== query);
    if (this.#queue.length < before) return;
    for (const flight of this.#flights.values()) {
      if (flight.query !== query || !flight.isAwaited) continue;
      this.#abandon(flight, nowMs);
      this.#goOn(nowMs);
      return;
    }
  }

  /** Writes all that may be sent now in one piece (RFC 7766 §8, §6.2.1.1). */
  flush(nowMs: number): void {
    this.#isFlushRequested = false;
    if (this.#state !== "open" || this.#isBlocked) return;
    const room = this.#room;
    if (room === 0 || this.#queue.length === 0) return;
    const leaving = this.#takeFirst(room);
    let octets = 0;
    for (const { query } of leaving) octets += FRAME_PREFIX_OCTETS + query.octets.length;
    const batch = octetsToSend(octets);
    const patienceMs = this.#patienceMs(nowMs);
    this.#silentSinceMs ??= nowMs;
    let at = 0;
    for (const flight of leaving) {
      const { query } = flight;
      const id = this.#freshId();
      setUint16(batch, at, query.octets.length);
      batch.set(query.octets, at + FRAME_PREFIX_OCTETS);
      setUint16(batch, at + FRAME_PREFIX_OCTETS, id);
      at += FRAME_PREFIX_OCTETS + query.octets.length;
      flight.sentAtMs = nowMs;
      flight.dueMs =
        query.isPatient === true ? query.deadlineMs : Math.min(query.deadlineMs, nowMs + patienceMs);
      this.#flights.add(id, flight);
      this.#wantTimer(flight.dueMs);
      this.#awaited++;
    }
    this.counters.sent += leaving.length;
    this.#isBlocked = !this.#host.write(batch);
  }

  /** So many of what waits, at most. */
  #takeFirst(count: number): Flight[] {
    return this.#queue.length > count ? this.#queue.splice(0, count) : this.#takeQueue();
  }

  /** A server may be slow, but a connection has to show that it is there: sooner after a pause, later when the last reply took long. */
  #patienceMs(nowMs: number): number {
    const { firstAnswerTimeoutMs, silenceTimeoutMs, answerAfterPauseTimeoutMs } = this.#limits;
    if (this.counters.served === 0) return firstAnswerTimeoutMs;
    const hadPause = nowMs - this.#lastReceivedMs >= PAUSE_MS;
    return Math.max(hadPause ? answerAfterPauseTimeoutMs : silenceTimeoutMs, 2 * this.#lastReplyTookMs);
  }

  /** The stream takes octets again. */
  drained(): void {
    this.#isBlocked = false;
    this.#wantFlush();
  }

  /** Octets arrived, cut anywhere. They are not kept. */
  receive(octets: Uint8Array, nowMs: number): void {
    if (this.#state !== "open" && this.#state !== "draining") return;
    this.#lastReceivedMs = nowMs;
    this.#silentSinceMs = undefined;
    this.#reader.push(octets, (message) => this.#receiveMessage(message, nowMs));
    this.#goOn(nowMs);
  }

  /** The peer sends no more: what is outstanding will not be answered (RFC 7766 §6.2.4). */
  peerEnded(nowMs: number): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    this.#noteIdleClose(nowMs);
    this.#close(nowMs);
    this.#loseAll(undefined);
  }

  /** The stream is gone. */
  closed(problem: Error | undefined, nowMs: number): void {
    if (this.#state === "closed") return;
    this.#noteIdleClose(nowMs);
    this.#move("closed");
    this.#setTimer(undefined);
    this.#loseAll(problem);
  }

  /** A peer that closes an idle connection shows how long it keeps one; with keepalive it has said so already. */
  #noteIdleClose(nowMs: number): void {
    if (
      this.#state !== "open" ||
      this.pending > 0 ||
      this.counters.served === 0 ||
      this.promisedIdleMs !== undefined
    )
      return;
    this.idleClosedAfterMs = nowMs - this.#idleSinceMs;
  }

  /** Takes nothing new and closes once all that was sent is answered; what was not sent is lost at once. */
  drain(nowMs: number): void {
    if (this.#state !== "open") return;
    this.#move("draining");
    const unsent = this.#takeQueue();
    this.#goOn(nowMs);
    this.#lose(unsent, undefined);
  }

  /** Closes now; what is outstanding is lost. */
  shutDown(nowMs: number): void {
    if (this.#state === "open" || this.#state === "draining") this.#close(nowMs);
    if (this.#state === "closing") this.#setTimer(nowMs + SHUT_DOWN_PATIENCE_MS);
    this.#loseAll(undefined);
  }

  onTimer(nowMs: number): void {
    this.#timerAtMs = undefined;
    if (this.#state === "closed") return;
    if (this.#state === "closing") {
      this.#host.reset();
      return;
    }
    const late = this.#queue.filter(({ query }) => query.deadlineMs <= nowMs);
    if (late.length > 0) this.#queue = this.#queue.filter(({ query }) => query.deadlineMs > nowMs);
    const expired = this.#expire(nowMs);
    this.#goOn(nowMs);
    this.#rearm();
    for (const { query } of late) query.settle({ kind: "timeout", wasSent: false });
    let isDead = false;
    for (const { query } of expired) {
      // A connection that worked and is silent is as good as closed: a fresh one may do better.
      if (this.counters.served > 0 && nowMs < query.deadlineMs) {
        isDead = true;
        query.settle(this.#lostInSilence());
      } else query.settle({ kind: "timeout", wasSent: true });
    }
    if (isDead) this.#giveUpWaiting(nowMs);
  }

  /** What was sent into the same silence later need not wait as long to go on over a fresh connection. */
  #giveUpWaiting(nowMs: number): void {
    const others = this.#flights
      .values()
      .filter(({ isAwaited, query }) => isAwaited && query.isPatient !== true);
    for (const flight of others) this.#abandon(flight, nowMs);
    this.drain(nowMs);
    this.#goOn(nowMs);
    for (const { query } of others) query.settle(this.#lostInSilence());
  }

  #lostInSilence(): QueryOutcome {
    const repliesServed = this.counters.served;
    const lost = { kind: "lost", wasSent: true, wasPassedOver: false, wasSilent: true } as const;
    return { ...lost, repliesServed, problem: undefined };
  }

  /** Ends waiting for what is due; queries whose connection has shown life meanwhile get all of their time. */
  #expire(nowMs: number): Flight[] {
    const expired: Flight[] = [];
    for (const flight of this.#flights.values()) {
      if (!flight.isAwaited || flight.dueMs > nowMs) continue;
      flight.dueMs = flight.query.deadlineMs;
      if (flight.dueMs > nowMs && this.#lastReceivedMs > flight.sentAtMs) continue;
      this.#abandon(flight, nowMs);
      expired.push(flight);
    }
    return expired;
  }

  #receiveMessage(message: Uint8Array, nowMs: number): boolean {
    const problem = this.#view.reset(message);
    const flight = message.length < 2 ? undefined : this.#flights.get(this.#view.id);
    if (flight === undefined || !this.#isReplyTo(flight, problem)) {
      this.counters.unexpected++;
      if (this.counters.unexpected <= UNEXPECTED_MAX) return true;
      this.#host.reset();
      this.#move("closed");
      this.#setTimer(undefined);
      this.#loseAll(undefined);
      return false;
    }
    this.#flights.remove(flight);
    const { query } = flight;
    flight.query = NO_QUERY;
    if (!flight.isAwaited) {
      this.counters.late++;
      return true;
    }
    this.#awaited--;
    this.counters.served++;
    this.#lastServedMs = nowMs;
    this.#lastReplyTookMs = nowMs - flight.sentAtMs;
    if (this.#awaited === 0) this.#becomeIdle(nowMs);
    if (problem !== undefined) {
      query.settle({ kind: "malformed", problem });
      return this.#reads;
    }
    this.#noteKeepalive(query, nowMs);
    const { sentAtMs, isReused } = flight;
    const octets = query.borrowsReply === true ? message : message.slice();
    query.settle({ kind: "reply", octets, sentAtMs, receivedAtMs: nowMs, isReused });
    return this.#reads;
  }

  /** False once a query's owner, told of its reply, has closed the connection. */
  get #reads(): boolean {
    return this.#state === "open" || this.#state === "draining";
  }

  /** RFC 7766 §7: id, and name, type and class when there is a question. What cannot be read has only its id. */
  #isReplyTo(flight: Flight, problem: string | undefined): boolean {
    const view = this.#view;
    if (view.octets.length < 12 || !view.isResponse || view.opcode !== 0) return false;
    return problem !== undefined || view.questionCount === 0 || echoesQuestion(view, flight.query.octets);
  }

  #noteKeepalive(query: ConnectionQuery, nowMs: number): void {
    const data = this.#view.optionData(EdnsOptionCode.TcpKeepalive);
    const answer = idleTimeoutAfterReply(data, query.asksKeepalive, this.#idleTimeoutMs, this.#limits);
    if (answer === "drain") {
      this.drain(nowMs);
      return;
    }
    this.promisedIdleMs = promisedIdleMs(data);
    this.#idleTimeoutMs = answer;
    if (this.#awaited === 0) this.#becomeIdle(nowMs);
  }

  /** Ends waiting for a sent query. A connection that shows no life meanwhile gets no further queries. */
  #abandon(flight: Flight, nowMs: number): void {
    flight.isAwaited = false;
    this.#awaited--;
    if (this.#awaited === 0) this.#becomeIdle(nowMs);
    const abandoned = this.#flights.size - this.#awaited;
    if (this.isSuspect(nowMs) || abandoned * 2 >= this.#limits.inFlightMax) this.drain(nowMs);
  }

  /** After replies and departures: sends what waited for room, closes what has nothing left to do. */
  #goOn(nowMs: number): void {
    if (this.#state === "open") {
      if (this.#awaited === 0 && this.counters.sent >= this.#limits.queriesMax) this.drain(nowMs);
      else if (this.#queue.length > 0) this.#wantFlush();
      else if (this.pending === 0 && nowMs >= this.#idleSinceMs + this.#idleTimeoutMs) this.#close(nowMs);
    } else if (this.#state === "draining" && this.#awaited === 0) this.#close(nowMs);
  }

  #becomeIdle(nowMs: number): void {
    this.#idleSinceMs = nowMs;
    this.#wantTimer(nowMs + this.#idleTimeoutMs);
  }

  #close(nowMs: number): void {
    this.#move("closing");
    this.#setTimer(nowMs + CLOSE_PATIENCE_MS);
    this.#host.end();
  }

  #takeQueue(): Flight[] {
    const waiting = this.#queue;
    this.#queue = [];
    return waiting;
  }

  #loseAll(problem: Error | undefined): void {
    const unsent = this.#takeQueue();
    const sent = this.#flights.values().filter((flight) => flight.isAwaited);
    this.#flights.clear();
    this.#awaited = 0;
    const repliesServed = this.counters.served;
    for (const { query, sentAtMs } of sent) {
      const wasPassedOver = repliesServed > 0 && this.#lastServedMs >= sentAtMs;
      query.settle({ kind: "lost", wasSent: true, repliesServed, wasPassedOver, problem });
    }
    this.#lose(unsent, problem);
  }

  #lose(unsent: readonly Flight[], problem: Error | undefined): void {
    const repliesServed = this.counters.served;
    for (const { query } of unsent)
      query.settle({ kind: "lost", wasSent: false, repliesServed, wasPassedOver: false, problem });
  }

  /** A random id that no query in flight has (RFC 7766 §6.2.1); the in-flight limit leaves most of them free. */
  #freshId(): number {
    for (;;) {
      const id = this.#random.uint16();
      if (this.#flights.get(id) === undefined) return id;
    }
  }

  #wantFlush(): void {
    if (this.#isFlushRequested || this.#state !== "open" || this.#queue.length === 0) return;
    this.#isFlushRequested = true;
    this.#host.requestFlush();
  }

  /** Timers may come early: {@link onTimer} looks what is really due, so that replies need not touch them. */
  #wantTimer(atMs: number): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    if (this.#timerAtMs === undefined || atMs < this.#timerAtMs) this.#setTimer(atMs);
  }

  #rearm(): void {
    if (!this.#reads && this.#state !== "connecting") return;
    let atMs =
      this.#state === "connecting" ? Number.POSITIVE_INFINITY : this.#idleSinceMs + this.#idleTimeoutMs;
    if (this.pending > 0) atMs = Number.POSITIVE_INFINITY;
    for (const { query } of this.#queue) atMs = Math.min(atMs, query.deadlineMs);
    for (const flight of this.#flights.values()) if (flight.isAwaited) atMs = Math.min(atMs, flight.dueMs);
    if (atMs !== Number.POSITIVE_INFINITY) this.#wantTimer(atMs);
  }

  #setTimer(atMs: number | undefined): void {
    this.#timerAtMs = atMs;
    this.#host.setTimer(atMs);
  }

  #move(to: ConnectionState): void {
    if (!NEXT_STATES[this.#state].includes(to))
      throw new Error(`a connection cannot go from ${this.#state} to ${to}`);
    this.#state = to;
  }
}

const NO_QUERY: ConnectionQuery = {
  octets: new Uint8Array(0),
  question: { name: Name.root, type: 0, class: 0 },
  deadlineMs: 0,
  asksKeepalive: false,
  settle: () => undefined,
};
/** Messages without a query that are ignored; a peer that sends more is broken or hostile and is reset. */
export const UNEXPECTED_MAX = 100;
/** Queries unanswered this long while nothing at all arrived speak against the connection, not for a slow server. */
const SILENCE_EVIDENCE_MS = 1000;
/** A connection that was quiet for so long may have been forgotten by a middlebox or by a server without a FIN. */
const PAUSE_MS = 1000;
/** How long the peer may take to answer our FIN before we reset. */
const CLOSE_PATIENCE_MS = 2000;
/** The same when the program ends and waits for it. */
const SHUT_DOWN_PATIENCE_MS = 500;
