/**
 * Several upstreams in the order of preference. A query goes to the first that is not known to fail, and on to the
 * next when it fails; failures are remembered for a short time, longer each time they repeat. One query at a time finds
 * out whether a failed upstream is back. When all fail it is the network: all are asked, and the first reply forgives
 * all of them; a pool with patience lets queries wait for that as long as their clients do. Members of a weaker tier are
 * asked only when those of stronger ones bring no reply (RFC 8310 §5).
 */
import { DnsError, type Endpoint, type Runtime } from "@sotto/dns/runtime";
import { Rcode } from "@sotto/dns/wire";
import type { ConnectionStatus } from "./connection-status.ts";
import type { Query, QueryContext, Reply, Responder } from "./responder.ts";
import {
  makeStanding,
  noteReply,
  type Standing,
  standingOf,
  type UpstreamLookup,
  type UpstreamStanding,
} from "./upstream-standing.ts";
import { WaitingRoom } from "./waiting-room.ts";

/** An upstream, and what it may tell about itself. */
export interface PoolMember extends Responder {
  /** True while it would fail at once for what happened before; absent: never. */
  readonly isBackedOff?: boolean;
  /** True when it would be tried for want of anybody else. Absent: it remembers no failures, and is tried now and then. */
  readonly mayBeTried?: boolean | undefined;
  /** Changes when the machine is on another network, where other servers may work; absent: never. */
  readonly networkEpoch?: number;
  /** Undefined also while it is not known. */
  readonly endpoint?: Endpoint | undefined;
  readonly transport?: "udp" | "tcp" | "tls" | undefined;
  /** How weakly it protects queries, 0 for best; absent: 0. */
  readonly tier?: number;
  /** For people: how it must prove who it is; absent: it need not. */
  readonly identity?: string | undefined;
  /** For people: the way to it as it is now; absent: nothing is kept between queries. */
  readonly connectionStatus?: ConnectionStatus | undefined;
  /** True while there is nothing behind it, as for a designation that nobody made: it is passed over. Absent: never. */
  readonly isAbsent?: boolean;
  /** For those whose addresses are not configured. */
  readonly lookup?: UpstreamLookup | undefined;
  /** Equal for members behind the same address and port: when one cannot be connected with, none can. Absent: nobody's. */
  readonly server?: string | undefined;
}

/** Who is asked first among those that work. */
export type UpstreamChoice = "ordered" | "round-robin" | "fastest";

export interface UpstreamPoolOptions {
  /** At least one. */
  readonly upstreams: readonly PoolMember[];
  /** Default `ordered`. */
  readonly choice?: UpstreamChoice | undefined;
  /**
   * How long a query waits, milliseconds from when it came and never past its deadline, while no upstream can be reached; they
   * are tried every second or two meanwhile. Default 0: it fails as soon as all have failed.
   */
  readonly patienceMs?: number | undefined;
}

