/**
 * The server as listeners see it: octets in, octets out. A query that the cache can answer is answered in the call,
 * without a promise, a decoded record or an object; all others go through the pipeline. Every message has exactly one
 * outcome, which is counted.
 */
import type { MessageCache } from "@sotto/dns/cache";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import type { MessageHandler, Query, QueryChannel, Reply, Responder } from "@sotto/dns/transport";
import {
  EdeCode,
  type ExtendedError,
  encodeMessage,
  MessageView,
  makeMessage,
  OctetWriter,
  Rcode,
  tryViewMessage,
} from "@sotto/dns/wire";
import { acceptQuery } from "./accept-query.ts";
import { bareResponse, FINISH_BUFFER_OCTETS, finishResponse } from "./finish-response.ts";
import { AccessList, type AccessOptions } from "./middleware/access-list.ts";

/** What became of a message. */
export type QueryOutcome =
  | "answered from cache"
  | "answered"
  | "refused"
  | "malformed"
  | "dropped"
  | "servfail"
  | "bug";

export interface QueryServiceOptions {
  /** The pipeline. */
  readonly responder: Responder;
  readonly access: AccessOptions;
  /** Undefined: nothing is cached here. */
  readonly cache: MessageCache | undefined;
  /** Longest time for one query; after it the client gets SERVFAIL. */
  readonly deadlineMs: number;
  /** Queries in the pipeline at once; more are answered SERVFAIL at once. Default {@link PENDING_MAX_DEFAULT}. */
  readonly pendingMax?: number;
}

/** Ten thousand queries that each take a few seconds are more than one core can resolve, and a few dozen megabytes. */
const PENDING_MAX_DEFAULT = 10_000;

const NO_ERRORS: readonly ExtendedError[] = [];

/** Counts by outcome. */
export type OutcomeCounters = Record<QueryOutcome, number>;

/** Answers messages of all listeners. */
export class QueryService implements MessageHandler {
  readonly outcomes: OutcomeCounters = {
    "answered from cache": 0,
    answered: 0,
    refused: 0,
    malformed: 0,
    dropped: 0,
    servfail: 0,
    bug: 0,
  };
  readonly #options: QueryServiceOptions;
  readonly #access: AccessList;
  readonly #runtime: Runtime;
  readonly #view = new MessageView();
  readonly #buffer = new Uint8Array(FINISH_BUFFER_OCTETS);
  readonly #writer = new OctetWriter(4096);
  #pending = 0;
  #whenIdle: (() => void)[] = [];

