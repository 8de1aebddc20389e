/**
 * One query over UDP, sent again with growing patience. What does not match is ignored: a forged reply must not end the wait
 * for the right one.
 */
import { DnsError, type Endpoint, type Runtime, type Timer } from "@sotto/dns/runtime";
import { EdnsOptionCode, HEADER_OCTETS, type MessageView, type Question, setUint16 } from "@sotto/dns/wire";
import type { CookieVerdict } from "./client-cookies.ts";
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
  /** Makes the message, once the source address is known, of octets that are nobody else's; its id is set here. */
  readonly octetsFrom: (local: Endpoint) => Uint8Array;
  /** Judges the cookie of a reply that matches otherwise (undefined: it has none). */
  readonly judgeCookie: (data: Uint8Array | undefined) => CookieVerdict;
  readonly question: Question;
  /** Spells the name in random case, which a reply must repeat (draft-vixie-dnsext-dns0x20). */
  readonly mixesCase: boolean;
  readonly server: Endpoint;
  /** The query is added to it, and removed when it is over. */
  readonly socket: UdpSocket;
  readonly deadlineMs: number;
  /** Calls back when the query is given up, at once when it already was; gives the way to take that back. */
  readonly onGiveUp: (giveUp: () => void) => () => void;
  readonly timing: UdpTiming;
}

/** A datagram that matches the query. */
export interface UdpReply {
  readonly octets: Uint8Array;
  /** Octets of the query. */
  readonly queryOctets: number;
  readonly rcode: number;
  /** Undefined when the reply can be read; otherwise why not, and then it is truncated. */
  readonly problem: string | undefined;
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

/** Sends the query and waits for its reply; rejects with a `DnsError`. */
export function exchangeOverUdp(query: UdpQuery, runtime: Runtime): Promise<UdpReply> {
  return new UdpExchange(query, runtime).run();
}

/** Why a reply that matches is not believed. */
interface Doubts {
  readonly lacksCookie: boolean;
  readonly hasOtherCase: boolean;
}

class UdpExchange implements UdpWaiter {
  readonly #query: UdpQuery;
  readonly #runtime: Runtime;
  #octets: Uint8Array = NO_OCTETS;
  readonly #id: number;
  readonly #outcome = Promise.withResolvers<UdpReply>();
  #timer: Timer | undefined = undefined;
  #isDone = false;
  #sends = 0;
  #firstSentAtMs = 0;
  #sentAtMs = 0;
  #isAwaitingCookie = false;

  constructor(query: UdpQuery, runtime: Runtime) {
    this.#query = query;
    this.#runtime = runtime;
    this.#id = query.socket.add(this);
  }

