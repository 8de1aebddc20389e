/**
 * One query over UDP, sent again with growing patience. What does not match is ignored: a forged reply must not end the wait
 * for the right one.
 */
import { DnsError, type Endpoint, type Runtime, type SharedTimer } from "@sotto/dns/runtime";
import { EdnsOptionCode, HEADER_OCTETS, type MessageView, setUint16 } from "@sotto/dns/wire";
import type { ClientCookies, CookieVerdict } from "./client-cookies.ts";
import { buildQuery, type ExchangeRequest } from "./exchange-request.ts";
import { hasQuestion } from "./reply-match.ts";
import type { UdpSocket, UdpWaiter } from "./udp-socket.ts";

/** How often and when a query is sent again. */
export interface UdpTiming {
  /** Milliseconds until the second sending; doubles each time. */
  readonly firstPatienceMs: number;
  /** Sendings in all. */
  readonly sendsMax: number;
}

export interface UdpQuery {
  readonly request: ExchangeRequest;
  /** Asks with a cookie, and judges that of the reply; undefined: without. */
  readonly cookies: ClientCookies | undefined;
  /** The server, as cookies know it. */
  readonly place: string;
  /** Spells the name in random case, which a reply must repeat (draft-vixie-dnsext-dns0x20). */
  readonly mixesCase: boolean;
  /** The query is added to it, and removed when it is over. */
  readonly socket: UdpSocket;
  readonly firstPatienceMs: number;
  readonly sendsMax: number;
  /** Of all exchanges; it calls {@link UdpExchange.endDue}. */
  readonly timer: SharedTimer;
  /** Called once, with a reply whose octets may be valid only during the call, or with why there is none. */
  readonly onEnd: (outcome: UdpReply | Error, exchange: UdpExchange) => void;
}

/** A datagram that matches the query. */
export interface UdpReply {
  readonly octets: Uint8Array;
  /** They are nobody else's and stay. */
  readonly isOwn: boolean;
  /** Octets of the query. */
  readonly queryOctets: number;
  readonly rcode: number;
  readonly isTruncated: boolean;
  /** It has no cookie although the server gave some before: it is not to be believed, and TCP tells. */
  readonly lacksCookie: boolean;
  /** It spells the name otherwise than the query did: TCP tells, too. */
  readonly hasOtherCase: boolean;
  /** Milliseconds from the first sending. */
  readonly inAllMs: number;
  /** Milliseconds from the last sending. */
  readonly exchangeMs: number;
}

/** Sends the query, from {@link begin} on, until there is a reply, no time is left, or it {@link fail}s. */
export class UdpExchange implements UdpWaiter {
  /** Where `UnderWay` has it. */
  index = 0;
  /** The query's own end, once the socket is open. */
  localAddress = "";
  readonly #query: UdpQuery;
  readonly #runtime: Runtime;
  #octets: Uint8Array = NO_OCTETS;
  readonly #id: number;
  /** When to act next, monotonic milliseconds. */
  #dueMs = Number.POSITIVE_INFINITY;
  #isLastSend = false;
  #isDone = false;
  #sends = 0;
  #firstSentAtMs = 0;
  #sentAtMs = 0;
  /** One that is not quite believed, while a better one is waited for. */
  #doubtful: UdpReply | undefined = undefined;

  constructor(query: UdpQuery, runtime: Runtime) {
    this.#query = query;
    this.#runtime = runtime;
    this.#id = query.socket.add(this);
  }

  begin(): void {
    const { request, socket } = this.#query;
    if (request.signal?.aborted === true) {
      this.giveUp();
      return;
    }
    request.signal?.addEventListener("abort", this.giveUp);
    if (socket.local !== undefined) this.start(socket.local);
  }

  readonly giveUp = (): void => {
    this.fail(new DnsError("ERR_ABORTED", "the query was given up", { stage: "query" }));
  };

