/**
 * The front end as listeners see it: octets in, octets out. What a rule or the packet cache decides is answered in the call;
 * everything else goes to a pool of backends, and each query has exactly one outcome, whatever becomes of them.
 */
import type { MessageHit } from "@sotto/dns/cache";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import type { LaterAnswer, MessageHandler, QueryChannel } from "@sotto/dns/transport";
import {
  copyToSend,
  EdeCode,
  type ExtendedError,
  encodeMessage,
  HeaderFlag,
  MESSAGE_OCTETS_MAX,
  MessageView,
  makeMessage,
  type Name,
  type Parsed,
  Rcode,
  rrTypeToText,
  setUint16,
  uint16At,
} from "@sotto/dns/wire";
import {
  bareResponse,
  FINISH_ROOM_OCTETS,
  finishedResponse,
  finishResponse,
  isTransfer,
  OPEN,
  type OutcomeCounters,
  QueryGate,
  type QueryGateOptions,
} from "../server/index.ts";
import { joinAnswers, targetQueryParts } from "./alias-answer.ts";
import { AnswerDelays } from "./answer-delays.ts";
import { hasBadSubnet, isPersonal, makeBackendQuery } from "./backend-query.ts";
import { type BackendReply, BackendReplyReader } from "./backend-reply.ts";
import type { ForwardOutcome } from "./backends/index.ts";
import type { FrontPool } from "./front-pool.ts";
import { FrontTransfers } from "./front-transfers.ts";
import { PassedQuery, type PassedQueryHost } from "./passed-query.ts";
import type { RuleSet, RuleSubject, Verdict } from "./rules/index.ts";

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

type Answer = Uint8Array | undefined;

export class FrontService implements PassedQueryHost {
  readonly counters: FrontCounters = {
    forwarded: 0,
    stale: 0,
    delayed: 0,
    teed: 0,
    transfers: 0,
    unusable: 0,
  };
  readonly #gate: QueryGate;
  readonly #options: FrontServiceOptions;
  readonly #pool: FrontPool;
  readonly #pendingMax: number;
  readonly #runtime: Runtime;
  /** Of the message that is looked at. */
  #view = new MessageView();
  readonly #replies = new BackendReplyReader();
  readonly #transfers: FrontTransfers;
  readonly #delays: AnswerDelays;
  readonly #buffer = new Uint8Array(MESSAGE_OCTETS_MAX + FINISH_ROOM_OCTETS);
  readonly #subject: Writable<RuleSubject>;
  #pending = 0;
  #whenIdle: (() => void)[] = [];

  /** Throws a RangeError without pools. */
  constructor(options: FrontServiceOptions, runtime: Runtime) {
    this.#options = options;
    const [first] = options.pools.values();
    if (first === undefined) throw new RangeError("a front end needs a pool of backends");
    this.#pool = first;
    this.#gate = new QueryGate({ ...options, takesTransfers: true }, runtime.clock);
    this.#transfers = new FrontTransfers(options.transfers, runtime);
    this.#pendingMax = options.pendingMax ?? PENDING_MAX_DEFAULT;
    this.#delays = new AnswerDelays(this.#pendingMax, runtime.clock);
    this.#runtime = runtime;
    this.#subject = { view: this.#view, origin: NOBODY, listener: "", nowMs: 0, wallMs: 0 };
  }

  get outcomes(): OutcomeCounters {
    return this.#gate.outcomes.counters;
  }

  /** Queries that wait for backends. */
  get pending(): number {
    return this.#pending;
  }

