/**
 * The front end as listeners see it: octets in, octets out. What a rule or the packet cache decides is answered in the call;
 * everything else goes to a pool of backends, and each query has exactly one outcome, whatever becomes of them.
 */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import type { LaterAnswer, MessageHandler, QueryChannel } from "@sotto/dns/transport";
import {
  copyToSend,
  HeaderFlag,
  MessageView,
  type Name,
  type Parsed,
  Rcode,
  setUint16,
  uint16At,
} from "@sotto/dns/wire";
import { isTransfer, OPEN, type OutcomeCounters, QueryGate, type QueryGateOptions } from "../server/index.ts";
import { AliasAnswer, targetQueryParts } from "./alias-answer.ts";
import { hasBadSubnet, isPersonal, makeBackendQuery } from "./backend-query.ts";
import { type BackendReply, BackendReplyReader } from "./backend-reply.ts";
import type { ForwardOutcome } from "./backends/index.ts";
import { CachedAnswers } from "./cached-answers.ts";
import { FrontFailures } from "./front-failures.ts";
import type { FrontPool } from "./front-pool.ts";
import { FrontTransfers } from "./front-transfers.ts";
import { publishQuery } from "./logged-query.ts";
import { finishedPassed } from "./passed-answer.ts";
import { PassedQuery, type PassedQueryHost } from "./passed-query.ts";
import { RuleAnswers } from "./rule-answers.ts";
import type { RuleSet, RuleSubject, Verdict } from "./rules/index.ts";
import { WaitingPlaces } from "./waiting-places.ts";

export interface FrontServiceOptions extends Omit<QueryGateOptions, "takesTransfers"> {
  /** Who may have zone transfers, prefixes as text; nobody else. */
  readonly transfers: readonly string[];
  /** Limits of clients, and rules. */
  readonly rules: Pick<RuleSet, "judge">;
  /** By name; the first is for queries that no rule routes. */
  readonly pools: ReadonlyMap<string, FrontPool>;
  /** Longest time for one query, milliseconds; after it the client gets SERVFAIL. */
  readonly deadlineMs: number;
  /** Queries at backends or delayed at once; more are answered SERVFAIL at once. Default {@link PENDING_MAX_DEFAULT}. */
  readonly pendingMax?: number | undefined;
}

/** A few kilobytes each with all that waits for it. */
export const PENDING_MAX_DEFAULT = 50_000;

/** What was counted beside the outcomes. */
export interface FrontCounters {
  forwarded: number;
  stale: number;
  delayed: number;
  teed: number;
  transfers: number;
  /** Replies of backends that could not be passed on. */
  unusable: number;
}

/** Nothing counted yet. */
export function makeFrontCounters(): FrontCounters {
  return { forwarded: 0, stale: 0, delayed: 0, teed: 0, transfers: 0, unusable: 0 };
}

type Answer = Uint8Array | undefined;

export class FrontService implements PassedQueryHost {
  readonly counters: FrontCounters = makeFrontCounters();
  readonly #gate: QueryGate;
  readonly #cached: CachedAnswers;
  readonly #ruled: RuleAnswers;
  readonly #failures: FrontFailures;
  readonly #options: FrontServiceOptions;
  readonly #pool: FrontPool;
  readonly #runtime: Runtime;
  /** Of the message that is looked at. */
  #view = new MessageView();
  readonly #replies = new BackendReplyReader();
  readonly #transfers: FrontTransfers;
  readonly #places: WaitingPlaces;
  readonly #subject: Writable<RuleSubject>;

  /** Throws a RangeError without pools. */
  constructor(options: FrontServiceOptions, runtime: Runtime) {
    this.#options = options;
    const [first] = options.pools.values();
    if (first === undefined) throw new RangeError("a front end needs a pool of backends");
    this.#pool = first;
    this.#gate = new QueryGate({ ...options, takesTransfers: true }, runtime.clock);
    this.#cached = new CachedAnswers(this.#gate, runtime.clock);
    this.#ruled = new RuleAnswers(this.#gate);
    this.#failures = new FrontFailures(this.#gate, runtime.events);
    this.#transfers = new FrontTransfers(options.transfers, runtime);
    this.#places = new WaitingPlaces(options.pendingMax ?? PENDING_MAX_DEFAULT, runtime.clock);
    this.#runtime = runtime;
    this.#subject = { view: this.#view, origin: NOBODY, listener: "", nowMs: 0, wallMs: 0 };
  }

