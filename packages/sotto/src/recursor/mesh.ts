/**
 * All resolutions under way: one per question, however many clients or other resolutions wait for it. Knows who waits
 * for whom, so that zones that need each other's addresses do not wait forever.
 */
import type { RRset } from "@sotto/dns/cache";
import type { Clock } from "@sotto/dns/runtime";
import { EdeCode } from "@sotto/dns/wire";
import { FailureCache, type OnFailure } from "./failure-cache.ts";
import type { Outcome, Sought } from "./outcome.ts";
import { soughtKey } from "./outcome.ts";
import { DEPTH_MAX, Quota } from "./quota.ts";

/** One resolution under way. */
export interface Run {
  readonly sought: Sought;
  readonly quota: Quota;
  /** -1 for a client's work, 0 for its question, one more for each resolution that was started for another. */
  readonly depth: number;
  /** The client question that this work is for, for people. */
  readonly clientSought: Sought;
  readonly outcome: Promise<Outcome>;
  /** The runs this one waits for now. */
  readonly waitsFor: Set<Run>;
  /** Addresses of servers whose replies were used. */
  readonly sources: Set<string>;
  /** Denials that came along on the way; they may prove more than they were sent for. */
  readonly proofs: RRset[];
  /** Servers that are not asked because what they said was bogus; with it nothing is taken from the cache. */
  readonly avoid: ReadonlySet<string> | undefined;
  /** Zone cuts that end so soon do not count: what is known is renewed before it ends. */
  readonly leewayMs: number;
}

/** Work that is begun for a client and asks the mesh for its parts: a run's purse and place, without a result. */
export type Work = Omit<Run, "outcome">;

/** An outcome and who said so. */
export interface Answered {
  readonly outcome: Outcome;
  readonly sources: ReadonlySet<string>;
  readonly proofs: readonly RRset[];
}

/** Does the work of a run; never rejects but for a bug. */
export type Resolve = (run: Work) => Promise<Outcome>;

export class Mesh {
  readonly failures: FailureCache;
  /** Hears of questions of clients that failed. */
  readonly onFailure: OnFailure;
  readonly #resolve: Resolve;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #runs = new Map<string, Run>();
  #repeats = 0;

  /** `deadlineMs` is the longest time for one run, milliseconds. */
  constructor(resolve: Resolve, deadlineMs: number, clock: Clock, onFailure: OnFailure = () => undefined) {
    this.onFailure = onFailure;
    this.#resolve = resolve;
    this.#deadlineMs = deadlineMs;
    this.#clock = clock;
    this.failures = new FailureCache(clock);
  }

  /** Runs under way. */
  get size(): number {
    return this.#runs.size;
  }

