/**
 * One client's HTTP connection: requests in, answers out, with the timers and limits that every connection of ours has
 * (`ServerConnection` has them for DNS over TCP and TLS). HTTP itself is below, in the network.
 */
import type { Clock, HttpExchange, HttpSession, ProxyOptions, Timer } from "@sotto/dns/runtime";
import { DnsError } from "@sotto/dns/runtime";
import {
  type Admitted,
  LINGER_MS,
  type MessageHandler,
  type QueryChannel,
  type ServedSession,
  type ServerCloseReason,
  type SessionParts,
} from "@sotto/dns/transport";
import { DNS_MESSAGE_TYPE, METHODS_ALLOWED, type RefusalStatus, readDohRequest } from "./doh-request.ts";
import { tryReadForwardedClient } from "./forwarded-client.ts";
import { cacheControlOf } from "./freshness.ts";

/** What all sessions of a listener share; may change while they live. */
export interface DohTerms {
  /** Where queries are served, such as `/dns-query`. */
  readonly path: string;
  /** Requests that were no query, by status. */
  readonly refusals: Partial<Record<RefusalStatus, number>>;
}

/** `open`: serving. `finishing`: no more requests, what is under way is answered. `ended`: nothing happens any more. */
type State = "open" | "finishing" | "ended";

/** See the head of this file. */
export class DohSession implements ServedSession, Admitted {
  readonly #http: HttpSession;
  readonly #parts: SessionParts;
  readonly #doh: DohTerms;
  readonly #handler: MessageHandler;
  readonly #clock: Clock;
  /** Undefined: the client is who opened the connection. */
  readonly #headerProxy: ProxyOptions | undefined;
  readonly #channel: QueryChannel;
  #state: State = "open";
  #finishReason: ServerCloseReason = "client closed";
  /** Set once the client has been told to go; the connection ends when nothing is under way. */
  #leaveReason: ServerCloseReason | undefined = undefined;
  /** Requests whose body is still to come, in order, with the moment when it must be there, monotonic milliseconds. */
  readonly #begun = new Map<HttpExchange, number>();
  /** Whole requests that wait because a limit was reached; at most the client's streams, or what one read of HTTP/1.1 holds. */
  readonly #held = new Set<HttpExchange>();
  #heldOctets = 0;
  #inFlight = 0;
  #queries = 0;
  #isPaused = false;
  #peerHasEnded = false;
  /** Octets that admission has been told of. */
  #accountedOctets = 0;
  readonly #openedMs: number;
  readonly #firstQueryDueMs: number;
  #lastRequestMs: number;
  #idleTimeoutMs: number;
  #lastProgressMs: number;
  #timer: Timer | undefined = undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;

  constructor(http: HttpSession, parts: SessionParts, doh: DohTerms) {
    const { origin, terms, handler, proxy, runtime } = parts;
    this.#http = http;
    this.#parts = parts;
    this.#doh = doh;
    this.#handler = handler;
    this.#clock = runtime.clock;
    // Who is no trusted proxy may send what it likes in these fields.
    const isBehindProxy = proxy?.place === "http header" && proxy.isTrusted(http.remote.address);
    this.#headerProxy = isBehindProxy ? proxy : undefined;
    this.#channel = { origin, keepaliveUnits: noKeepalive };
    const nowMs = this.#clock.nowMs();
    this.#openedMs = nowMs;
    this.#lastRequestMs = nowMs;
    this.#lastProgressMs = nowMs;
    const { limits, admission } = terms;
    this.#idleTimeoutMs = limits.idleTimeoutMs * admission.patience;
    this.#firstQueryDueMs = nowMs + Math.max(limits.firstQueryTimeoutMs * admission.patience, LEAVE_GRACE_MS);
    admission.opened(this);
    http.setHandlers({
      onBegin: (exchange) => this.#begin(exchange),
      onBody: () => this.#account(),
      onRequest: (exchange) => this.#take(exchange),
      onOver: (exchange) => this.#over(exchange),
      onEnd: () => this.#peerEnded(),
      onClose: (problem) => this.#closed(problem),
    });
    this.#arm();
  }

  /** Since when nothing has been under way, monotonic milliseconds; Infinity while something is. */
  get idleSinceMs(): number {
    return this.#state === "open" && this.#isQuiet() ? this.#lastRequestMs : Number.POSITIVE_INFINITY;
  }

  get bufferedOctets(): number {
    return this.#accountedOctets;
  }

