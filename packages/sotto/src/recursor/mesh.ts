/**
 * All resolutions under way: one per question, however many clients or other resolutions wait for it. Knows who waits
 * for whom, so that zones that need each other's addresses do not wait forever.
 */
import type { Clock } from "@sotto/dns/runtime";
import { EdeCode } from "@sotto/dns/wire";
import { FailureCache } from "./failure-cache.ts";
import type { Outcome, Sought } from "./outcome.ts";
import { soughtKey } from "./outcome.ts";
import { Quota } from "./quota.ts";

/** One resolution under way. */
export interface Run {
  readonly sought: Sought;
  readonly quota: Quota;
  /** 0 for a client's question, one more for each resolution that was started for another. */
  readonly depth: number;
  /** The client question that this work is for, for people. */
  readonly clientSought: Sought;
  readonly outcome: Promise<Outcome>;
  /** The runs this one waits for now. */
  readonly waitsFor: Set<Run>;
}

/** Does the work of a run; never rejects but for a bug. */
export type Resolve = (run: Omit<Run, "outcome">) => Promise<Outcome>;

export class Mesh {
  readonly failures: FailureCache;
  readonly #resolve: Resolve;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #runs = new Map<string, Run>();

  /** `deadlineMs` is the longest time for one run, milliseconds. */
  constructor(resolve: Resolve, deadlineMs: number, clock: Clock) {
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

  /** Answers a client: joins the run for the question or starts one with a quota of its own. */
  async ask(sought: Sought): Promise<Outcome> {
    const cached = this.failures.find(sought);
    if (cached !== undefined) return cached;
    const joined = this.#runs.get(soughtKey(sought));
    if (joined === undefined) return this.#startForClient(sought);
    const outcome = await joined.outcome;
    // The run belonged to somebody else's question and was starved by it: that must not be this client's answer.
    const wasStarved = outcome.kind === "failed" && joined.depth > 0 && outcome.isCircumstantial;
    if (!wasStarved) return outcome;
    const again = this.#runs.get(soughtKey(sought));
    return again === undefined ? this.#startForClient(sought) : again.outcome;
  }

  /**
   * Resolves something for another run, with that run's quota and deadline. Undefined when it would wait for itself or
   * go too deep.
   */
  async askFor(parent: Omit<Run, "outcome">, sought: Sought, depthMax: number): Promise<Outcome | undefined> {
    const cached = this.failures.find(sought);
    if (cached !== undefined) return cached;
    const joined = this.#runs.get(soughtKey(sought));
    if (joined !== undefined && waitsOn(joined, parent)) return undefined;
    if (joined === undefined && parent.depth >= depthMax) return undefined;
    const run =
      joined ??
      this.#start({
        sought,
        quota: parent.quota,
        depth: parent.depth + 1,
        clientSought: parent.clientSought,
        waitsFor: new Set(),
      });
    if (run === undefined) return undefined;
    parent.waitsFor.add(run);
    try {
      return await run.outcome;
    } finally {
      parent.waitsFor.delete(run);
    }
  }

  #startForClient(sought: Sought): Promise<Outcome> {
    const quota = new Quota(this.#clock.nowMs() + this.#deadlineMs);
    const run = this.#start({ sought, quota, depth: 0, clientSought: sought, waitsFor: new Set() });
    return run === undefined ? Promise.resolve(busy) : run.outcome;
  }

  #start(parts: Omit<Run, "outcome">): Run | undefined {
    if (this.#runs.size >= RUNS_MAX) return undefined;
    const key = soughtKey(parts.sought);
    // The work begins in a later turn, so that the run is in the table before it can ask for others.
    const outcome = Promise.resolve()
      .then(() => this.#resolve(parts))
      .then((settled) => {
        this.#remember(parts, settled);
        return settled;
      })
      .finally(() => this.#runs.delete(key));
    // A bug reaches whoever waits; when nobody does any more it must not end the process.
    outcome.catch(() => undefined);
    const run: Run = { ...parts, outcome };
    this.#runs.set(key, run);
    return run;
  }

  #remember(run: Omit<Run, "outcome">, outcome: Outcome): void {
    if (outcome.kind !== "failed") this.failures.forget(run.sought);
    else if (outcome.reason === "closed" || outcome.reason === "busy") return;
    else if (run.depth === 0 || !outcome.isCircumstantial) this.failures.note(run.sought, outcome);
  }
}

/** True when a run waits, directly or through others, for what `parent` is to find out. */
function waitsOn(run: Run, parent: Omit<Run, "outcome">): boolean {
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
