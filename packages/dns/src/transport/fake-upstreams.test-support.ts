/** Fake upstreams for tests of the pool. */
import { DnsError, type DnsErrorCode } from "@sotto/dns/runtime";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import { encodeMessage, makeMessage, Rcode, tryViewMessage } from "@sotto/dns/wire";
import { CLIENT_ADDRESSES, questionOf } from "./client-fakes.test-support.ts";
import type { ExchangeFacts, Protection, Query, QueryContext, Reply } from "./responder.ts";
import { type PoolMember, type UpstreamChoice, UpstreamPool } from "./upstream-pool.ts";

export function queryOf(): Query {
  const octets = encodeMessage(makeMessage({ id: 1, questions: [questionOf("www.example.")] }));
  const view = tryViewMessage(octets);
  if (!view.ok) throw new RangeError(view.problem);
  const origin = { transport: "internal" as const, remote: undefined, local: undefined, security: undefined };
  return { octets, view: view.value, origin };
}

export function contextOf(world: SimWorld, withinMs = 10_000): QueryContext {
  return { signal: new AbortController().signal, deadlineMs: world.clock.nowMs() + withinMs };
}

const FACTS: ExchangeFacts = {
  upstream: { address: "192.0.2.1", port: 853 },
  transport: "tls",
  protection: "clear",
  authenticatedBy: undefined,
  connectionReused: true,
  sessionResumed: false,
  security: undefined,
  connectMs: 0,
  handshakeMs: 0,
  exchangeMs: 10,
  queryOctets: 0,
  replyOctets: 0,
  retriedOverTcp: false,
};

/** A responder that fails or answers as told, and counts. */
export class FakeUpstream implements PoolMember {
  asked = 0;
  /** Asked as the last hope. */
  hoped = 0;
  behaviour: number | DnsErrorCode = Rcode.NoError;
  isBackedOff = false;
  mayBeTried: boolean | undefined = undefined;
  isAbsent = false;
  /** Becomes absent by being asked. */
  turnsOutAbsent = false;
  networkEpoch = 0;
  /** Until it is resolved nothing is answered. */
  gate: Promise<void> | ((context: QueryContext) => Promise<void>) | undefined = undefined;
  tier = 0;
  server: string | undefined = undefined;
  exchangeMs = 10;
  protection: Protection = "clear";

  async respond(_query: Query, context: QueryContext): Promise<Reply> {
    this.asked++;
    if (context.isLastHope === true) this.hoped++;
    await (typeof this.gate === "function" ? this.gate(context) : this.gate);
    this.isAbsent ||= this.turnsOutAbsent;
    if (typeof this.behaviour === "string") throw new DnsError(this.behaviour, "as told");
    const message = makeMessage({ isResponse: true, rcode: this.behaviour });
    const { protection, exchangeMs } = this;
    const exchange: ExchangeFacts = { ...FACTS, protection, exchangeMs };
    return { message, security: "indeterminate", protection, extendedErrors: [], exchange };
  }
}

export function poolOf(
  count: number,
  choice: UpstreamChoice = "ordered",
  patienceMs?: number,
): { world: SimWorld; pool: UpstreamPool; upstreams: FakeUpstream[] } {
  const world = simRuntime(1);
  const upstreams = Array.from({ length: count }, () => new FakeUpstream());
  return {
    world,
    pool: new UpstreamPool({ upstreams, choice, patienceMs }, world.runtimeOf(CLIENT_ADDRESSES)),
    upstreams,
  };
}