  start(local: Endpoint): void {
    if (this.#isDone) return;
    const { request, cookies, place, mixesCase } = this.#query;
    this.localAddress = local.address;
    this.#octets = buildQuery(request, "udp", cookies?.optionFor(place, local.address)).octets;
    setUint16(this.#octets, 0, this.#id);
    if (mixesCase) this.#mixCase();
    this.#send();
  }

  #send(): void {
    const { clock } = this.#runtime;
    const { request, firstPatienceMs, sendsMax, socket } = this.#query;
    const nowMs = clock.nowMs();
    if (this.#sends === 0) this.#firstSentAtMs = nowMs;
    this.#sends++;
    this.#sentAtMs = nowMs;
    socket.send(this.#octets);
    if (this.#isDone) return;
    const leftMs = request.deadlineMs - nowMs;
    const patienceMs = firstPatienceMs * 2 ** (this.#sends - 1);
    this.#isLastSend = this.#sends >= sendsMax || patienceMs >= leftMs;
    this.#wait(this.#isLastSend ? leftMs : patienceMs, nowMs);
  }

  #wait(delayMs: number, nowMs: number): void {
    this.#dueMs = nowMs + Math.max(0, delayMs);
    this.#query.timer.expect(this.#dueMs);
  }

  /** Does what is due; gives when something is next. */
  endDue(nowMs: number): number {
    if (this.#isDone) return Number.POSITIVE_INFINITY;
    if (this.#dueMs <= nowMs) {
      if (this.#doubtful !== undefined) this.#end(this.#doubtful);
      else if (this.#isLastSend) this.#timeOut();
      else this.#send();
    }
    return this.#isDone ? Number.POSITIVE_INFINITY : this.#dueMs;
  }

  receive(octets: Uint8Array, from: Endpoint): boolean {
    if (this.#isDone) return true;
    const { view } = this.#query.socket;
    const problem = view.reset(octets);
    if (!this.#isReply(view, from, problem)) return false;
    const cookie = this.#judgeCookie(view, problem);
    if (cookie === "wrong") return false;
    const lacksCookie = cookie === "missing";
    const hasOtherCase = !this.#hasSentCase(view);
    const nowMs = this.#runtime.clock.nowMs();
    const reply = {
      octets: this.#query.mixesCase ? this.#respelled(octets, view) : octets,
      isOwn: this.#query.mixesCase,
      queryOctets: this.#octets.length,
      rcode: view.rcode,
      isTruncated: view.isTruncated,
      lacksCookie,
      hasOtherCase,
      inAllMs: nowMs - this.#firstSentAtMs,
      exchangeMs: nowMs - this.#sentAtMs,
    };
    if (lacksCookie || hasOtherCase) this.#awaitBetter(reply);
    else this.#end(reply);
    return true;
  }

  /** RFC 4343: case means nothing to servers, and nearly all repeat the question as it came. */
  #mixCase(): void {
    const octets = this.#octets;
    const { question } = this.#query.request;
    const end = HEADER_OCTETS + question.name.wire.length;
    let bits = 0;
    for (let at = HEADER_OCTETS, left = 0; at < end; at++) {
      const octet = octets[at] ?? 0;
      // Letters and lengths do not overlap: a label has at most 63 octets.
      if (octet < 0x41 || !((octet | 0x20) >= 0x61 && (octet | 0x20) <= 0x7a)) continue;
      if (left-- === 0) {
        bits = this.#runtime.random.uint16();
        left = 15;
      }
      if ((bits & 1) === 1) octets[at] = octet ^ 0x20;
      bits >>>= 1;
    }
  }

  /** Compression pointers lead to the question, so its own spelling brings back that of all other names. */
  #respelled(octets: Uint8Array, { questionCount }: MessageView): Uint8Array {
    const own = octets.slice();
    if (questionCount > 0) own.set(this.#query.request.question.name.wire, HEADER_OCTETS);
    return own;
  }

  #hasSentCase(view: MessageView): boolean {
    if (!this.#query.mixesCase || view.questionCount === 0) return true;
    const end = HEADER_OCTETS + this.#query.request.question.name.wire.length;
    for (let at = HEADER_OCTETS; at < end; at++) if (view.octets[at] !== this.#octets[at]) return false;
    return true;
  }

  /** Waits a little for a better reply, which is on its way if this one is forged. What is in this one does not count. */
  #awaitBetter(reply: UdpReply): void {
    if (this.#doubtful !== undefined) return;
    this.#doubtful = { ...reply, octets: NO_OCTETS };
    const nowMs = this.#runtime.clock.nowMs();
    this.#wait(Math.min(COOKIE_PATIENCE_MS, this.#query.request.deadlineMs - nowMs), nowMs);
  }

  /** Where the socket ends with the query, the outcome is told when it is closed. */
  #end(outcome: UdpReply | Error): void {
    const { request, socket, onEnd } = this.#query;
    this.#isDone = true;
    request.signal?.removeEventListener("abort", this.giveUp);
    const closing = socket.remove(this.#id);
    if (closing === undefined) onEnd(outcome, this);
    else void this.#endAfter(closing, outcome);
  }

  async #endAfter(closing: Promise<void>, outcome: UdpReply | Error): Promise<void> {
    const { onEnd } = this.#query;
    const lasting = outcome instanceof Error || outcome.isOwn ? outcome : owned(outcome);
    try {
      await closing;
    } catch (problem) {
      onEnd(problem instanceof Error ? problem : new Error(String(problem)), this);
      return;
    }
    onEnd(lasting, this);
  }

  /**
   * Source, id and question (RFC 5452 §9.1). Without a question only an error can be meant: servers that cannot read
   * ours answer so. A truncated reply may be cut anywhere after its question.
   */
  #isReply(view: MessageView, from: Endpoint, problem: string | undefined): boolean {
    const { server, question } = this.#query.request;
    if (from.port !== server.port || view.octets.length < 12) return false;
    if (view.id !== this.#id || !view.isResponse || view.opcode !== 0) return false;
    if (problem !== undefined && !view.isTruncated) return false;
    if (view.questionCount === 0)
      return problem === undefined && ERRORS_WITHOUT_QUESTION.has(view.flags & 0xf);
    return hasQuestion(view, question);
  }

  /** Errors without a question and truncated replies that are cut before their OPT record have no place for one. */
  #judgeCookie(view: MessageView, problem: string | undefined): CookieVerdict {
    const { cookies, place } = this.#query;
    if (cookies === undefined || problem !== undefined || view.questionCount === 0) return "good";
    return cookies.judge(place, this.localAddress, view.optionData(EdnsOptionCode.Cookie));
  }

  #timeOut(): void {
    const { request, socket } = this.#query;
    const { server } = request;
    const wrong = socket.wrongReplies === 0 ? "" : `, but ${socket.wrongReplies} datagrams that do not match`;
    this.fail(
      new DnsError("ERR_TIMEOUT", `no reply from ${server.address} port ${server.port} over UDP${wrong}`, {
        stage: "query",
      }),
    );
  }

  fail(problem: Error): void {
    if (this.#isDone) return;
    const { server } = this.#query.request;
    this.#end(
      DnsError.is(problem)
        ? problem
        : new DnsError("ERR_SYSTEM", `UDP to ${server.address} failed: ${problem.message}`, {
            cause: problem,
            stage: "query",
          }),
    );
  }
}

function owned(reply: UdpReply): UdpReply {
  return { ...reply, octets: reply.octets.slice(), isOwn: true };
}

const NO_OCTETS = new Uint8Array(0);
/** FORMERR, SERVFAIL, NOTIMP, REFUSED: what a server says that did not get as far as the question. */
const ERRORS_WITHOUT_QUESTION: ReadonlySet<number> = new Set([1, 2, 4, 5]);
/** Much longer than it takes to race a forged datagram, and less than a person notices. */
const COOKIE_PATIENCE_MS = 200;

/**
 * 1 s, then 2 s: above the round trip to nearly every server, and two losses still fit into the five seconds that
 * clients wait. Servers whose round trips are known get less (`RoundTrips`).
 */
export const UDP_TIMING_DEFAULT: UdpTiming = { firstPatienceMs: 1000, sendsMax: 3 };