  get outcomes(): OutcomeCounters {
    return this.#gate.outcomes.counters;
  }

  /** Queries that wait for backends. */
  get pending(): number {
    return this.#places.taken;
  }

  /** Resolves when no query of a client waits; renewals, copies and transfers are the pools' (`BackendPool.idle`). */
  idle(): Promise<void> {
    return this.#places.idle();
  }

  /** What a listener of that name gives its messages to. */
  handlerOf(listener: string): MessageHandler {
    return { answer: (octets, channel) => this.#answer(octets, channel, listener) };
  }

  #answer(octets: Uint8Array, channel: QueryChannel, listener: string): Answer | LaterAnswer {
    const view = this.#view;
    try {
      const stopped = this.#gate.check(view, octets, channel);
      if (stopped !== OPEN) return stopped;
      const subject = this.#subjectOf(channel, listener);
      const verdict = this.#options.rules.judge(subject);
      if (verdict.loggedBy.length > 0)
        publishQuery(this.#runtime.events, verdict, view, channel, this.#pool.name);
      const target = verdict.answer?.target;
      if (target !== undefined && view.recursionDesired && !isTransfer(view))
        return this.#follow(verdict, target, channel);
      const ended = this.#ruled.end(verdict, view, channel);
      if (ended === OPEN) return this.#goOn(verdict, channel);
      if (verdict.tees.length > 0) this.#tee(verdict);
      const delayMs = this.#places.delayMsOf(verdict.delayMs);
      return delayMs === 0 || ended === undefined ? ended : this.#later(ended, delayMs);
    } catch (error) {
      return this.#failures.bug("front service", error, view, channel);
    }
  }

  #subjectOf(channel: QueryChannel, listener: string): RuleSubject {
    const subject = this.#subject;
    const { clock } = this.#runtime;
    subject.origin = channel.origin;
    subject.listener = listener;
    subject.nowMs = clock.nowMs();
    subject.wallMs = clock.wallMs();
    return subject;
  }