  /** Resolves when nothing is under way any more; new work should have been stopped. */
  async settled(): Promise<void> {
    while (this.#runs.size > 0)
      await Promise.allSettled(Array.from(this.#runs.values(), (run) => run.outcome));
  }

  /** Begins work for a client's question, with a purse of its own. */
  begin(sought: Sought): Work {
    const quota = new Quota(this.#clock.nowMs() + this.#deadlineMs);
    return {
      sought,
      quota,
      depth: -1,
      clientSought: sought,
      waitsFor: new Set(),
      sources: new Set(),
      proofs: [],
      avoid: undefined,
      leewayMs: 0,
    };
  }

  /** Answers a client's work: joins the run for the question or starts one. */
  async ask(work: Work): Promise<Answered> {
    const { sought } = work;
    const joined = this.#runs.get(soughtKey(sought));
    const answering = this.#answerFor(work, sought, DEPTH_MAX);
    if (answering === undefined) return { outcome: busy, sources: work.sources, proofs: [] };
    const answered = await answering;
    // The run belonged to somebody else's question and was starved by it: that must not be this client's answer.
    const { outcome } = answered;
    const wasStarved =
      joined !== undefined && joined.depth > 0 && outcome.kind === "failed" && outcome.isCircumstantial;
    if (!wasStarved) return answered;
    return (await this.#answerFor(work, sought, DEPTH_MAX)) ?? answered;
  }

  /** Asks for something that nobody waits for, with a purse of its own. */
  prime(sought: Sought): void {
    if (this.#runs.has(soughtKey(sought)) || this.failures.find(sought) !== undefined) return;
    this.#start(childOf(this.begin(sought), sought, undefined), soughtKey(sought));
  }

  /** Resolves a question again, past the cache and past the servers in `avoid`. */
  async askAgain(
    parent: Work,
    sought: Sought,
    avoid: ReadonlySet<string>,
    leewayMs = 0,
  ): Promise<Answered | undefined> {
    if (parent.depth >= DEPTH_MAX) return undefined;
    const key = `again ${++this.#repeats}`;
    const run = this.#start({ ...childOf(parent, sought, avoid), leewayMs }, key);
    return run === undefined ? undefined : this.#wait(parent, run);
  }

  /**
   * Resolves something for another run, with that run's quota and deadline. Undefined when it would wait for itself or
   * go too deep.
   */
  async askFor(parent: Work, sought: Sought, depthMax: number): Promise<Outcome | undefined> {
    return (await this.#answerFor(parent, sought, depthMax))?.outcome;
  }

  /** The same, and who said so. */
  async answerFor(parent: Work, sought: Sought): Promise<Answered | undefined> {
    return this.#answerFor(parent, sought, DEPTH_MAX);
  }

  #answerFor(parent: Work, sought: Sought, depthMax: number): Promise<Answered> | undefined {
    const cached = this.failures.find(sought);
    if (cached !== undefined) return Promise.resolve({ outcome: cached, sources: NOBODY, proofs: [] });
    const key = soughtKey(sought);
    const joined = this.#runs.get(key);
    if (joined !== undefined && waitsOn(joined, parent)) return undefined;
    if (joined === undefined && parent.depth >= depthMax) return undefined;
    const run = joined ?? this.#start(childOf(parent, sought, undefined), key);
    return run === undefined ? undefined : this.#wait(parent, run);
  }

  async #wait(parent: Work, run: Run): Promise<Answered> {
    parent.waitsFor.add(run);
    try {
      return { outcome: await run.outcome, sources: run.sources, proofs: run.proofs };
    } finally {
      parent.waitsFor.delete(run);
    }
  }

  #start(parts: Work, key: string): Run | undefined {
    if (this.#runs.size >= RUNS_MAX) return undefined;
    const outcome = this.#work(parts, key);
    // A bug reaches whoever waits; when nobody does any more it must not end the process.
    outcome.catch(() => undefined);
    const run: Run = { ...parts, outcome };
    this.#runs.set(key, run);
    return run;
  }

  async #work(parts: Work, key: string): Promise<Outcome> {
    // It begins in a later turn, so that the run is in the table before it can ask for others.
    await undefined;
    try {
      const settled = await this.#resolve(parts);
      this.#remember(parts, settled);
      return settled;
    } finally {
      this.#runs.delete(key);
    }
  }

  #remember(run: Work, outcome: Outcome): void {
    // What other servers would say is not known.
    if (run.avoid !== undefined) return;
    if (outcome.kind !== "failed") this.failures.forget(run.sought);
    // RFC 9520 §3.2: that a server does not respond is remembered of the server, there; names fail no longer than it does.
    else if (["closed", "busy", "no reachable forwarder"].includes(outcome.reason)) return;
    else if (run.depth === 0 || !outcome.isCircumstantial) this.failures.note(run.sought, outcome);
    if (outcome.kind === "failed" && run.depth === 0) this.onFailure(run.sought, outcome);
  }
}

function childOf(parent: Work, sought: Sought, avoid: ReadonlySet<string> | undefined): Work {
  return {
    sought,
    quota: parent.quota,
    depth: parent.depth + 1,
    clientSought: parent.clientSought,
    waitsFor: new Set(),
    sources: new Set(),
    proofs: [],
    avoid,
    leewayMs: parent.leewayMs,
  };
}

const NOBODY: ReadonlySet<string> = new Set();

/** True when a run waits, directly or through others, for what `parent` is to find out. */
function waitsOn(run: Run, parent: Work): boolean {
  const seen = new Set<Run>();
  const toVisit = [run];
  for (let next = toVisit.pop(); next !== undefined; next = toVisit.pop()) {
    if (next.waitsFor === parent.waitsFor) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    toVisit.push(...next.waitsFor);
  }
  return false;
}

const busy: Outcome = {
  kind: "failed",
  reason: "busy",
  isCircumstantial: true,
  extendedErrors: [{ code: EdeCode.Other, text: "too many resolutions at once" }],
};

/** About 20 kB each with their sockets: 100 MB under attack. Unbound's `num-queries-per-thread` is 4096. */
export const RUNS_MAX = 4096;
