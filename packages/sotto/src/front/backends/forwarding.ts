/**
 * The way of one query through a pool: which backends are asked one after the other or at once, until there is a good answer, the
 * tries are used up, or no time is left. The first good answer wins and is settled; what comes later is ignored.
 */
import { DnsError } from "@sotto/dns/runtime";
import { uint16At } from "@sotto/dns/wire";
import { Attempt, type AttemptOwner, type FailureKind } from "./attempt.ts";
import type { Backend } from "./backend.ts";
import type { ForwardOutcome, ForwardQuery } from "./forward-query.ts";

/** The pool. */
export interface ForwardingHost {
  readonly name: string;
  /** Backends that are asked after the first one. */
  readonly retries: number;
  /** How long a try is waited for before another backend is asked as well, milliseconds. */
  readonly patienceMs: number;
  /** A backend that was not tried yet; with `mayRepeat` any, and also one that is down, when there is no better. */
  pick(forwarding: Forwarding, nowMs: number, mayRepeat: boolean): Backend | undefined;
  /** All backends are out of use by command: nobody will be there soon. */
  readonly isDrained: boolean;
  /** For people: why {@link pick} found nobody. */
  readonly whyNobody: string;
  isRetryRcode(rcode: number): boolean;
  /** True, and counted, when one more query may be asked again for being slow. */
  spendRetry(): boolean;
  noteReply(tookMs: number): void;
  /** It is looked at then; monotonic milliseconds. */
  expect(dueMs: number): void;
  /** The query is over. */
  remove(forwarding: Forwarding): void;
}

interface Fallback {
  readonly octets: Uint8Array;
  readonly backend: string;
}

export class Forwarding implements AttemptOwner {
  readonly query: ForwardQuery;
  /** Of the question; for the pool. */
  readonly hash: number;
  /** Where the pool has it. */
  index = -1;
  /** When to look at it, monotonic milliseconds. */
  dueMs = 0;
  readonly #host: ForwardingHost;
  readonly #startedAtMs: number;
  readonly #attempts: Attempt[] = [];
  #outstanding = 0;
  #isDone = false;
  /** A reply such as SERVFAIL, in case that nobody has a better one. */
  #fallback: Fallback | undefined = undefined;
  #latestProblem: DnsError | undefined = undefined;

  constructor(query: ForwardQuery, hash: number, host: ForwardingHost, nowMs: number) {
    this.query = query;
    this.hash = hash;
    this.#host = host;
    this.#startedAtMs = nowMs;
  }

  begin(nowMs: number): void {
    this.#goOn(nowMs);
  }

  wasTried(backend: Backend): boolean {
    for (const { carrier } of this.#attempts) if (carrier === backend) return true;
    return false;
  }

  get #tries(): number {
    return this.#attempts.length;
  }