  /** An alias from a rule with what its target's answer is. */
  #follow(verdict: Verdict, target: Name, channel: QueryChannel): Uint8Array | LaterAnswer {
    if (verdict.tees.length > 0) this.#tee(verdict);
    const delayMs = this.#places.delayMsOf(verdict.delayMs);
    if (this.#places.areFull || verdict.answer === undefined)
      return this.#failures.tooBusy(this.#view, channel);
    const { answer: alias, errors } = verdict;
    const view = this.#keepView();
    const parts = targetQueryParts(view, target, this.#pool, keptEdits(verdict.edits));
    const query = new PassedQuery({ ...parts, delayMs }, this);
    this.#places.take();
    if (delayMs === 0) this.#askAnew(query);
    else this.#delay(delayMs, () => this.#askAnew(query));
    return new AliasAnswer({ view, channel, alias, errors }, query, this.#gate, this.#failures);
  }

  #goOn(verdict: Verdict, channel: QueryChannel): Answer | LaterAnswer {
    const view = this.#view;
    const pool = verdict.pool === undefined ? this.#pool : this.#options.pools.get(verdict.pool);
    if (pool === undefined) throw new RangeError(`there is no pool ${verdict.pool}`);
    const mayShare = view.recursionDesired && !isPersonal(view, verdict.edits, pool.passedOptions);
    if (isTransfer(view)) return this.#transfer(pool, channel);
    if (!mayShare && hasBadSubnet(view)) return this.#gate.refuse("malformed", view, channel, Rcode.FormErr);
    if (verdict.tees.length > 0) this.#tee(verdict);
    const delayMs = this.#places.delayMsOf(verdict.delayMs);
    if (delayMs === 0 && mayShare) {
      const cached = this.#fromCache(pool, view, channel, verdict.edits);
      if (cached !== undefined) return cached;
    }
    if (this.#places.areFull) return this.#failures.tooBusy(view, channel);
    const parts = {
      pool,
      view: this.#keepView(),
      channel,
      edits: keptEdits(verdict.edits),
      delayMs,
      mayShare,
    };
    const query = new PassedQuery(parts, this);
    // Nobody has to wait to learn that there is nobody: checks find out when that changes.
    return (delayMs === 0 ? this.#stale(query) : undefined) ?? this.#wait(query);
  }

  /** What has been found out about the message stays true of a copy; the next message gets another view. */
  #keepView(): MessageView {
    const kept = this.#view;
    kept.octets = copyToSend(kept.octets, 0, kept.octets.length);
    this.#view = new MessageView();
    this.#subject.view = this.#view;
    return kept;
  }

  #fromCache(
    pool: FrontPool,
    view: MessageView,
    channel: QueryChannel,
    edits: Verdict["edits"],
  ): Uint8Array | undefined {
    const answer = this.#cached.take(pool, view, channel, this.#subject.nowMs);
    if (answer !== undefined && this.#cached.isAging && !this.#places.areFull)
      this.#refresh(pool, view, edits);
    return answer;
  }

  /** What is asked for in the last tenth of its life is renewed behind the client's back; what fails leaves the old one. */
  #refresh(pool: FrontPool, view: MessageView, edits: Verdict["edits"]): void {
    const own = new MessageView();
    own.reset(view.octets.slice());
    const [passed, changes] = [pool.passedOptions, keptEdits(edits)];
    this.#forward(pool, own, makeBackendQuery(own, edits, passed), (outcome) => {
      if (outcome.kind !== "reply") return;
      const reply = this.#replies.read(outcome.octets, { view: own, changes, passed });
      if (reply.ok && isRenewal(reply.value.rcode)) this.#cached.put(pool, own, reply.value);
    });
  }

  #transfer(pool: FrontPool, channel: QueryChannel): Uint8Array | Promise<Answer> {
    const view = new MessageView();
    view.reset(this.#view.octets.slice());
    if (!this.#transfers.mayHave(channel)) return this.#failures.transferForbidden(view, channel);
    this.counters.transfers++;
    return this.#transfers.pass(pool.backends, view, channel).then(
      (last) => this.#gate.count("answered", channel, last),
      (error: unknown) =>
        DnsError.is(error)
          ? this.#failures.noTransfer(pool, error, view, channel)
          : this.#failures.bug("transfer", error, view, channel),
    );
  }

  /** Its answer, when there is one already. */
  #wait(query: PassedQuery): Answer | LaterAnswer {
    this.#places.take();
    if (query.delayMs === 0) this.#ask(query);
    else this.#delay(query.delayMs, () => this.#askAnew(query));
    return query;
  }

  #delay(delayMs: number, then: () => void): void {
    this.counters.delayed++;
    this.#places.delay(delayMs, then);
  }

  /** An answer that needs no backend and is delayed; at once where too many queries wait. */
  #later(answer: Uint8Array, delayMs: number): Uint8Array | LaterAnswer {
    if (this.#places.areFull) return answer;
    const kept = copyToSend(answer, 0, answer.length);
    this.#places.take();
    return new Promise((resolve) => {
      this.#delay(delayMs, () => {
        this.#places.free();
        resolve(kept);
        this.#places.tellIdle();
      });
    });
  }

  /** Somebody may have been answered the same meanwhile. */
  #askAnew(query: PassedQuery): void {
    const { pool, view, channel, mayShare } = query;
    let answer: Answer;
    try {
      answer = mayShare ? this.#cached.takeOwn(pool, view, channel) : undefined;
    } catch (error) {
      // A timer may have called, and nobody above it would.
      answer = this.#failures.bug("packet cache", error, view, channel);
    }
    if (answer === undefined) this.#ask(query);
    else this.#done(query, answer);
  }

  #done(query: PassedQuery, answer: Answer): void {
    if (query.isAnswered) return;
    this.#places.free();
    try {
      query.answer(answer);
    } catch (error) {
      // It has its outcome. What failed is its client's, and replies to others stand behind this one.
      this.#failures.publishBug("answer to a client", error);
    }
    this.#places.tellIdle();
  }

  #ask(query: PassedQuery): void {
    try {
      query.octets = makeBackendQuery(query.view, query.edits, query.pool.passedOptions);
      query.deadlineMs = this.#runtime.clock.nowMs() + this.#options.deadlineMs;
      this.counters.forwarded++;
      query.pool.backends.forward(query);
    } catch (error) {
      this.#done(query, this.#failures.bug("query to backends", error, query.view, query.channel));
    }
  }

  /** A query whose answer no client waits for. */
  #forward(
    { backends }: FrontPool,
    view: MessageView,
    octets: Uint8Array,
    settle: (outcome: ForwardOutcome) => void,
  ): void {
    const { remote: client, local } = NOBODY;
    const deadlineMs = this.#runtime.clock.nowMs() + this.#options.deadlineMs;
    this.counters.forwarded++;
    backends.forward({ octets, question: view.question, deadlineMs, client, local, settle });
  }

  refuses(query: PassedQuery, octets: Uint8Array, backend: string): string | undefined {
    if (query.isAnswered) return undefined;
    try {
      const reply = this.#read(query, octets, backend);
      if (!reply.ok) return reply.problem;
      query.reply = reply;
      return undefined;
    } catch (error) {
      this.#failures.publishBug("reply of a backend", error);
      return "it cannot be read";
    }
  }

  #read(
    { pool, view, edits: changes }: PassedQuery,
    octets: Uint8Array,
    backend: string,
  ): Parsed<BackendReply> {
    const reply = this.#replies.read(octets, { view, changes, passed: pool.passedOptions });
    if (!reply.ok) {
      this.counters.unusable++;
      this.#runtime.events.publish("front.reply.unusable", { backend, problem: reply.problem });
    }
    return reply;
  }

  settled(query: PassedQuery, outcome: ForwardOutcome): void {
    if (query.isAnswered) return;
    let answer: Answer;
    try {
      answer = this.#take(query, outcome);
    } catch (error) {
      answer = this.#failures.bug("reply of a backend", error, query.view, query.channel);
    }
    this.#done(query, answer);
  }

  #take(query: PassedQuery, outcome: ForwardOutcome): Answer {
    const { pool, view, channel } = query;
    if (outcome.kind === "failed")
      return this.#stale(query) ?? this.#failures.noBackend(pool, outcome.problem, view, channel);
    const reply = query.reply ?? this.#read(query, outcome.octets, outcome.backend);
    if (!reply.ok) return this.#failures.unusable(view, channel);
    const { base, rcode, errors, options } = reply.value;
    if (!pool.passesAuthenticData) setUint16(base, 2, uint16At(base, 2) & ~HeaderFlag.AuthenticData);
    const answer = finishedPassed(base, view, channel, this.#gate.cookies, errors, options);
    if (query.mayShare) this.#cached.put(pool, view, reply.value);
    const counted = rcode === Rcode.ServFail ? "failed" : rcode === Rcode.Refused ? "refused" : "answered";
    return this.#gate.count(counted, channel, answer);
  }

  /** What there is while nobody could give an answer. */
  #stale({ pool, view, channel, mayShare }: PassedQuery): Uint8Array | undefined {
    if (pool.staleSeconds === 0 || !mayShare || !pool.backends.isDown) return undefined;
    const taken = this.#cached.takeStale(pool, view, channel);
    if (taken?.isStale === true) this.counters.stale++;
    return taken?.answer;
  }

  /** Copies for pools whose answers nobody waits for; zones are too much for that. */
  #tee({ tees, edits }: Verdict): void {
    const view = this.#view;
    if (isTransfer(view)) return;
    for (const name of tees) {
      const pool = this.#options.pools.get(name);
      if (pool === undefined) continue;
      this.counters.teed++;
      this.#forward(pool, view, makeBackendQuery(view, edits, pool.passedOptions), () => undefined);
    }
  }
}

/** SERVFAIL and refusals would take the place of an answer that still lives. */
function isRenewal(rcode: Rcode): boolean {
  return rcode === Rcode.NoError || rcode === Rcode.NXDomain;
}

/** A verdict is valid until the next query. */
function keptEdits(edits: Verdict["edits"]): Verdict["edits"] {
  return edits.length === 0 ? NO_EDITS : [...edits];
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const NOBODY = {
  transport: "internal",
  remote: undefined,
  local: undefined,
  security: undefined,
} as const;
const NO_EDITS: Verdict["edits"] = [];