export class UpstreamPool implements Responder {
  readonly #members: readonly Standing[];
  readonly #choice: UpstreamChoice;
  readonly #patienceMs: number;
  readonly #runtime: Runtime;
  readonly #waiting: WaitingRoom;
  #turn = 0;
  /** When those who waited were last let go for a try. */
  #triedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: UpstreamPoolOptions, runtime: Runtime) {
    if (options.upstreams.length === 0) throw new RangeError("a pool needs at least one upstream");
    this.#members = options.upstreams.map(makeStanding);
    this.#choice = options.choice ?? "ordered";
    this.#patienceMs = options.patienceMs ?? 0;
    this.#runtime = runtime;
    this.#waiting = new WaitingRoom(() => this.#isWorthTrying(), runtime.clock);
  }

  /** What is known of each upstream, in the configured order. */
  standings(): UpstreamStanding[] {
    const nowMs = this.#runtime.clock.nowMs();
    return this.#members.map((member) => standingOf(member, nowMs));
  }

  /** Rejects with the last failure when every upstream failed; a reply of SERVFAIL or REFUSED is kept as a last resort. */
  respond(query: Query, context: QueryContext): Promise<Reply> {
    const nowMs = this.#runtime.clock.nowMs();
    const untilMs = Math.min(nowMs + this.#patienceMs, context.deadlineMs - FAILURE_MARGIN_MS);
    return this.#askAll(query, context, { nowMs, untilMs, hasPassing: false, lastFailure: undefined });
  }

  /** Once nobody has replied: waits until somebody may, as long as there is patience. */
  async #askAgain(query: Query, { signal }: QueryContext, round: Round): Promise<Reply> {
    const { untilMs } = round;
    if (round.hasPassing && (await this.#waiting.wait(untilMs, signal))) {
      round.hasPassing = false;
      round.nowMs = this.#runtime.clock.nowMs();
      return await this.#askAll(query, { signal, deadlineMs: untilMs }, round);
    }
    throw (
      round.lastFailure ??
      new DnsError("ERR_TIMEOUT", "no time was left to ask an upstream", { stage: "query" })
    );
  }

  /** Asks one after another until one replies. */
  async #askAll(query: Query, context: QueryContext, round: Round): Promise<Reply> {
    let lastResort: Reply | undefined;
    let repliedTier = Number.POSITIVE_INFINITY;
    let unreachable: ReadonlySet<string> = NONE;
    const inOrder = this.#inOrder(round.nowMs);
    if (inOrder.length === 0) {
      round.lastFailure ??= new DnsError("ERR_UNREACHABLE", "nobody is there to be asked", {
        stage: "resolve",
      });
      round.hasPassing = true;
    }
    for (const member of inOrder) {
      if (context.signal.aborted || round.nowMs >= context.deadlineMs) break;
      const { tier = 0, server } = member.upstream;
      // A reply is a reply: another one is not worth less protection, and who cannot be connected with cannot at all.
      if (tier > repliedTier || (server !== undefined && unreachable.has(server))) continue;
      const isProbe = member.failures > 0 && !member.isProbed;
      if (isProbe) this.#setProbed(member, true);
      try {
        const reply = await this.#ask(member, query, context, lastResort === undefined);
        round.nowMs = this.#runtime.clock.nowMs();
        noteReply(member, reply, round.nowMs);
        if (member.told !== reply.protection)
          this.#tell(member, reply.protection, noteRecovery(member, reply, round.nowMs));
        if (!RCODES_OF_TROUBLE.has(reply.message.rcode)) {
          this.#forgive(member);
          return reply;
        }
        repliedTier = Math.min(repliedTier, tier);
        // It lives, but another may know better; not remembered, because it may be about this name only.
        lastResort ??= reply;
      } catch (cause) {
        if (!DnsError.is(cause)) throw cause;
        round.nowMs = this.#runtime.clock.nowMs();
        if (cause.code === "ERR_ABORTED" || cause.code === "ERR_CLOSED") throw cause;
        if (member.upstream.isAbsent === true) continue;
        // A try that was cut short by the query's own end tells less than the one before.
        if (round.lastFailure !== undefined && round.nowMs >= context.deadlineMs) break;
        round.lastFailure = cause;
        round.hasPassing ||= passes(member, cause);
        if (server !== undefined && CODES_OF_UNREACHABLE.has(cause.code))
          unreachable = new Set([...unreachable, server]);
        // Whoever owns a slow or strange name, or asks too much, must not choose how well others are protected.
        if (isAboutQuestion(member, cause, round.nowMs)) repliedTier = Math.min(repliedTier, tier);
        else this.#noteFailure(member, cause);
      } finally {
        if (isProbe) this.#setProbed(member, false);
      }
    }
    return lastResort ?? this.#askAgain(query, context, round);
  }

  /** Whether somebody would be asked now who was not when all had failed. */
  #isWorthTrying(): boolean {
    const nowMs = this.#runtime.clock.nowMs();
    const isTime = nowMs - this.#triedAtMs >= FORGETFUL_RETRY_MS;
    const isWorthIt = this.#members.some(({ upstream }) => upstream.mayBeTried ?? isTime);
    if (isWorthIt) this.#triedAtMs = nowMs;
    return isWorthIt;
  }

  /** Those that are backed off come last, when all others have failed: then they are the hope that is left. */
  #ask(member: Standing, query: Query, context: QueryContext, isNeeded: boolean): Promise<Reply> {
    const isLastHope = isNeeded && member.upstream.isBackedOff === true;
    // Contexts may be objects with getters: copying their own properties is not enough.
    const { signal, deadlineMs } = context;
    return member.upstream.respond(query, isLastHope ? { signal, deadlineMs, isLastHope } : context);
  }

  /**
   * Those in good standing first, best protection first; the others by when they may be tried again. Who failed lately but is known
   * to protect better comes before weaker protection (RFC 8310 appendix A): a moment's failure must not bring queries into clear.
   */
  #inOrder(nowMs: number): readonly Standing[] {
    const [only] = this.#members;
    if (only !== undefined && this.#members.length === 1 && only.upstream.isAbsent !== true) {
      // Looking takes time, and there is nothing to be forgotten of one that did not fail.
      if (only.failures > 0) this.#noticeNetwork(only);
      return this.#members;
    }
    const good: Standing[] = [];
    const known: Standing[] = [];
    const avoided: Standing[] = [];
    const backedOff: Standing[] = [];
    for (const member of this.#members) {
      this.#noticeNetwork(member);
      if (member.upstream.isAbsent === true) continue;
      if (member.upstream.isBackedOff === true) backedOff.push(member);
      else if (member.isProbed) avoided.push(member);
      else if (member.avoidUntilMs > nowMs) (member.hasReplied ? known : avoided).push(member);
      else good.push(member);
    }
    const byTier = (a: Standing, b: Standing): number => (a.upstream.tier ?? 0) - (b.upstream.tier ?? 0);
    const bySoonest = (a: Standing, b: Standing): number => a.avoidUntilMs - b.avoidUntilMs;
    backedOff.sort(bySoonest);
    if (known.length === 0)
      return [...this.#chosen(good).sort(byTier), ...avoided.sort(byTier), ...backedOff];
    const weakest = Math.max(0, ...good.map(({ upstream }) => upstream.tier ?? 0));
    const isBetter = ({ upstream }: Standing): boolean => (upstream.tier ?? 0) < weakest;
    const asked = [...this.#chosen(good), ...known.filter(isBetter)].sort(byTier);
    return [...asked, ...known.filter((one) => !isBetter(one)), ...avoided.sort(byTier), ...backedOff];
  }

  #chosen(good: Standing[]): Standing[] {
    if (this.#choice === "ordered" || good.length < 2) return good;
    if (this.#choice === "round-robin") {
      const start = this.#turn++ % good.length;
      return [...good.slice(start), ...good.slice(0, start)];
    }
    // Who has not been asked is found out about; now and then another one is, which may have become faster.
    const byTime = good.toSorted((a, b) => (a.smoothedMs ?? 0) - (b.smoothedMs ?? 0));
    const { random } = this.#runtime;
    const explored = random.below(EXPLORE_ONE_IN) === 0 ? byTime[random.below(byTime.length)] : undefined;
    return explored === undefined ? byTime : [explored, ...byTime.filter((one) => one !== explored)];
  }

  /** The same server asked in another way would tell the same. */
  #setProbed(member: Standing, isProbed: boolean): void {
    for (const one of this.#sameServer(member)) one.isProbed = isProbed;
  }

  #sameServer(member: Standing): readonly Standing[] {
    const { server } = member.upstream;
    return server === undefined
      ? [member]
      : this.#members.filter(({ upstream }) => upstream.server === server);
  }

  #noticeNetwork(member: Standing): void {
    const networkEpoch = member.upstream.networkEpoch ?? 0;
    if (networkEpoch === member.networkEpoch) return;
    member.networkEpoch = networkEpoch;
    member.failures = 0;
    member.avoidUntilMs = 0;
    member.hasReplied = false;
  }

  /** It answered. If everybody had failed it was the network, which says nothing about the others. */
  #forgive(member: Standing): void {
    if (this.#waiting.size > 0) this.#waiting.letAllGo();
    if (member.failures === 0 && member.avoidUntilMs === 0) return;
    const wasNetwork = this.#members.every(
      ({ failures, upstream }) => failures > 0 || upstream.isAbsent === true,
    );
    for (const one of wasNetwork ? this.#members : [member]) {
      one.failures = 0;
      one.avoidUntilMs = 0;
    }
  }

  /** A change of state is one event; that it goes on is none. */
  #tell(member: Standing, state: Standing["told"], details: Readonly<Record<string, unknown>>): void {
    if (member.told === state) return;
    const { server, tier } = member.upstream;
    const from = member.told;
    member.told = state;
    this.#runtime.events.publish(
      state === "failing" ? "transport.upstream.failing" : "transport.upstream.working",
      { upstream: server, tier, from, state, ...details },
    );
  }

  #noteFailure(member: Standing, failure: DnsError): void {
    const nowMs = this.#runtime.clock.nowMs();
    member.lastFailure = { atMs: nowMs, code: failure.code, stage: failure.stage, problem: failure.message };
    member.failuresInAll++;
    member.failuresWhileFailing++;
    member.failingSinceMs ??= nowMs;
    const { events } = this.#runtime;
    const isOther = failure.code === "ERR_TLS_NOT_AUTHENTICATED" && member.hasAuthenticated;
    // RFC 8310 §6.5: it proved who it was before, so this is probably an attack. Said once until it proves it again.
    if (isOther) {
      member.hasAuthenticated = false;
      events.publish("transport.upstream.attack-suspected", {
        upstream: member.upstream.server,
        problem: failure.message,
      });
    }
    this.#tell(member, "failing", { code: failure.code, stage: failure.stage, problem: failure.message });
    // Queries that fail together, or because all upstreams do, are one failure.
    if (member.avoidUntilMs > nowMs) return;
    const avoidMs = Math.min(AVOID_MS * 2 ** member.failures, AVOID_MS_MAX);
    const alike = CODES_OF_UNREACHABLE.has(failure.code) ? this.#sameServer(member) : [member];
    for (const one of alike) {
      one.failures++;
      one.avoidUntilMs = nowMs + avoidMs;
    }
    if (events.wants("transport.upstream.failed"))
      events.publish("transport.upstream.failed", { code: failure.code, problem: failure.message, avoidMs });
  }
}

