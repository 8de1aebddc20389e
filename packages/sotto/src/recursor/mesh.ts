/**
 * All resolutions under way: one per question, however many clients or other resolutions wait for it. Knows who waits
 * for whom, so that zones that need each other's addresses do not wait forever.
 */
import type { RRset } from "@sotto/dns/cache";
import type { Clock } from "@sotto/dns/runtime";
import { EdeCode } from "@sotto/dns/wire";
import { FailureCache, type OnFailure } from "./failure-cache.ts";
import { type Outcome, type Sought, soughtKey } from "./outcome.ts";
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
  /** The runs this one waits for now; made by the mesh when it waits for the first. */
  waitsFor: Set<Run> | undefined;
  /** Addresses of servers whose replies were used; made when there is one. */
  sources: Set<string> | undefined;
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
  readonly #runs = new Runs();

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
    while (this.#runs.size > 0) await Promise.allSettled(this.#runs.all().map((run) => run.outcome));
  }

  /** Begins work for a client's question, with a purse of its own. */
  begin(sought: Sought): Work {
    const quota = new Quota(this.#clock.nowMs() + this.#deadlineMs);
    return {
      sought,
      quota,
      depth: -1,
      clientSought: sought,
      waitsFor: undefined,
      sources: undefined,
      proofs: [],
      avoid: undefined,
      leewayMs: 0,
    };
  }

  /** Answers a client's work: joins the run for the question or starts one. */
  ask(work: Work): Promise<Answered> {
    const { sought } = work;
    const joined = this.#runs.find(sought);
    const answering = this.#answerFor(work, sought, DEPTH_MAX, joined);
    if (answering === undefined) return Promise.resolve({ outcome: busy, sources: NOBODY, proofs: [] });
    return joined === undefined || joined.depth === 0 ? answering : this.#unlessStarved(work, answering);
  }

  /** A run of somebody else's question may have been starved by it: that must not be this client's answer. */
  async #unlessStarved(work: Work, answering: Promise<Answered>): Promise<Answered> {
    const answered = await answering;
    const { outcome } = answered;
    const wasStarved = outcome.kind === "failed" && outcome.isCircumstantial;
    if (!wasStarved) return answered;
    return (await this.#answerFor(work, work.sought, DEPTH_MAX)) ?? answered;
  }

  /** Asks for something that nobody waits for, with a purse of its own. */
  prime(sought: Sought): void {
    if (this.#runs.find(sought) !== undefined || this.failures.find(sought) !== undefined) return;
    const run = this.#add(new Running(this.begin(sought), sought, undefined, 0));
    // What somebody waits for goes first.
    if (run !== undefined) queueMicrotask(() => this.#start(run));
  }

  /** Resolves a question again, past the cache and past the servers in `avoid`. */
  async askAgain(
    parent: Work,
    sought: Sought,
    avoid: ReadonlySet<string>,
    leewayMs = 0,
  ): Promise<Answered | undefined> {
    if (parent.depth >= DEPTH_MAX) return undefined;
    const run = this.#add(new Running(parent, sought, avoid, leewayMs));
    return run && this.#startFor(parent, run);
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

  #answerFor(
    parent: Work,
    sought: Sought,
    depthMax: number,
    joined = this.#runs.find(sought),
  ): Promise<Answered> | undefined {
    const cached = this.failures.find(sought);
    if (cached !== undefined) return Promise.resolve({ outcome: cached, sources: NOBODY, proofs: [] });
    if (joined !== undefined && waitsOn(joined, parent)) return undefined;
    if (joined === undefined && parent.depth >= depthMax) return undefined;
    if (joined !== undefined) return this.#wait(parent, joined);
    const run = this.#add(new Running(parent, sought, undefined, parent.leewayMs));
    return run && this.#startFor(parent, run);
  }

  /** That somebody waits for it has to be known before it can ask for others. */
  #startFor(parent: Work, run: Running): Promise<Answered> {
    const answering = this.#wait(parent, run);
    this.#start(run);
    return answering;
  }

  #wait(parent: Work, run: Run): Promise<Answered> {
    // Nobody waits for a client's work, so that it cannot be in a circle.
    if (parent.depth >= 0) parent.waitsFor ??= new Set();
    const { waitsFor } = parent;
    waitsFor?.add(run);
    return run.outcome.then(
      (outcome) => {
        waitsFor?.delete(run);
        return { outcome, sources: run.sources ?? NOBODY, proofs: run.proofs };
      },
      (problem: unknown) => {
        waitsFor?.delete(run);
        throw problem;
      },
    );
  }

  #add(run: Running): Running | undefined {
    if (this.#runs.size >= RUNS_MAX) return undefined;
    this.#runs.add(run);
    return run;
  }

  #start(run: Running): void {
    try {
      this.#resolve(run).then(
        (outcome) => this.#end(run, outcome),
        (bug: unknown) => this.#break(run, bug),
      );
    } catch (bug) {
      this.#break(run, bug);
    }
  }

  #end(run: Running, outcome: Outcome): void {
    try {
      this.#remember(run, outcome);
    } catch (bug) {
      this.#break(run, bug);
      return;
    }
    this.#runs.delete(run);
    run.settle(outcome);
  }

  /** A bug reaches whoever waits; when nobody does any more it must not end the process. */
  #break(run: Running, bug: unknown): void {
    this.#runs.delete(run);
    run.outcome.catch(() => undefined);
    run.fail(bug);
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

