/** What is remembered of a backend over TCP or TLS from one connection to the next: tickets, failures, how many queries one takes, and in which order it answers. */
import type { DnsError } from "@sotto/dns/runtime";
import type { SessionTicket } from "@sotto/dns/transport";
import { BackOff } from "./back-off.ts";

/** How a connection ended on which queries waited. */
export type EarlyEnd =
  /** It answered some that were sent later or at the same time. */
  | "passed over"
  /** It answered some and then nothing at all. */
  | "silent"
  /** It answered nothing. */
  | "broken";

interface Lesson {
  readonly queriesMax: number;
  readonly untilMs: number;
  readonly forMs: number;
}

/** See the head of this file. Times are `Clock.nowMs` but for tickets. */
export class StreamMemory {
  readonly backOff = new BackOff();
  /** It has given an answer before that of an earlier query on the same connection: what is slow holds up nobody (RFC 7766 §6.2.1.1). */
  overtakes = false;
  readonly #tickets: SessionTicket[] = [];
  #lesson: Lesson | undefined = undefined;
  /** The latest early end that proves nothing alone. */
  #suspicion: { readonly queriesMax: number; readonly end: EarlyEnd } | undefined = undefined;

  noteConnectFailure(problem: DnsError, nowMs: number): void {
    this.backOff.noteFailure(problem, nowMs);
    // Who comes back may be another program.
    this.overtakes = false;
  }

  noteTicket(ticket: SessionTicket): void {
    this.#tickets.push(ticket);
    if (this.#tickets.length > TICKETS_MAX) this.#tickets.shift();
  }

  /** The latest whose proof still counts; used once (RFC 8446 Appendix C.4). */
  takeTicket(wallMs: number): SessionTicket | undefined {
    for (let ticket = this.#tickets.pop(); ticket !== undefined; ticket = this.#tickets.pop())
      if (wallMs < ticket.untilWallMs) return ticket;
    return undefined;
  }

  /** Queries that a connection gets. */
  queriesMax(nowMs: number): number {
    const lesson = this.#lesson;
    return lesson === undefined || nowMs >= lesson.untilMs ? Number.POSITIVE_INFINITY : lesson.queriesMax;
  }

  /** A connection ended early after `served` replies. */
  noteEarlyEnd(end: EarlyEnd, served: number, nowMs: number): void {
    const queriesMax = Math.max(1, served);
    // Who restarts closes after any number, and who is stopped falls silent: only a small one, or the same twice, is a habit.
    const isPlain = end === "passed over" && served <= FEW;
    const isRepeated = this.#suspicion?.end === end && this.#suspicion.queriesMax === queriesMax;
    this.#suspicion = { queriesMax, end };
    if (!isPlain && !(isRepeated && served <= REPEATED_MAX)) return;
    const before = this.#lesson;
    if (before !== undefined && nowMs < before.untilMs) {
      // From connections that were older than the lesson.
      this.#lesson = { ...before, queriesMax: Math.min(before.queriesMax, queriesMax) };
      return;
    }
    const isAgain = before !== undefined && nowMs < before.untilMs + before.forMs;
    const forMs = isAgain ? Math.min(before.forMs * 2, LESSON_MS_MAX) : LESSON_MS;
    this.#lesson = { queriesMax, untilMs: nowMs + forMs, forMs };
  }
}

/** Two per handshake, for some connections at once. */
const TICKETS_MAX = 8;
/** Replies after which closing is a habit and no accident. */
const FEW = 8;
/** More is no limit worth keeping to. */
const REPEATED_MAX = 1000;
/** Finding out again costs some queries a second connection. */
const LESSON_MS = 60_000;
const LESSON_MS_MAX = 600_000;