/** What one query has seen of failures. */
interface Round {
  /** Of the last look at the clock. */
  nowMs: number;
  /** The end of the patience, when nobody can be reached. */
  readonly untilMs: number;
  /** Some failure was of a kind that passes by itself. */
  hasPassing: boolean;
  lastFailure: DnsError | undefined;
}

/** True when what went wrong tells of the question or of ourselves, and nothing of the way to the server. */
function isAboutQuestion(
  { upstream, lastReplyMs }: Standing,
  { code, stage }: DnsError,
  nowMs: number,
): boolean {
  if (code === "ERR_QUOTA_EXCEEDED") return true;
  const isAlive = lastReplyMs !== undefined && nowMs - lastReplyMs < ALIVE_MS;
  return isAlive && upstream.transport === "tls" && stage === "query" && CODES_OF_QUESTION.has(code);
}

/** What the event of a new state tells: who it is, and how it went before when it had failed. */
function noteRecovery(
  member: Standing,
  { exchange }: Reply,
  nowMs: number,
): Readonly<Record<string, unknown>> {
  const { failingSinceMs, failuresWhileFailing: failures } = member;
  const by = { authenticatedBy: exchange?.authenticatedBy };
  member.failingSinceMs = undefined;
  member.failuresWhileFailing = 0;
  return failingSinceMs === undefined
    ? by
    : { ...by, failures, failedForMs: Math.round(nowMs - failingSinceMs) };
}

