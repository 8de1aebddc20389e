/**
 * The server as listeners see it: octets in, octets out. A query that the cache can answer is answered in the call,
 * without a promise, a decoded record or an object; all others go through the pipeline. Every message has exactly one
 * outcome, which is counted.
 */
import type { MessageCache } from "@sotto/dns/cache";
import { DnsError, type Runtime, SharedWaits, type Wait } from "@sotto/dns/runtime";
import type { MessageHandler, Query, QueryChannel, Reply, Responder } from "@sotto/dns/transport";
import {
  EdeCode,
  type ExtendedError,
  encodeMessage,
  MessageView,
  makeMessage,
  OctetWriter,
  Rcode,
} from "@sotto/dns/wire";
import { authoritiesOf, cacheLifeSeconds } from "./cache-policy.ts";
import { FastPath } from "./fast-path.ts";
import { bareResponse, finishedResponse } from "./finish-response.ts";
import type { OutcomeCounters } from "./outcome-counters.ts";
import { PipelineContext } from "./pipeline-context.ts";
import { OPEN, QueryGate, type QueryGateOptions } from "./query-gate.ts";

export interface QueryServiceOptions extends QueryGateOptions {
  /** The pipeline. */
  readonly responder: Responder;
  /** Undefined: nothing is cached here. */
  readonly cache: MessageCache | undefined;
  /** Questions whose answers are neither taken from the cache nor kept, as it is at that moment. Absent: none. */
  readonly bypassesCache?: ((view: MessageView) => boolean) | undefined;
  /** Longest time for one query; after it the client gets SERVFAIL. Default {@link DEADLINE_MS_DEFAULT}. */
  readonly deadlineMs?: number | undefined;
  /** Renews cached answers that are asked for in the last tenth of their life. Default true. */
  readonly prefetch?: boolean | undefined;
  /** Queries in the pipeline at once; more are answered SERVFAIL at once. Default {@link PENDING_MAX_DEFAULT}. */
  readonly pendingMax?: number | undefined;
}

/** Clients wait five seconds and ask again (RFC 1035 §7.2, resolv.conf): the second try can still profit. */
const DEADLINE_MS_DEFAULT = 8000;
/** Ten thousand queries that each take a few seconds are more than one core can resolve, and a few dozen megabytes. */
const PENDING_MAX_DEFAULT = 10_000;
/** The pipeline keeps the deadline itself, with better reasons; this much later the service answers in its place. */
const DEADLINE_GRACE_MS = 500;

/** Answers messages of all listeners. */
export class QueryService implements MessageHandler {
  readonly #gate: QueryGate;
  readonly #responder: Responder;
  readonly #cache: MessageCache | undefined;
  readonly #fastPath: FastPath | undefined;
  readonly #bypassesCache: ((view: MessageView) => boolean) | undefined;
  readonly #deadlineMs: number;
  readonly #pendingMax: number;
  readonly #prefetches: boolean;
  readonly #runtime: Runtime;
  readonly #view = new MessageView();
  readonly #writer = new OctetWriter(4096);
  /** Queries in the pipeline. */
  readonly #late: SharedWaits;
  #pending = 0;
  #whenIdle: (() => void)[] = [];