  constructor(options: QueryServiceOptions, runtime: Runtime) {
    this.#options = options;
    this.#access = new AccessList(options.access);
    this.#runtime = runtime;
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
    const acceptance = acceptQuery(view, view.reset(octets));
    if (acceptance.kind === "drop") return this.#count("dropped", undefined);
    if (!this.#mayAsk(channel)) {
      if (this.#access.action === "drop") return this.#count("dropped", undefined);
      return this.#count(
        "refused",
        bareResponse(view, channel, Rcode.Refused, [{ code: EdeCode.Prohibited, text: "" }]),
      );
    }
    if (acceptance.kind === "reject") {
      const outcome =
        acceptance.rcode === Rcode.FormErr || acceptance.rcode === Rcode.BadVers ? "malformed" : "refused";
      return this.#count(outcome, bareResponse(view, channel, acceptance.rcode, NO_ERRORS));
    }
    const cached = view.recursionDesired ? this.#fromCache(view, channel) : undefined;
    if (cached !== undefined) return this.#count("answered from cache", cached);
    if (this.#pending >= (this.#options.pendingMax ?? PENDING_MAX_DEFAULT)) {
      return this.#count(
        "servfail",
        bareResponse(view, channel, Rcode.ServFail, [
          { code: EdeCode.NotReady, text: "too many queries are waiting" },
        ]),
      );
    }
    return this.#throughPipeline(octets.slice(), channel);
  }

  #mayAsk(channel: QueryChannel): boolean {
    const { remote } = channel.origin;
    return remote === undefined || this.#access.allows(remote.address);
  }

  #count<T>(outcome: QueryOutcome, answer: T): T {
    this.outcomes[outcome]++;
    return answer;
  }

  /** The whole reply as a view of the service's buffer, undefined when the cache has none. */
  #fromCache(view: MessageView, channel: QueryChannel): Uint8Array | undefined {
    const hit = this.#options.cache?.find(view, this.#runtime.clock.nowMs());
    if (hit === undefined) return undefined;
    hit.copyInto(this.#buffer, 0);
    return this.#buffer.subarray(
      0,
      finishResponse(this.#buffer, hit.replyOctets, view, channel, 0, NO_ERRORS),
    );
  }

  async #throughPipeline(octets: Uint8Array, channel: QueryChannel): Promise<Uint8Array | undefined> {
    const viewed = tryViewMessage(octets);
    if (!viewed.ok) return this.#count("bug", undefined);
    const query: Query = { octets, view: viewed.value, origin: channel.origin };
    this.#pending++;
    const abort = new AbortController();
    const { clock } = this.#runtime;
    const deadlineMs = clock.nowMs() + this.#options.deadlineMs;
    // Parts keep their own deadlines; this one is for parts that do not.
    const timer = clock.startTimer(
      "query-deadline",
      this.#options.deadlineMs + DEADLINE_GRACE_MS,
      () => abort.abort(),
      true,
    );
    try {
      const reply = await this.#options.responder.respond(query, { signal: abort.signal, deadlineMs });
      return this.#finish(query, channel, reply);
    } catch (error) {
      return this.#fail(query, channel, error);
    } finally {
      timer.cancel();
      this.#pending--;
      if (this.#pending === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    }
  }

  #finish(query: Query, channel: QueryChannel, reply: Reply): Uint8Array {
    const { view } = query;
    const { message } = reply;
    const base = encodeMessage(
      makeMessage({
        isResponse: true,
        isAuthoritative: message.isAuthoritative,
        authenticData: message.authenticData,
        rcode: message.rcode & 0xf,
        questions: [view.question],
        answers: message.answers,
        authorities: message.authorities,
        additionals: message.additionals,
      }),
      { writer: this.#writer },
    );
    // Local answers cost nothing to make and may change with the configuration; errors explain this one query.
    const isCacheable =
      reply.protection !== "local" &&
      reply.extendedErrors.length === 0 &&
      message.rcode <= 0xf &&
      view.recursionDesired;
    if (isCacheable) this.#options.cache?.store(view, base, this.#runtime.clock.nowMs());
    const buffer = new Uint8Array(base.length + FINISH_ROOM_OCTETS);
    buffer.set(base);
    const end = finishResponse(buffer, base.length, view, channel, message.rcode >>> 4, reply.extendedErrors);
    const isFailure = message.rcode === Rcode.ServFail;
    const isRefusal = message.rcode === Rcode.Refused;
    return this.#count(isFailure ? "servfail" : isRefusal ? "refused" : "answered", buffer.subarray(0, end));
  }

  /** What the world did to us is SERVFAIL with a reason; anything else is our mistake, and the process lives on. */
  #fail(query: Query, channel: QueryChannel, error: unknown): Uint8Array {
    const isOperational = DnsError.is(error);
    if (!isOperational) {
      this.#runtime.events.publish("server.bug", {
        where: "pipeline",
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
    const reason: ExtendedError = isOperational
      ? { code: edeOf(error), text: error.stage === undefined ? "" : `${error.stage} failed` }
      : { code: EdeCode.Other, text: "" };
    return this.#count(
      isOperational ? "servfail" : "bug",
      bareResponse(query.view, channel, Rcode.ServFail, [reason]),
    );
  }
}

/** RFC 8914: an unreachable server is a network error; a server that did not answer in time is too. */
function edeOf(error: DnsError): EdeCode {
  return error.code === "ERR_NO_REACHABLE_AUTHORITY" ? EdeCode.NoReachableAuthority : EdeCode.NetworkError;
}

/** A part that keeps its deadline answers within this time after it. */
const DEADLINE_GRACE_MS = 500;
/** OPT, keepalive, a few extended errors and one block of padding. */
const FINISH_ROOM_OCTETS = 2048;
