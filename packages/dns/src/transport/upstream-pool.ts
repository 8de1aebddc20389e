/**
 * Several upstreams in the order of preference. A query goes to the first that is not known to fail, and on to the
 * next when it fails; failures are remembered for a short time, longer each time they repeat.
 */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { Rcode } from "@sotto/dns/wire";
import type { Query, QueryContext, Reply, Responder } from "./responder.ts";

export interface UpstreamPoolOptions {
  /** At least one. */
  readonly upstreams: readonly Responder[];
}

interface Member {
  readonly upstream: Responder;
  failures: number;
  /** Monotonic milliseconds until which others are asked first. */
  avoidUntilMs: number;
}

export class UpstreamPool implements Responder {
  readonly #members: readonly Member[];
  readonly #runtime: Runtime;

  constructor(options: UpstreamPoolOptions, runtime: Runtime) {
    if (options.upstreams.length === 0) throw new RangeError("a pool needs at least one upstream");
    this.#members = options.upstreams.map((upstream) => ({ upstream, failures: 0, avoidUntilMs: 0 }));
    this.#runtime = runtime;
  }

  /** Rejects with the last failure when every upstream failed; a reply of SERVFAIL or REFUSED is kept as a last resort. */
  async respond(query: Query, context: QueryContext): Promise<Reply> {
    let lastResort: Reply | undefined;
    let lastFailure: DnsError | undefined;
    for (const member of this.#inOrder()) {
      if (context.signal.aborted || this.#runtime.clock.nowMs() >= context.deadlineMs) break;
      try {
        const reply = await member.upstream.respond(query, context);
        if (!RCODES_OF_TROUBLE.has(reply.message.rcode)) {
          member.failures = 0;
          member.avoidUntilMs = 0;
          return reply;
        }
        // It lives, but another may know better; not remembered, because it may be about this name only.
        lastResort ??= reply;
      } catch (cause) {
        if (!DnsError.is(cause)) throw cause;
        if (cause.code === "ERR_ABORTED" || cause.code === "ERR_CLOSED") throw cause;
        lastFailure = cause;
        this.#noteFailure(member, cause);
      }
    }
    if (lastResort !== undefined) return lastResort;
    throw (
      lastFailure ?? new DnsError("ERR_TIMEOUT", "no time was left to ask an upstream", { stage: "query" })
    );
  }

  /** Those in good standing first, each group in the configured order. */
  #inOrder(): Member[] {
    const nowMs = this.#runtime.clock.nowMs();
    const isAvoided = (member: Member): boolean => member.avoidUntilMs > nowMs;
    return [...this.#members.filter((member) => !isAvoided(member)), ...this.#members.filter(isAvoided)];
  }

  #noteFailure(member: Member, failure: DnsError): void {
    const avoidMs = Math.min(AVOID_MS * 2 ** member.failures, AVOID_MS_MAX);
    member.failures++;
    member.avoidUntilMs = this.#runtime.clock.nowMs() + avoidMs;
    const { events } = this.#runtime;
    if (events.wants("transport.upstream.failed"))
      events.publish("transport.upstream.failed", { code: failure.code, problem: failure.message, avoidMs });
  }
}

const RCODES_OF_TROUBLE: ReadonlySet<number> = new Set([Rcode.ServFail, Rcode.Refused]);
/** A restart takes about as long. */
const AVOID_MS = 5000;
/** Then one query a minute finds out whether it is back. */
const AVOID_MS_MAX = 60_000;