const NONE: ReadonlySet<string> = new Set();
const RCODES_OF_TROUBLE: ReadonlySet<number> = new Set([Rcode.ServFail, Rcode.Refused]);
/** A restart takes about as long. */
const AVOID_MS = 5000;
/** Then one query a minute finds out whether it is back. */
const AVOID_MS_MAX = 60_000;
/** Nothing listens there, or nothing comes through. */
const CODES_OF_UNREACHABLE: ReadonlySet<string> = new Set([
  "ERR_CONNECT_REFUSED",
  "ERR_CONNECT_TIMEOUT",
  "ERR_UNREACHABLE",
]);
/** Whether waiting helps. A server that never proved who it is will not do so in a moment; one that did may be given another chance. */
function passes({ hasEverAuthenticated }: Standing, { code }: DnsError): boolean {
  return CODES_THAT_PASS.has(code) || (hasEverAuthenticated && code === "ERR_TLS_NOT_AUTHENTICATED");
}

/** What ends with a cable, a router or a server that was away. */
const CODES_THAT_PASS: ReadonlySet<string> = new Set([
  ...CODES_OF_UNREACHABLE,
  "ERR_ADDRESS_NOT_AVAILABLE",
  "ERR_TIMEOUT",
  "ERR_TLS_HANDSHAKE",
  "ERR_CONNECTION_LOST",
]);
/** How often upstreams are tried that remember no failures themselves, while queries wait (RFC 9520 §3.2: not within a second). */
const FORGETFUL_RETRY_MS = 1000;
/** So that what happened is told, and not only that the time is up. */
const FAILURE_MARGIN_MS = 100;
/** No reply in time over a connection that came about, or one that cannot be read. */
const CODES_OF_QUESTION: ReadonlySet<string> = new Set(["ERR_TIMEOUT", "ERR_MESSAGE_MALFORMED"]);
/**
 * A server that replied so lately is there: a silent connection is given up after a second, and what becomes of the next one
 * is about the server again.
 */
const ALIVE_MS = 30_000;
/** With `fastest`, one query in so many goes to any of them. */
const EXPLORE_ONE_IN = 32;
