/**
 * Several upstreams in the order of preference. A query goes to the first that is not known to fail, and on to the
 * next when it fails; failures are remembered for a short time, longer each time they repeat. One query at a time finds
 * out whether a failed upstream is back. When all fail it is the network: all are asked, and the first reply forgives
 * all of them.
 */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { Rcode } from "@sotto/dns/wire";
import type { Query, QueryContext, Reply, Responder } from "./responder.ts";

/** An upstream, and what it may tell about itself. */
export interface PoolMember extends Responder {
  /** True while it would fail at once for what happened before; absent: never. */
  readonly isBackedOff?: boolean;
  /** Changes when the machine is on another network, where other servers may work; absent: never. */
  readonly networkEpoch?: number;
}

export interface UpstreamPoolOptions {
  /** At least one. */
  readonly upstreams: readonly PoolMember[];
}

interface Standing {
  readonly upstream: PoolMember;
  failures: number;
  /** Monotonic milliseconds until which others are asked first. */
  avoidUntilMs: number;
  /** A query is finding out whether it is back. */
  isProbed: boolean;
  networkEpoch: number;
}

export class UpstreamPool implements Responder {
  readonly #members: readonly Standing[];
  readonly #runtime: Runtime;

  constructor(options: UpstreamPoolOptions, runtime: Runtime) {
    if (options.upstreams.length === 0) throw new RangeError("a pool needs at least one upstream");
    this.#members = options.upstreams.map((upstream) => ({
      upstream,
      failures: 0,
      avoidUntilMs: 0,
      isProbed: false,
      networkEpoch: upstream.networkEpoch ?? 0,
    }));
    this.#runtime = runtime;
  }

  /** Rejects with the last failure when every upstream failed; a reply of SERVFAIL or REFUSED is kept as a last resort. */
  async respond(query: Query, context: QueryContext): Promise<Reply> {
    let lastResort: Reply | undefined;
    let lastFailure: DnsError | undefined;
    for (const member of this.#inOrder()) {
      if (context.signal.aborted || this.#runtime.clock.nowMs() >= context.deadlineMs) break;
      const isProbe = member.failures > 0 && !member.isProbed;
      if (isProbe) member.isProbed = true;
      try {
        const reply = await this.#ask(member, query, context, lastResort === undefined);
        if (!RCODES_OF_TROUBLE.has(reply.message.rcode)) {
          this.#forgive(member);
          return reply;
        }
        // It lives, but another may know better; not remembered, because it may be about this name only.
        lastResort ??= reply;
      } catch (cause) {
        if (!DnsError.is(cause)) throw cause;
        if (cause.code === "ERR_ABORTED" || cause.code === "ERR_CLOSED") throw cause;
        lastFailure = cause;
        this.#noteFailure(member, cause);
      } finally {
        if (isProbe) member.isProbed = false;
      }
    }
    if (lastResort !== undefined) return lastResort;
    throw (
      lastFailure ?? new DnsError("ERR_TIMEOUT", "no time was left to ask an upstream", { stage: "query" })
    );
  }

  /** Those that are backed off come last, when all others have failed: then they are the hope that is left. */
  #ask(member: Standing, query: Query, context: QueryContext, isNeeded: boolean): Promise<Reply> {
    const isLastHope = isNeeded && member.upstream.isBackedOff === true;
    return member.upstream.respond(query, isLastHope ? { ...context, isLastHope } : context);
  }

  /** Those in good standing first, in the configured order; the others by when they may be tried again. */
  #inOrder(): Standing[] {
    const nowMs = this.#runtime.clock.nowMs();
    const good: Standing[] = [];
    const avoided: Standing[] = [];
    const backedOff: Standing[] = [];
    for (const member of this.#members) {
      this.#noticeNetwork(member);
      if (member.upstream.isBackedOff === true) backedOff.push(member);
      else if (member.avoidUntilMs > nowMs || member.isProbed) avoided.push(member);
      else good.push(member);
    }
    const bySoonest = (a: Standing, b: Standing): number => a.avoidUntilMs - b.avoidUntilMs;
    return [...good, ...avoided, ...backedOff.sort(bySoonest)];
  }

  #noticeNetwork(member: Standing): void {
    const networkEpoch = member.upstream.networkEpoch ?? 0;
    if (networkEpoch === member.networkEpoch) return;
    member.networkEpoch = networkEpoch;
    member.failures = 0;
    member.avoidUntilMs = 0;
  }

  /** It answered. If everybody had failed it was the network, which says nothing about the others. */
  #forgive(member: Standing): void {
    const wasNetwork = this.#members.every(({ failures }) => failures > 0);
    for (const one of wasNetwork ? this.#members : [member]) {
      one.failures = 0;
      one.avoidUntilMs = 0;
    }
  }

  #noteFailure(member: Standing, failure: DnsError): void {
    const nowMs = this.#runtime.clock.nowMs();
    // Queries that fail together, or because all upstreams do, are one failure.
    if (member.avoidUntilMs > nowMs) return;
    const avoidMs = Math.min(AVOID_MS * 2 ** member.failures, AVOID_MS_MAX);
    member.failures++;
    member.avoidUntilMs = nowMs + avoidMs;
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