  /** Resolves when no query of a client waits; renewals, copies and transfers are the pools' (`BackendPool.idle`). */
  idle(): Promise<void> {
    return this.#pending === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
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
      if (verdict.loggedBy.length > 0) this.#log(verdict, channel);
      const alias = verdict.answer?.target;
      if (alias !== undefined && this.#view.recursionDesired) return this.#follow(verdict, alias, channel);
      const ended = this.#end(verdict, channel);
      if (ended === OPEN) return this.#goOn(verdict, channel);
      if (verdict.tees.length > 0) this.#tee(verdict);
      const delayMs = this.#delays.lengthOf(verdict.delayMs);
      return delayMs === 0 || ended === undefined ? ended : this.#later(ended, delayMs);
    } catch (error) {
      return this.#bug("front service", error, view, channel);
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

  /** What a rule answers; {@link OPEN} when the query goes on. */
  #end(verdict: Verdict, channel: QueryChannel): Answer | typeof OPEN {
    switch (verdict.end) {
      case "pass":
      case "allow":
        return OPEN;
      case "drop":
        return this.#gate.count("dropped", channel, undefined);
      case "truncate":
        return channel.origin.transport === "udp" ? this.#truncate(channel) : OPEN;
      case "refuse":
        return this.#gate.refuse("refused", this.#view, channel, verdict.rcode, verdict.errors);
      case "answer":
        return this.#answerLocally(verdict, channel);
      default:
        // The type has no other.
        return OPEN;
    }
  }

  /** Header and question with TC: whoever is really there comes again over TCP. */
  #truncate(channel: QueryChannel): Uint8Array {
    const octets = this.#gate.refuse("refused", this.#view, channel, Rcode.NoError);
    setUint16(octets, 2, uint16At(octets, 2) | HeaderFlag.Truncated);
    return octets;
  }