  constructor(options: QueryServiceOptions, runtime: Runtime) {
    this.#gate = new QueryGate(options, runtime.clock);
    this.#responder = options.responder;
    this.#cache = options.cache;
    this.#bypassesCache = options.bypassesCache;
    this.#fastPath =
      options.cache === undefined
        ? undefined
        : new FastPath(options.cache, runtime.clock, this.#gate.cookies);
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS_DEFAULT;
    this.#pendingMax = options.pendingMax ?? PENDING_MAX_DEFAULT;
    this.#prefetches = options.prefetch ?? true;
    this.#runtime = runtime;
    this.#late = new SharedWaits({ name: "query-deadline", isBackground: true }, runtime.clock);
  }

  /** What became of all messages so far. */
  get outcomes(): OutcomeCounters {
    return this.#gate.outcomes.counters;
  }

  /** Resolves when no query is in the pipeline. */
  idle(): Promise<void> {
    return this.#pending === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  answer(
    octets: Uint8Array,
    channel: QueryChannel,
  ): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const view = this.#view;
    try {
      const stopped = this.#gate.check(view, octets, channel);
      if (stopped !== OPEN) return stopped;
      const cached = this.#bypassesCache?.(view) === true ? undefined : this.#fastPath?.answer(view, channel);
      if (cached !== undefined) {
        if (this.#prefetches && this.#fastPath?.wasAging === true) this.#refresh(octets.slice());
        return this.#gate.count("answered from cache", channel, cached);
      }
      if (this.#pending >= this.#pendingMax)
        return this.#gate.refuse("failed", view, channel, Rcode.ServFail, TOO_BUSY);
    } catch (error) {
      return this.#bug("query service", error, view, channel);
    }
    return this.#throughPipeline(octets.slice(), channel);
  }

  /** Renews an answer behind the client's back, before it ends; what fails leaves the old one. */
  #refresh(octets: Uint8Array): void {
    if (this.#pending >= this.#pendingMax) return;
    const view = new MessageView();
    view.reset(octets);
    const context = new PipelineContext(this.#runtime.clock.nowMs() + this.#deadlineMs, true);
    this.#pending++;
    const origin = {
      transport: "internal",
      remote: undefined,
      local: undefined,
      security: undefined,
    } as const;
    this.#respond({ octets, view, origin }, context)
      .then((reply) => void this.#store(view, reply))
      .catch((error: unknown) => {
        if (!DnsError.is(error))
          this.#runtime.events.publish("server.bug", { where: "prefetch", error: String(error) });
      })
      .finally(() => this.#settle());
  }

  /** One query less is in the pipeline. */
  #settle(): void {
    this.#pending--;
    if (this.#pending === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Never rejects. `octets` are the query's own. */
  #throughPipeline(octets: Uint8Array, channel: QueryChannel): Promise<Uint8Array | undefined> {
    const view = new MessageView();
    view.reset(octets);
    const context = new PipelineContext(this.#runtime.clock.nowMs() + this.#deadlineMs);
    this.#pending++;
    return new Promise((resolve) => {
      const pending = new PendingQuery(context, () => {
        this.#settle();
        resolve(this.#gate.refuse("failed", view, channel, Rcode.ServFail, TOO_LATE));
      });
      const end = (answer: () => Uint8Array | undefined): void => {
        // Its time was up, and it has its answer.
        if (pending.waitIndex < 0) return;
        this.#late.remove(pending);
        this.#settle();
        resolve(answer());
      };
      this.#late.add(pending, this.#deadlineMs + DEADLINE_GRACE_MS);
      const query: Query = { octets, view, origin: channel.origin };
      this.#respond(query, context).then(
        (reply) => end(() => this.#finishOrFail(query, channel, reply)),
        (error: unknown) => end(() => this.#fail(view, channel, error)),
      );
    });
  }

  /** What is thrown in the call is like what comes of it later. */
  #respond(query: Query, context: PipelineContext): Promise<Reply> {
    try {
      return this.#responder.respond(query, context);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #finishOrFail(query: Query, channel: QueryChannel, reply: Reply): Uint8Array | undefined {
    try {
      return this.#finish(query, channel, reply);
    } catch (error) {
      return this.#fail(query.view, channel, error);
    }
  }

  #finish(query: Query, channel: QueryChannel, reply: Reply): Uint8Array {
    const { view } = query;
    const { base, rcode } = this.#store(view, reply);
    const answer = finishedResponse(base, view, channel, 0, reply.extendedErrors, this.#gate.cookies);
    const outcome = rcode === Rcode.ServFail ? "failed" : rcode === Rcode.Refused ? "refused" : "answered";
    return this.#gate.count(outcome, channel, answer);
  }

  /** The reply without OPT, kept in the cache when it may be. */
  #store(view: MessageView, reply: Reply): { readonly base: Uint8Array; readonly rcode: Rcode } {
    const { message } = reply;
    // Extended codes such as BADCOOKIE are between us and whoever said so (RFC 6891 §6.1.3).
    const rcode = message.rcode > 0xf ? Rcode.ServFail : message.rcode;
    const base = encodeMessage(
      makeMessage({
        isResponse: true,
        // What others say with authority we pass on without it (RFC 1034 §6.2.7).
        isAuthoritative: message.isAuthoritative && reply.protection === "local",
        authenticData: isAuthentic(reply),
        rcode,
        questions: [view.question],
        answers: message.answers,
        authorities: authoritiesOf(view, message),
        additionals: message.additionals,
      }),
      { writer: this.#writer },
    );
    const isKept = rcode === message.rcode && this.#bypassesCache?.(view) !== true;
    const lifeSeconds = isKept ? cacheLifeSeconds(view, reply) : 0;
    if (lifeSeconds > 0) this.#cache?.store(view, base, this.#runtime.clock.nowMs(), lifeSeconds);
    return { base, rcode };
  }

  /** What the world did to us is SERVFAIL with a reason; anything else is our mistake, and the process lives on. */
  #fail(view: MessageView, channel: QueryChannel, error: unknown): Uint8Array | undefined {
    if (!DnsError.is(error)) return this.#bug("pipeline", error, view, channel);
    const text = error.stage === undefined ? "" : `${error.stage} failed`;
    const reasons: readonly ExtendedError[] = [{ code: edeOf(error), text }];
    return this.#gate.refuse("failed", view, channel, Rcode.ServFail, reasons);
  }

  #bug(where: string, error: unknown, view: MessageView, channel: QueryChannel): Uint8Array | undefined {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#runtime.events.publish("server.bug", { where, error: text });
    this.#gate.count("bug", channel, undefined);
    try {
      return bareResponse(view, channel, Rcode.ServFail, BROKEN, this.#gate.cookies);
    } catch {
      // The same bug once more, already published and counted: no answer is all that is left.
      return undefined;
    }
  }
}

/** A query in the pipeline, until its time is up. */
class PendingQuery implements Wait {
  dueMs = 0;
  waitIndex = -1;
  readonly #context: PipelineContext;
  readonly #onLate: () => void;

  constructor(context: PipelineContext, onLate: () => void) {
    this.#context = context;
    this.#onLate = onLate;
  }

  onDue(): void {
    this.#context.abort();
    this.#onLate();
  }
}

/** RFC 4035 §4.9.3: another's word counts only when it came over a secure channel from a server that we chose. */
function isAuthentic(reply: Reply): boolean {
  return reply.security === "secure" || (reply.message.authenticData && reply.protection === "authenticated");
}

/** RFC 8914 §4.23 and §4.24: nobody could be asked, or what was asked did not come through. */
function edeOf(error: DnsError): EdeCode {
  return error.code === "ERR_NO_REACHABLE_AUTHORITY" ? EdeCode.NoReachableAuthority : EdeCode.NetworkError;
}

const TOO_BUSY: readonly ExtendedError[] = [{ code: EdeCode.NotReady, text: "too many queries are waiting" }];
const TOO_LATE: readonly ExtendedError[] = [
  { code: EdeCode.NoReachableAuthority, text: "no answer in time" },
];
const BROKEN: readonly ExtendedError[] = [{ code: EdeCode.Other, text: "internal error" }];