  #begin(exchange: HttpExchange): void {
    if (this.#state !== "open") {
      this.#turnAway(exchange);
      return;
    }
    this.#begun.set(exchange, this.#newBodyDueMs());
    this.#account();
    this.#arm();
  }

  #newBodyDueMs(): number {
    const { limits, admission } = this.#parts.terms;
    const patienceMs = Math.max(limits.messageTimeoutMs * admission.patience, MESSAGE_MS_MIN);
    return this.#clock.nowMs() + patienceMs;
  }

  #take(exchange: HttpExchange): void {
    this.#begun.delete(exchange);
    if (this.#state !== "open") {
      this.#turnAway(exchange);
      return;
    }
    if (this.#held.size > 0 || this.#mustWait()) this.#hold(exchange);
    else this.#serve(exchange);
    this.#settle();
  }

  #hold(exchange: HttpExchange): void {
    this.#held.add(exchange);
    this.#heldOctets += heldOctetsOf(exchange);
  }

  #letGo(exchange: HttpExchange): void {
    if (this.#held.delete(exchange)) this.#heldOctets -= heldOctetsOf(exchange);
  }

  /** It came while the connection is closing: what HTTP/1.1 had read already, or a stream that crossed our GOAWAY. */
  #turnAway(exchange: HttpExchange): void {
    if (this.#state === "finishing") this.#refuse(exchange, 503, CLOSING);
  }

  /** True at a limit of this connection, or of all together; then it is told when its turn has come. */
  #mustWait(): boolean {
    const { limits, admission } = this.#parts.terms;
    if (this.#inFlight >= limits.inFlightMax || this.#http.unsentOctets >= limits.unsentOctetsMax)
      return true;
    if (admission.hasRoom) return false;
    admission.waitForTurn(this);
    return true;
  }

  #serve(exchange: HttpExchange): void {
    const { limits, admission } = this.#parts.terms;
    this.#lastRequestMs = this.#clock.nowMs();
    this.#idleTimeoutMs = limits.idleTimeoutMs * admission.patience;
    if (this.#idleTimeoutMs < IDLE_MS_MIN) this.#leave("overload");
    this.#queries++;
    const isLast = this.#queries >= limits.queriesMax;
    // Before the answer is made, so that it says so.
    if (isLast) this.#leave("query limit");
    this.#answerRequest(exchange);
    if (isLast) this.#stop("query limit");
  }

  #answerRequest(exchange: HttpExchange): void {
    const { admission } = this.#parts.terms;
    const request = readDohRequest(exchange, this.#doh.path);
    if (request.kind === "refusal") {
      this.#refuse(exchange, request.status, request.text);
      return;
    }
    const channel = this.#channelFor(exchange);
    if (channel === undefined) return;
    const answer = this.#handler.answer(request.octets, channel);
    if (answer === undefined || answer instanceof Uint8Array) {
      this.#answer(exchange, answer);
      return;
    }
    this.#inFlight++;
    admission.addInFlight(1);
    void answer.then((octets) => {
      this.#inFlight--;
      this.#lastRequestMs = this.#clock.nowMs();
      if (this.#state !== "ended") this.#answer(exchange, octets);
      admission.addInFlight(-1);
      this.#goOn();
    });
  }

  /** Undefined, and it is refused, when a proxy does not say whom it speaks for. */
  #channelFor(exchange: HttpExchange): QueryChannel | undefined {
    if (this.#headerProxy === undefined) return this.#channel;
    const client = tryReadForwardedClient(
      exchange,
      (address) => this.#headerProxy?.isTrusted(address) === true,
    );
    if (!client.ok) {
      this.#refuse(exchange, 400, client.problem);
      return undefined;
    }
    if (client.value === undefined) return this.#channel;
    return { origin: { ...this.#channel.origin, remote: client.value }, keepaliveUnits: noKeepalive };
  }

  /** Octets are valid until the handler's next call, and HTTP sends them later. */
  #answer(exchange: HttpExchange, octets: Uint8Array | undefined): void {
    this.#beginsToSend();
    if (octets === undefined) {
      exchange.abandon();
      return;
    }
    const fields = {
      "content-type": DNS_MESSAGE_TYPE,
      "content-length": String(octets.length),
      "cache-control": cacheControlOf(octets),
    };
    exchange.respond(200, fields, octets.slice());
  }

  #refuse(exchange: HttpExchange, status: RefusalStatus, text: string): void {
    this.#beginsToSend();
    this.#doh.refusals[status] = (this.#doh.refusals[status] ?? 0) + 1;
    const body = utf8.encode(`${text}\n`);
    const fields = {
      "content-type": "text/plain; charset=utf-8",
      "content-length": String(body.length),
      "cache-control": "no-store",
      ...(status === 405 ? { allow: METHODS_ALLOWED } : {}),
    };
    exchange.respond(status, fields, body);
  }

  /** The client's time to take something begins with the first octet that waits for it. */
  #beginsToSend(): void {
    if (this.#http.unsentOctets === 0 || this.#http.isHeldUp) this.#lastProgressMs = this.#clock.nowMs();
  }

  #over(exchange: HttpExchange): void {
    this.#begun.delete(exchange);
    this.#letGo(exchange);
    this.#lastProgressMs = this.#clock.nowMs();
    this.#goOn();
  }

  /** Serves what was held as far as there is room, then looks at everything else. */
  #goOn(): void {
    for (const exchange of this.#held) {
      if (this.#state !== "open" || this.#mustWait()) break;
      this.#letGo(exchange);
      this.#serve(exchange);
    }
    this.#settle();
  }

  #settle(): void {
    if (this.#state === "ended") return;
    const mustPause = this.#held.size > 0;
    if (this.#state === "open" && mustPause !== this.#isPaused) {
      this.#isPaused = mustPause;
      if (mustPause) this.#http.pause();
      else this.#resume();
    }
    if (this.#state === "open" && this.#peerHasEnded && this.#isQuiet()) this.#stop("client closed");
    this.#account();
    if (!this.#endIfFinished()) this.#arm();
  }

  /** What is left of bodies that have begun was not read until now. */
  #resume(): void {
    const dueMs = this.#newBodyDueMs();
    for (const exchange of this.#begun.keys()) this.#begun.set(exchange, dueMs);
    this.#http.resume();
  }

  resumeTurn(): void {
    if (this.#state === "open") this.#goOn();
  }

  /** Tells admission how much memory the connection holds for its peer. */
  #account(): void {
    const octets =
      this.#state === "ended" ? 0 : this.#http.partialOctets + this.#http.unsentOctets + this.#heldOctets;
    const change = octets - this.#accountedOctets;
    if (change === 0) return;
    this.#accountedOctets = octets;
    this.#parts.terms.admission.addBuffered(change);
  }

  /** Nothing is in flight and no request has begun. */
  #isQuiet(): boolean {
    return this.#inFlight + this.#begun.size + this.#held.size === 0;
  }

  #leave(reason: ServerCloseReason): void {
    if (this.#leaveReason !== undefined) return;
    this.#leaveReason = reason;
    this.#http.leave();
  }

  drain(): void {
    if (this.#state !== "open") return;
    this.#leave("drained");
    if (this.#isQuiet()) this.finish();
    else this.#settle();
  }

  finish(): void {
    this.#finish("drained");
  }

  /** Its place is needed. */
  displace(): void {
    this.#finish("displaced");
  }

  /** It holds more than anybody else while the buffers are full. */
  shed(): void {
    this.#abort("buffers full");
  }

  drop(): void {
    this.#abort("drained");
    this.#timer?.cancel();
    this.#http.reset();
  }

  #peerEnded(): void {
    this.#peerHasEnded = true;
    if (this.#state === "open") this.#settle();
  }

  #closed(problem: Error | undefined): void {
    const reason = DnsError.is(problem, "ERR_MESSAGE_MALFORMED")
      ? "malformed frame"
      : problem !== undefined
        ? "connection lost"
        : this.#state === "open"
          ? (this.#leaveReason ?? "client closed")
          : this.#finishReason;
    this.#ended(reason);
    this.#timer?.cancel();
    this.#parts.owner.streamClosed(this);
  }

  #finish(reason: ServerCloseReason): void {
    if (this.#state !== "open") return;
    this.#stop(reason);
    if (!this.#endIfFinished()) this.#arm();
  }

  /** No more requests: those that are not being answered yet are refused. */
  #stop(reason: ServerCloseReason): void {
    this.#state = "finishing";
    this.#finishReason = reason;
    this.#leave(reason);
    this.#http.pause();
    const held = [...this.#held];
    const begun = [...this.#begun.keys()];
    for (const exchange of held) this.#letGo(exchange);
    this.#begun.clear();
    for (const exchange of held) this.#refuse(exchange, 503, CLOSING);
    for (const exchange of begun)
      if (reason === "message timeout") this.#refuse(exchange, 408, "the rest of the query did not come");
      else this.#refuse(exchange, 503, CLOSING);
    this.#account();
  }

  #endIfFinished(): boolean {
    if (this.#state !== "finishing" || this.#inFlight > 0 || this.#http.unsentOctets > 0) return false;
    this.#http.end();
    this.#ended(this.#finishReason);
    return true;
  }

  #abort(reason: ServerCloseReason): void {
    if (this.#state === "ended") return;
    this.#http.reset();
    this.#ended(reason);
  }

  #ended(reason: ServerCloseReason): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#held.clear();
    this.#begun.clear();
    this.#timer?.cancel();
    const { terms, owner } = this.#parts;
    terms.admission.closed(this);
    this.#account();
    owner.sessionEnded(this, reason);
    // Until the other side ends, too.
    this.#http.resume();
    this.#timer = this.#clock.startTimer("doh-linger", LINGER_MS, () => this.#http.reset(), true);
  }

  #onTimer(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    if (this.#state === "ended") return;
    const nowMs = this.#clock.nowMs();
    if (nowMs >= this.#stallDueMs()) this.#abort("write stall");
    else if (this.#state === "open") this.#endIfDue(nowMs);
    this.#goOn();
  }

  #endIfDue(nowMs: number): void {
    if (nowMs >= this.#durationDueMs()) this.#leave("duration limit");
    if (nowMs >= this.#bodyDueMs()) this.#finish("message timeout");
    else if (nowMs >= this.#quietDueMs())
      this.#finish(this.#leaveReason ?? (this.#queries === 0 ? "first query timeout" : "idle timeout"));
    else if (nowMs >= this.#durationDueMs() + LEAVE_MS_MAX) this.#finish("duration limit");
  }

  #stallDueMs(): number {
    const { limits } = this.#parts.terms;
    return this.#http.unsentOctets > 0 && !this.#http.isHeldUp
      ? this.#lastProgressMs + limits.writeStallTimeoutMs
      : Number.POSITIVE_INFINITY;
  }

  #durationDueMs(): number {
    return this.#openedMs + this.#parts.terms.limits.durationMaxMs;
  }

  #bodyDueMs(): number {
    if (this.#isPaused) return Number.POSITIVE_INFINITY;
    for (const dueMs of this.#begun.values()) return dueMs;
    return Number.POSITIVE_INFINITY;
  }

  /** When a connection ends on which nothing is under way; half a header field is nothing. */
  #quietDueMs(): number {
    if (!this.#isQuiet()) return Number.POSITIVE_INFINITY;
    if (this.#leaveReason !== undefined) return this.#lastRequestMs + LEAVE_GRACE_MS;
    return this.#queries === 0 ? this.#firstQueryDueMs : this.#lastRequestMs + this.#idleTimeoutMs;
  }

  #dueMs(): number {
    const stallMs = this.#stallDueMs();
    if (this.#state !== "open") return stallMs;
    const durationMs = this.#durationDueMs();
    const lifeMs = this.#clock.nowMs() < durationMs ? durationMs : durationMs + LEAVE_MS_MAX;
    return Math.min(stallMs, lifeMs, this.#bodyDueMs(), this.#quietDueMs());
  }

  /** Timers may fire early: {@link #onTimer} looks what is really due, so that requests need not move them. */
  #arm(): void {
    const dueMs = this.#dueMs();
    if (this.#timerAtMs <= dueMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = dueMs;
    const delayMs = Math.max(0, dueMs - this.#clock.nowMs());
    this.#timer = this.#clock.startTimer("doh-session", delayMs, () => this.#onTimer(), true);
  }
}

/** What a request that waits takes, about. */
function heldOctetsOf({ body, target }: HttpExchange): number {
  return HELD_OCTETS + body.length + target.length;
}

const utf8 = new TextEncoder();

/** RFC 7828 §3.3.2 is for TCP and TLS; HTTP has ways of its own. */
function noKeepalive(): undefined {
  return undefined;
}

/** About what Node holds for a request that has no answer. */
const HELD_OCTETS = 4096;
const CLOSING = "the connection is closing, ask again on another one";
/** A client that was told to go may close first; then it ends. */
const LEAVE_GRACE_MS = 50;
/** A client that goes on asking at the end of its time is still answered for so long. */
const LEAVE_MS_MAX = 5_000;
/** However impatient the server is, a body gets the time for some round trips. */
const MESSAGE_MS_MIN = 200;
/** With less patience than this left clients are told to go, as keepalive 0 does elsewhere. */
const IDLE_MS_MIN = 100;