  #answerLocally({ answer, errors }: Verdict, channel: QueryChannel): Uint8Array {
    const view = this.#view;
    const base = encodeMessage(
      makeMessage({
        isResponse: true,
        rcode: answer?.rcode ?? Rcode.NoError,
        questions: [view.question],
        answers: answer?.answers ?? [],
        authorities: answer?.authorities ?? [],
      }),
    );
    return this.#gate.count(
      "answered",
      channel,
      finishedResponse(base, view, channel, 0, errors, this.#gate.cookies),
    );
  }

  /** An alias from a rule with what its target's answer is. */
  #follow(verdict: Verdict, alias: Name, channel: QueryChannel): Uint8Array | LaterAnswer {
    if (verdict.tees.length > 0) this.#tee(verdict);
    const { answer, errors } = verdict;
    const delayMs = this.#delays.lengthOf(verdict.delayMs);
    if (this.#pending >= this.#pendingMax || answer === undefined)
      return this.#gate.refuse("failed", this.#view, channel, Rcode.ServFail, TOO_BUSY);
    const view = this.#keepView();
    const asked = targetQueryParts(view, alias, this.#pool, keptEdits(verdict.edits));
    const query = new PassedQuery({ ...asked, delayMs }, this);
    this.#pending++;
    if (delayMs === 0) this.#askAnew(query);
    else this.#delay(delayMs, () => this.#askAnew(query));
    const join = (reply: Answer): Answer => {
      try {
        const joined = joinAnswers(view, answer, reply);
        if (!joined.ok) return this.#gate.refuse("failed", view, channel, Rcode.ServFail, NO_TARGET);
        const finished = finishedResponse(joined.value, view, channel, 0, errors, this.#gate.cookies);
        return this.#gate.count("answered", channel, finished);
      } catch (error) {
        return this.#bug("alias of a rule", error, view, channel);
      }
    };
    // biome-ignore lint/suspicious/noThenProperty: listeners take promises, and this does for them what one would.
    return { then: (call) => query.then((reply) => call(join(reply))) };
  }

  #goOn(verdict: Verdict, channel: QueryChannel): Answer | LaterAnswer {
    const view = this.#view;
    const pool = verdict.pool === undefined ? this.#pool : this.#options.pools.get(verdict.pool);
    if (pool === undefined) throw new RangeError(`there is no pool ${verdict.pool}`);
    const mayShare = view.recursionDesired && !isPersonal(view, verdict.edits, pool.passedOptions);
    if (isTransfer(view)) return this.#transfer(pool, channel);
    if (!mayShare && hasBadSubnet(view)) return this.#gate.refuse("malformed", view, channel, Rcode.FormErr);
    if (verdict.tees.length > 0) this.#tee(verdict);
    const delayMs = this.#delays.lengthOf(verdict.delayMs);
    if (delayMs === 0 && mayShare) {
      const cached = this.#fromCache(pool, view, channel, verdict.edits);
      if (cached !== undefined) return cached;
    }
    if (this.#pending >= this.#pendingMax)
      return this.#gate.refuse("failed", view, channel, Rcode.ServFail, TOO_BUSY);
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

  /** One copy and a few patched octets. */
  #fromCache(
    pool: FrontPool,
    view: MessageView,
    channel: QueryChannel,
    edits: Verdict["edits"],
  ): Uint8Array | undefined {
    const hit = pool.cache?.find(view, this.#subject.nowMs);
    if (hit === undefined) return undefined;
    const buffer = this.#buffer;
    const { replyOctets, isAging } = hit;
    if (!hit.copyInto(buffer, 0)) return undefined;
    if (isAging && this.#pending < this.#pendingMax) this.#refresh(pool, view, edits);
    const { cookies } = this.#gate;
    const offersRecursion = hasRecursion(buffer);
    const end = finishResponse(buffer, replyOctets, view, channel, 0, NO_ERRORS, cookies);
    if (!offersRecursion) takeRecursion(buffer);
    return this.#gate.count("answered from cache", channel, buffer.subarray(0, end));
  }

  /** What is asked for in the last tenth of its life is renewed behind the client's back; what fails leaves the old one. */
  #refresh(pool: FrontPool, view: MessageView, edits: Verdict["edits"]): void {
    const own = new MessageView();
    own.reset(view.octets.slice());
    const [passed, changes] = [pool.passedOptions, keptEdits(edits)];
    this.#forward(pool, own, makeBackendQuery(own, edits, passed), (outcome) => {
      if (outcome.kind !== "reply") return;
      const reply = this.#replies.read(outcome.octets, { view: own, changes, passed });
      if (reply.ok && isRenewal(reply.value.rcode)) this.#store(pool, own, reply.value);
    });
  }

  #transfer({ backends }: FrontPool, channel: QueryChannel): Uint8Array | Promise<Answer> {
    const view = new MessageView();
    view.reset(this.#view.octets.slice());
    if (!this.#transfers.mayHave(channel))
      return this.#gate.refuse("refused", view, channel, Rcode.Refused, NO_TRANSFER);
    this.counters.transfers++;
    return this.#transfers.pass(backends, view, channel).then(
      (last) => this.#gate.count("answered", channel, last),
      (error: unknown) =>
        DnsError.is(error)
          ? this.#gate.refuse("failed", view, channel, Rcode.ServFail, [
              { code: EdeCode.NetworkError, text: error.message },
            ])
          : this.#bug("transfer", error, view, channel),
    );
  }

  /** Its answer, when there is one already. */
  #wait(query: PassedQuery): Answer | LaterAnswer {
    this.#pending++;
    if (query.delayMs === 0) this.#ask(query);
    else this.#delay(query.delayMs, () => this.#askAnew(query));
    return query;
  }

  #delay(delayMs: number, then: () => void): void {
    this.counters.delayed++;
    this.#delays.start(delayMs, then);
  }

  /** An answer that needs no backend and is delayed; at once where too many queries wait. */
  #later(answer: Uint8Array, delayMs: number): Uint8Array | LaterAnswer {
    if (this.#pending >= this.#pendingMax) return answer;
    const kept = copyToSend(answer, 0, answer.length);
    this.#pending++;
    return new Promise((resolve) => {
      this.#delay(delayMs, () => {
        this.#pending--;
        resolve(kept);
        if (this.#pending === 0) this.#tellIdle();
      });
    });
  }

  /** Somebody may have been answered the same meanwhile. */
  #askAnew(query: PassedQuery): void {
    const { pool, view, channel, mayShare } = query;
    const nowMs = this.#runtime.clock.nowMs();
    const hit = mayShare ? pool.cache?.find(view, nowMs) : undefined;
    const answer = hit && this.#copyOf(hit, view, channel);
    if (answer === undefined) this.#ask(query);
    else this.#done(query, answer);
  }

  #done(query: PassedQuery, answer: Answer): void {
    if (query.isAnswered) return;
    this.#pending--;
    try {
      query.answer(answer);
    } catch (error) {
      // It has its outcome. What failed is its client's, and replies to others stand behind this one.
      this.#publishBug("answer to a client", error);
    }
    if (this.#pending === 0) this.#tellIdle();
  }

  #tellIdle(): void {
    for (const settled of this.#whenIdle.splice(0)) settled();
  }

  #ask(query: PassedQuery): void {
    try {
      query.octets = makeBackendQuery(query.view, query.edits, query.pool.passedOptions);
      query.deadlineMs = this.#runtime.clock.nowMs() + this.#options.deadlineMs;
      this.counters.forwarded++;
      query.pool.backends.forward(query);
    } catch (error) {
      this.#done(query, this.#bug("query to backends", error, query.view, query.channel));
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
      this.#publishBug("reply of a backend", error);
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
      answer = this.#bug("reply of a backend", error, query.view, query.channel);
    }
    this.#done(query, answer);
  }

  #take(query: PassedQuery, outcome: ForwardOutcome): Answer {
    const { pool, view, channel } = query;
    if (outcome.kind === "failed") return this.#stale(query) ?? this.#fail(query, outcome.problem);
    const reply = query.reply ?? this.#read(query, outcome.octets, outcome.backend);
    if (!reply.ok) return this.#gate.refuse("failed", view, channel, Rcode.ServFail, UNUSABLE);
    const { base, rcode, errors, options } = reply.value;
    if (!pool.passesAuthenticData) setUint16(base, 2, uint16At(base, 2) & ~HeaderFlag.AuthenticData);
    const answer = finishedResponse(base, view, channel, 0, errors, this.#gate.cookies, options);
    if (!hasRecursion(base)) takeRecursion(answer);
    if (query.mayShare) this.#store(pool, view, reply.value);
    const counted = rcode === Rcode.ServFail ? "failed" : rcode === Rcode.Refused ? "refused" : "answered";
    return this.#gate.count(counted, channel, answer);
  }

  #store(
    { cache, passesAuthenticData, staleSeconds }: FrontPool,
    view: MessageView,
    { base, lifeSeconds, rcode }: Pick<BackendReply, "base" | "lifeSeconds" | "rcode">,
  ): void {
    if (cache === undefined || lifeSeconds === 0) return;
    const nowMs = this.#runtime.clock.nowMs();
    // What may have to be given while all backends are down outlives their failures.
    if (rcode === Rcode.ServFail && cache.find(view, nowMs, staleSeconds) !== undefined) return;
    // From here on it is no word of an authority (RFC 1034 §6.2.7).
    const dropped = HeaderFlag.Authoritative | (passesAuthenticData ? 0 : HeaderFlag.AuthenticData);
    setUint16(base, 2, uint16At(base, 2) & ~dropped);
    cache.store(view, base, nowMs, lifeSeconds);
  }

  /** RFC 8767 §5: an old answer, when there is nobody who could give a new one. */
  #stale({ pool, view, channel, mayShare }: PassedQuery): Uint8Array | undefined {
    if (pool.staleSeconds === 0 || !mayShare || !pool.backends.isDown) return undefined;
    const nowMs = this.#runtime.clock.nowMs();
    // Somebody else may have been answered meanwhile.
    const isFresh = pool.cache?.find(view, nowMs) !== undefined;
    const hit = pool.cache?.find(view, nowMs, pool.staleSeconds);
    if (hit === undefined) return undefined;
    const answer = this.#copyOf(hit, view, channel, !isFresh);
    if (answer !== undefined && !isFresh) this.counters.stale++;
    return answer;
  }

  /** What a cache has, in octets of its own. */
  #copyOf(
    hit: MessageHit,
    view: MessageView,
    channel: QueryChannel,
    isStale = false,
  ): Uint8Array | undefined {
    const base = new Uint8Array(hit.replyOctets);
    if (!hit.copyInto(base, 0, isStale ? STALE_TTL_SECONDS : 0)) return undefined;
    const answer = finishedResponse(base, view, channel, 0, isStale ? STALE : NO_ERRORS, this.#gate.cookies);
    if (!hasRecursion(base)) takeRecursion(answer);
    return this.#gate.count("answered from cache", channel, answer);
  }

  /** Who the backends are, and what each of them did, is for the log: clients are strangers. */
  #fail({ pool, view, channel }: PassedQuery, problem: DnsError): Uint8Array {
    this.#runtime.events.publish("front.query.failed", { pool: pool.name, problem: problem.message });
    const errors = DnsError.is(problem, "ERR_REPLY_UNUSABLE") ? UNUSABLE : NO_BACKEND;
    return this.#gate.refuse("failed", view, channel, Rcode.ServFail, errors);
  }

  /** Copies for pools whose answers nobody waits for. */
  #tee({ tees, edits }: Verdict): void {
    const view = this.#view;
    for (const name of tees) {
      const pool = this.#options.pools.get(name);
      if (pool === undefined) continue;
      this.counters.teed++;
      this.#forward(pool, view, makeBackendQuery(view, edits, pool.passedOptions), () => undefined);
    }
  }

  #log({ loggedBy, end, rule, pool, tags }: Verdict, { origin }: QueryChannel): void {
    const { question } = this.#view;
    const goesOn = end === "pass" || end === "allow";
    this.#runtime.events.publish("front.query", {
      name: question.name.toString(),
      type: rrTypeToText(question.type),
      client: origin.remote?.address,
      transport: origin.transport,
      rules: [...loggedBy],
      end,
      endedBy: rule,
      pool: goesOn ? (pool ?? this.#pool.name) : undefined,
      tags: [...tags],
    });
  }

  #publishBug(where: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#runtime.events.publish("server.bug", { where, error: text });
  }

  #bug(where: string, error: unknown, view: MessageView, channel: QueryChannel): Answer {
    this.#publishBug(where, error);
    this.#gate.count("bug", channel, undefined);
    try {
      return bareResponse(view, channel, Rcode.ServFail, BROKEN, this.#gate.cookies);
    } catch {
      // The same bug once more, already published and counted: no answer is all that is left.
      return undefined;
    }
  }
}