  get #mayTry(): boolean {
    return this.#attempts.length <= this.#host.retries;
  }

  /** Something failed, or nothing was tried yet: the next backend, or the same one, or later, or the end. */
  #goOn(nowMs: number): void {
    if (nowMs >= this.query.deadlineMs || !this.#mayTry) {
      if (this.#outstanding === 0) this.#giveUp(nowMs);
      return;
    }
    // A try that is still outstanding is better than asking the same backend twice.
    for (let left = TRIES_AT_ONCE_MAX; left > 0; left--) {
      const backend = this.#host.pick(this, nowMs, this.#outstanding === 0);
      if (backend === undefined) break;
      if (this.#submit(backend, nowMs)) return;
    }
    if (this.#outstanding > 0 || this.#isDone) return;
    if (this.#host.isDrained) {
      this.#giveUp(nowMs);
      return;
    }
    // Nobody can be asked now: perhaps soon.
    this.#wait(nowMs + PARK_MS);
  }

  /** False when the backend did not even take it. */
  #submit(backend: Backend, nowMs: number): boolean {
    const attempt = new Attempt(this.query, this, backend);
    attempt.isPatient = this.wasTried(backend);
    if (this.#attempts.length > 0) backend.counters.retries++;
    this.#attempts.push(attempt);
    this.#outstanding++;
    const refusal = backend.submit(attempt, nowMs);
    if (refusal === undefined) {
      if (!this.#isDone)
        this.#wait(nowMs + (this.#mayTry ? this.#host.patienceMs : Number.POSITIVE_INFINITY));
      return true;
    }
    this.#attempts.pop();
    this.#outstanding--;
    this.#latestProblem =
      refusal === "busy" ? busy(backend.name) : (backend.connectProblem ?? busy(backend.name));
    return false;
  }

  #wait(untilMs: number): void {
    this.dueMs = Math.min(untilMs, this.query.deadlineMs);
    this.#host.expect(this.dueMs);
  }

  /** {@link dueMs} has come. */
  onDue(nowMs: number): void {
    if (nowMs >= this.query.deadlineMs) {
      this.#noteSlow(nowMs);
      if (!this.#isDone) this.#giveUp(nowMs);
      return;
    }
    if (this.#outstanding === 0) {
      this.#goOn(nowMs);
      return;
    }
    const triesBefore = this.#tries;
    this.#noteSlow(nowMs);
    // What was slow may have taken its backend down, and this query elsewhere.
    if (this.#isDone || this.#tries !== triesBefore) return;
    this.#wait(nowMs + this.#host.patienceMs);
    if (!this.#mayTry) return;
    const backend = this.#host.pick(this, nowMs, false);
    if (backend !== undefined && this.#host.spendRetry()) this.#submit(backend, nowMs);
  }

  #noteSlow(nowMs: number): void {
    const latest = this.#attempts[this.#attempts.length - 1];
    if (latest === undefined || latest.isSlow || !latest.isAwaited) return;
    latest.isSlow = true;
    latest.problem = "no reply in time";
    // Who waits in the queue has not been asked yet.
    if (latest.index >= 0) latest.carrier.noteSlow(nowMs);
  }

  replied(attempt: Attempt, octets: Uint8Array, nowMs: number): void {
    this.#outstanding--;
    if (this.#isDone) return;
    if (uint16At(octets, QUESTION_COUNT_AT) !== 1) {
      this.#notUsable(attempt, "a reply without the question");
      this.#goOn(nowMs);
      return;
    }
    const { name } = attempt.carrier;
    if (!this.#host.isRetryRcode((octets[3] ?? 0) & 0xf)) {
      const why = this.query.refuses?.(octets, name);
      if (why !== undefined) {
        this.#notUsable(attempt, why);
        this.#askElsewhere(nowMs);
        return;
      }
      this.#host.noteReply(nowMs - attempt.startedAtMs);
      this.#finish({
        kind: "reply",
        octets,
        backend: name,
        tookMs: nowMs - this.#startedAtMs,
        tries: this.#tries,
      });
      return;
    }
    this.#fallback ??= { octets: octets.slice(), backend: name };
    this.#askElsewhere(nowMs);
  }

  #notUsable(attempt: Attempt, why: string): void {
    attempt.problem = why;
    this.#latestProblem = new DnsError("ERR_REPLY_UNUSABLE", `backend ${attempt.carrier.name}: ${why}`, {
      stage: "query",
    });
  }

  /** There was a reply, and a better one is wanted: what clients can bring about, so that it is counted. */
  #askElsewhere(nowMs: number): void {
    const next =
      this.#mayTry && nowMs < this.query.deadlineMs ? this.#host.pick(this, nowMs, false) : undefined;
    if (next !== undefined && this.#host.spendRetry() && this.#submit(next, nowMs)) return;
    if (this.#outstanding === 0) this.#giveUp(nowMs);
  }

  failed(attempt: Attempt, kind: FailureKind, problem: DnsError, nowMs: number): void {
    this.#outstanding--;
    attempt.problem = FAILURE_WORDS[kind];
    this.#latestProblem = problem;
    // A connection that does not come about is no try, or the restart of a server would use them all up.
    if (!attempt.wasSent) this.#attempts.splice(this.#attempts.indexOf(attempt), 1);
    if (!this.#isDone) this.#goOn(nowMs);
  }

  /** The pool is closed. */
  abandon(nowMs: number): void {
    this.#latestProblem = new DnsError("ERR_CLOSED", `pool ${this.#host.name} is closed`, { stage: "query" });
    this.#fallback = undefined;
    this.#giveUp(nowMs);
  }

  #giveUp(nowMs: number): void {
    const tries = this.#tries;
    const fallback = this.#fallback;
    if (fallback !== undefined)
      this.#finish({ kind: "reply", ...fallback, tookMs: nowMs - this.#startedAtMs, tries });
    else this.#finish({ kind: "failed", problem: this.#wholeProblem(), tries });
  }

  #wholeProblem(): DnsError {
    const { name } = this.#host;
    const latest = this.#latestProblem;
    if (this.#attempts.length === 0)
      return new DnsError(
        latest?.code ?? "ERR_NO_REACHABLE_AUTHORITY",
        `pool ${name}: no backend can be asked now: ${latest?.message ?? this.#host.whyNobody}`,
        {
          stage: "query",
          cause: latest,
        },
      );
    const tried = this.#attempts
      .map((attempt) => `${attempt.carrier.name} (${attempt.problem || "no reply in time"})`)
      .join(", ");
    const { question } = this.query;
    return new DnsError(
      latest?.code ?? "ERR_TIMEOUT",
      `pool ${name}: no backend answered ${question.name.toString()} type ${question.type}; asked were ${tried}`,
      { stage: "query", cause: latest },
    );
  }

  #finish(outcome: ForwardOutcome): void {
    this.#isDone = true;
    for (const attempt of this.#attempts) attempt.isAwaited = false;
    this.#host.remove(this);
    this.query.settle(outcome);
  }
}

function busy(backend: string): DnsError {
  return new DnsError("ERR_QUOTA_EXCEEDED", `backend ${backend}: too many queries wait for it`, {
    stage: "query",
  });
}

const FAILURE_WORDS: Readonly<Record<FailureKind, string>> = {
  timeout: "no reply in time",
  connection: "no connection, or it ended",
  malformed: "a reply that cannot be read",
  down: "it went down",
  busy: "too many queries wait",
};
/** Offset of QDCOUNT. */
const QUESTION_COUNT_AT = 4;
/** Backends that refuse at once, one after the other. */
const TRIES_AT_ONCE_MAX = 4;
/** A server that restarts is back within some tenths of a second. */
const PARK_MS = 100;