  async run(): Promise<UdpReply> {
    const { onGiveUp, socket } = this.#query;
    const forget = onGiveUp(() =>
      this.fail(new DnsError("ERR_ABORTED", "the query was given up", { stage: "query" })),
    );
    try {
      if (socket.local !== undefined) this.start(socket.local);
      return await this.#outcome.promise;
    } finally {
      this.#timer?.cancel();
      forget();
      const closing = socket.remove(this.#id);
      if (closing !== undefined) await closing;
    }
  }

  start(local: Endpoint): void {
    if (this.#isDone) return;
    this.#octets = this.#query.octetsFrom(local);
    setUint16(this.#octets, 0, this.#id);
    if (this.#query.mixesCase) this.#mixCase();
    this.#send();
  }

  #send(): void {
    const { clock } = this.#runtime;
    const { deadlineMs, timing, socket } = this.#query;
    const nowMs = clock.nowMs();
    if (this.#sends === 0) this.#firstSentAtMs = nowMs;
    this.#sends++;
    this.#sentAtMs = nowMs;
    socket.send(this.#octets);
    if (this.#isDone) return;
    const leftMs = deadlineMs - nowMs;
    const patienceMs = timing.firstPatienceMs * 2 ** (this.#sends - 1);
    const isLast = this.#sends >= timing.sendsMax || patienceMs >= leftMs;
    this.#timer = clock.startTimer("udp exchange", Math.max(0, isLast ? leftMs : patienceMs), () =>
      isLast ? this.#timeOut() : this.#send(),
    );
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
    if (lacksCookie || hasOtherCase) this.#awaitBetter(octets.slice(), { lacksCookie, hasOtherCase });
    else this.#finish(octets.slice(), { lacksCookie, hasOtherCase });
    return true;
  }

  /** RFC 4343: case means nothing to servers, and nearly all repeat the question as it came. */
  #mixCase(): void {
    const octets = this.#octets;
    const { question } = this.#query;
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

  #hasSentCase(view: MessageView): boolean {
    if (!this.#query.mixesCase || view.questionCount === 0) return true;
    const end = HEADER_OCTETS + this.#query.question.name.wire.length;
    for (let at = HEADER_OCTETS; at < end; at++) if (view.octets[at] !== this.#octets[at]) return false;
    return true;
  }

  /** Waits a little for a better reply, which is on its way if this one is forged. */
  #awaitBetter(octets: Uint8Array, doubts: Doubts): void {
    if (this.#isAwaitingCookie) return;
    this.#isAwaitingCookie = true;
    this.#timer?.cancel();
    const leftMs = Math.max(0, this.#query.deadlineMs - this.#runtime.clock.nowMs());
    const patienceMs = Math.min(COOKIE_PATIENCE_MS, leftMs);
    this.#timer = this.#runtime.clock.startTimer("udp exchange", patienceMs, () => {
      this.#finish(octets, doubts);
    });
  }

  #finish(octets: Uint8Array, { lacksCookie, hasOtherCase }: Doubts): void {
    const { view } = this.#query.socket;
    // Compression pointers lead to the question, so its own spelling brings back that of all other names.
    if (this.#query.mixesCase && (octets[4] !== 0 || octets[5] !== 0))
      octets.set(this.#query.question.name.wire, HEADER_OCTETS);
    const problem = view.reset(octets);
    this.#isDone = true;
    this.#outcome.resolve({
      octets,
      queryOctets: this.#octets.length,
      rcode: view.rcode,
      problem,
      isTruncated: view.isTruncated,
      lacksCookie,
      hasOtherCase,
      inAllMs: this.#runtime.clock.nowMs() - this.#firstSentAtMs,
      exchangeMs: this.#runtime.clock.nowMs() - this.#sentAtMs,
    });
  }

  /**
   * Source, id and question (RFC 5452 §9.1). Without a question only an error can be meant: servers that cannot read
   * ours answer so. A truncated reply may be cut anywhere after its question.
   */
  #isReply(view: MessageView, from: Endpoint, problem: string | undefined): boolean {
    const { server, question } = this.#query;
    if (from.port !== server.port || view.octets.length < 12) return false;
    if (view.id !== this.#id || !view.isResponse || view.opcode !== 0) return false;
    if (problem !== undefined && !view.isTruncated) return false;
    if (view.questionCount === 0)
      return problem === undefined && ERRORS_WITHOUT_QUESTION.has(view.flags & 0xf);
    return hasQuestion(view, question);
  }

  /** Errors without a question and truncated replies that are cut before their OPT record have no place for one. */
  #judgeCookie(view: MessageView, problem: string | undefined): CookieVerdict {
    if (problem !== undefined || view.questionCount === 0) return "good";
    return this.#query.judgeCookie(view.optionData(EdnsOptionCode.Cookie));
  }

  #timeOut(): void {
    const { server, socket } = this.#query;
    const wrong = socket.wrongReplies === 0 ? "" : `, but ${socket.wrongReplies} datagrams that do not match`;
    this.fail(
      new DnsError("ERR_TIMEOUT", `no reply from ${server.address} port ${server.port} over UDP${wrong}`, {
        stage: "query",
      }),
    );
  }

  fail(problem: Error): void {
    if (this.#isDone) return;
    this.#isDone = true;
    const { server } = this.#query;
    this.#outcome.reject(
      DnsError.is(problem)
        ? problem
        : new DnsError("ERR_SYSTEM", `UDP to ${server.address} failed: ${problem.message}`, {
            cause: problem,
            stage: "query",
          }),
    );
  }
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