/** SERVFAIL and refusals would take the place of an answer that still lives. */
function isRenewal(rcode: Rcode): boolean {
  return rcode === Rcode.NoError || rcode === Rcode.NXDomain;
}

/** RA is for the server to say that has answered (RFC 1035 §4.1.1): before authoritative ones there is no recursion. */
function hasRecursion(message: Uint8Array): boolean {
  return ((message[3] ?? 0) & HeaderFlag.RecursionAvailable) !== 0;
}

function takeRecursion(message: Uint8Array): void {
  message[3] = (message[3] ?? 0) & ~HeaderFlag.RecursionAvailable;
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
const NO_ERRORS: readonly ExtendedError[] = [];
/** RFC 8767 §4. */
const STALE_TTL_SECONDS = 30;
const STALE: readonly ExtendedError[] = [{ code: EdeCode.StaleAnswer, text: "no backend answers" }];
const NO_BACKEND: readonly ExtendedError[] = [
  { code: EdeCode.NoReachableAuthority, text: "no backend has answered" },
];
const UNUSABLE: readonly ExtendedError[] = [
  { code: EdeCode.InvalidData, text: "what the backends answered cannot be passed on" },
];
const TOO_BUSY: readonly ExtendedError[] = [{ code: EdeCode.NotReady, text: "too many queries are waiting" }];
const NO_TRANSFER: readonly ExtendedError[] = [
  { code: EdeCode.Prohibited, text: "zone transfers are for those named in the configuration" },
];
const NO_TARGET: readonly ExtendedError[] = [
  { code: EdeCode.NoReachableAuthority, text: "what the answer of a rule leads to cannot be found out" },
];
const BROKEN: readonly ExtendedError[] = [{ code: EdeCode.Other, text: "internal error" }];
