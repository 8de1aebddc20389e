/** A question for the upstreams, as work that several may wait for, and what becomes of a reply. */
import type { StopSignal } from "@sotto/dns/runtime";
import type { Reply, SecurityStatus, UpstreamPool } from "@sotto/dns/transport";
import type { Message } from "@sotto/dns/wire";
import type { AnswerCache } from "./answer-cache.ts";
import { answerOf } from "./answer-of.ts";
import type { FlightWork } from "./flights.ts";
import { queryOf } from "./internal-query.ts";
import type { QuestionKey } from "./question-key.ts";
import type { StubAnswer } from "./stub-answer.ts";

/** Who answers. */
export interface Answerers {
  readonly pool: UpstreamPool;
  /** Where answers are kept; undefined: nowhere. */
  readonly cache: AnswerCache | undefined;
}

/** Asks and keeps the answer, which nobody has judged. */
export class Asking implements FlightWork<Reply, StubAnswer> {
  readonly deadlineMs: number;
  readonly signal: StopSignal | undefined;
  readonly #key: QuestionKey;
  readonly #answerers: Answerers;

  constructor(key: QuestionKey, answerers: Answerers, deadlineMs: number, signal: StopSignal | undefined) {
    this.#key = key;
    this.#answerers = answerers;
    this.deadlineMs = deadlineMs;
    this.signal = signal;
  }

  get what(): string {
    return whatOf(this.#key, this.#answerers);
  }

  run(signal: StopSignal, deadlineMs: number): Promise<Reply> {
    const { name, type, dnssecOk, checkingDisabled } = this.#key;
    return this.#answerers.pool.respond(queryOf(name, type, dnssecOk, checkingDisabled), {
      signal,
      deadlineMs,
    });
  }

  finish(reply: Reply): StubAnswer {
    const answer = toAnswer(reply, this.#key, reply.message, "indeterminate");
    this.#answerers.cache?.store(this.#key.text, this.#key.name, answer);
    return answer;
  }
}

/** For errors. */
export function whatOf({ name }: Pick<QuestionKey, "name">, { pool }: Answerers): string {
  return `${name} at ${pool.standings().length === 1 ? "the upstream" : "any upstream"}`;
}

/** The records of a reply, and all that is known about where they come from. */
export function toAnswer(
  { protection, extendedErrors, exchange }: Reply,
  { name, type }: Pick<QuestionKey, "name" | "type">,
  message: Message,
  security: SecurityStatus,
): StubAnswer {
  const { records, canonicalName, ttlSeconds } = answerOf(message, name, type);
  return {
    message,
    records,
    canonicalName,
    security,
    protection,
    authenticatedBy: exchange?.authenticatedBy,
    extendedErrors,
    ttlSeconds,
    isFromCache: false,
    exchange,
  };
}