/** A run for another one or for a client's work. */
class Running implements Run {
  readonly sought: Sought;
  readonly quota: Quota;
  readonly depth: number;
  readonly clientSought: Sought;
  readonly outcome: Promise<Outcome>;
  waitsFor: Set<Run> | undefined = undefined;
  sources: Set<string> | undefined = undefined;
  readonly proofs: RRset[] = [];
  readonly avoid: ReadonlySet<string> | undefined;
  readonly leewayMs: number;
  /** Another one for the same name. */
  next: Running | undefined = undefined;
  settle: (outcome: Outcome) => void = () => undefined;
  fail: (problem: unknown) => void = () => undefined;

  constructor(parent: Work, sought: Sought, avoid: ReadonlySet<string> | undefined, leewayMs: number) {
    this.sought = sought;
    this.quota = parent.quota;
    this.depth = parent.depth + 1;
    this.clientSought = parent.clientSought;
    this.avoid = avoid;
    this.leewayMs = leewayMs;
    this.outcome = new Promise((resolve, reject) => {
      this.settle = resolve;
      this.fail = reject;
    });
  }
}

/** Those that may be joined, by name: few names are asked for two types at once, and a key of both would be made for each look. */
class Runs {
  readonly #byName = new Map<string, Running>();
  /** By name and type, those of names with more than {@link TYPES_LISTED_MAX}, which nobody honest asks for. */
  readonly #others = new Map<string, Running>();
  /** Those that nobody joins: they are asked again, past the cache. */
  readonly #alone = new Set<Running>();
  #listed = 0;

  get size(): number {
    return this.#listed + this.#others.size + this.#alone.size;
  }

  find(sought: Sought): Running | undefined {
    let run = this.#byName.get(sought.name.key);
    while (run !== undefined && run.sought.type !== sought.type) run = run.next;
    return run ?? (this.#others.size === 0 ? undefined : this.#others.get(soughtKey(sought)));
  }

  add(run: Running): void {
    if (run.avoid !== undefined) {
      this.#alone.add(run);
      return;
    }
    const { key } = run.sought.name;
    const first = this.#byName.get(key);
    let count = 0;
    for (let one = first; one !== undefined; one = one.next) count++;
    if (count >= TYPES_LISTED_MAX) {
      this.#others.set(soughtKey(run.sought), run);
      return;
    }
    this.#listed++;
    run.next = first;
    this.#byName.set(key, run);
  }

  delete(run: Running): void {
    if (this.#alone.delete(run) || this.#deleteOther(run)) return;
    this.#listed--;
    const { key } = run.sought.name;
    const first = this.#byName.get(key);
    if (first === run && run.next === undefined) this.#byName.delete(key);
    else if (first === run && run.next !== undefined) this.#byName.set(key, run.next);
    else for (let one = first; one !== undefined; one = one.next) if (one.next === run) one.next = run.next;
  }

  #deleteOther(run: Running): boolean {
    if (this.#others.size === 0) return false;
    const key = soughtKey(run.sought);
    return this.#others.get(key) === run && this.#others.delete(key);
  }

  all(): Running[] {
    const all = [...this.#alone, ...this.#others.values()];
    for (const first of this.#byName.values())
      for (let run: Running | undefined = first; run !== undefined; run = run.next) all.push(run);
    return all;
  }
}

const NOBODY: ReadonlySet<string> = new Set();

/** True when a run waits, directly or through others, for what `parent` is to find out. */
function waitsOn(run: Run, parent: Work): boolean {
  const seen = new Set<Run>();
  const toVisit = [run];
  for (let next = toVisit.pop(); next !== undefined; next = toVisit.pop()) {
    if (next === parent) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    if (next.waitsFor !== undefined) toVisit.push(...next.waitsFor);
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
/** A client and its program ask for three types at once, a validator for two more; a list of so many is looked through in no time. */
const TYPES_LISTED_MAX = 8;
