/**
 * Rules in their order: the first that ends the walk decides. Before them stand the limits of clients. What is made once is made
 * once: a query makes no garbage unless a rule gives it an answer, a tag or an option.
 */
import type { Runtime } from "@sotto/dns/runtime";
import { EdeCode, type ExtendedError } from "@sotto/dns/wire";
import { ClientGuard, type GuardVerdict } from "./client-guard.ts";
import { CLIENT_MASKS_DEFAULT } from "./client-prefix.ts";
import { allHold, makeMatchers } from "./make-matcher.ts";
import { endOverLimit, makeStep, type Step } from "./make-step.ts";
import { OpenVerdict } from "./open-verdict.ts";
import { makeBucketsIn } from "./rate-tables.ts";
import { canEnd, type Rule } from "./rule.ts";
import { type LoadedSet, RuleSets, type SetSize } from "./rule-sets.ts";
import type { Matcher, SelectorContext } from "./selector.ts";
import type { SharedBuckets } from "./token-buckets.ts";
import type { PoolStates, RuleStep, RuleSubject, Verdict } from "./verdict.ts";
import { Walk } from "./walk.ts";

export interface RuleSetOptions {
  readonly rules: readonly Rule[];
  /** All sets that the rules name. */
  readonly sets: ReadonlyMap<string, LoadedSet>;
  readonly pools: PoolStates;
  /** Limits of each client, which outlive a set of rules; absent: none, but rules may ban. */
  readonly guard?: ClientGuard | undefined;
  /** For the rates of the rules, in their order; absent: each has a table of its own. */
  readonly rateTables?: readonly SharedBuckets[] | undefined;
  /** What has been counted before a reload: rules of the same names go on with it. */
  readonly counted?: RuleCounters | undefined;
}

/** What has happened since the rules were made, or rules of the same names before them. */
export interface RuleCounters {
  readonly rules: readonly { readonly name: string; readonly matches: number; readonly ended: number }[];
  readonly sets: readonly SetSize[];
}

interface ReadyRule {
  readonly name: string;
  readonly matchers: readonly Matcher[];
  /** What ends the walk comes last. */
  readonly steps: readonly Step[];
  /** Queries for which all selectors held, and those whose walk it ended. */
  matches: number;
  ended: number;
}

/** See the head of this file. */
export class RuleSet {
  readonly guard: ClientGuard;
  readonly #sets: RuleSets;
  readonly #rules: readonly ReadyRule[];
  readonly #walk = new Walk();
  readonly #verdict = new OpenVerdict();

  /** Throws a RangeError for rules that no configuration lets through: unknown sets, prefixes that are none. */
  constructor(options: RuleSetOptions, runtime: Runtime) {
    if (options.rules.length > RULES_MAX) throw new RangeError(`there are more than ${RULES_MAX} rules`);
    this.guard = options.guard ?? new ClientGuard(NO_LIMITS, runtime);
    this.#sets = new RuleSets(options.sets);
    const { pools } = options;
    const makeBuckets = makeBucketsIn(options.rateTables, runtime.random);
    const counted = new Map(options.counted?.rules.map((rule) => [rule.name, rule]));
    this.#rules = options.rules.map(({ name, when, actions: given }) => {
      const wantsPolicy = given.some(({ kind }) => kind === "policy");
      const context: SelectorContext = { sets: this.#sets, pools, runtime, makeBuckets, wantsPolicy };
      const actions = [...given].sort((a, b) => Number(canEnd(a)) - Number(canEnd(b)));
      const steps = actions.map((action) => makeStep(action, { guard: this.guard, makeBuckets, rule: name }));
      const { matches = 0, ended = 0 } = counted.get(name) ?? {};
      return { name, matchers: makeMatchers(when, context), steps, matches, ended };
    });
  }

  /** Never throws, allocates nothing when no rule matches. The verdict is valid until the next call. */
  judge(subject: RuleSubject): Verdict {
    const walk = this.#walk;
    const verdict = this.#verdict;
    walk.begin(subject, false);
    verdict.reset();
    const guarded = this.guard.judge(walk.client, subject.nowMs);
    if (guarded !== "pass" && this.#endGuarded(guarded, verdict)) return verdict;
    for (const rule of this.#rules) {
      walk.beginRule();
      if (!allHold(rule.matchers, walk)) continue;
      rule.matches++;
      if (!run(rule.steps, walk, verdict)) continue;
      rule.ended++;
      verdict.rule = rule.name;
      return verdict;
    }
    return verdict;
  }

  #endGuarded(why: GuardVerdict, verdict: OpenVerdict): boolean {
    const { overLimit, banned } = this.guard.options;
    const isBanned = why === "banned";
    const action = isBanned ? banned : overLimit;
    if (!endOverLimit(action, this.#walk, verdict, isBanned ? BANNED : OVER_LIMIT)) return false;
    verdict.rule = isBanned ? "clients.ban" : "clients.rate";
    return true;
  }

  /** Every rule in its order: whether it matched, and what it did or which selector did not hold, in words. Counts nothing. */
  explain(subject: RuleSubject): readonly RuleStep[] {
    const walk = this.#walk;
    const verdict = this.#verdict;
    walk.begin(subject, true);
    verdict.reset();
    const steps: RuleStep[] = [];
    const guarded = this.guard.foresee(walk.client, subject.nowMs);
    let isOver = guarded !== "pass" && this.#endGuarded(guarded, verdict);
    if (isOver) steps.push(guardStep(guarded, walk, verdict));
    for (const rule of this.#rules) {
      const step = isOver ? NOT_REACHED : explainRule(rule, walk, verdict);
      steps.push({ rule: rule.name, ...step });
      isOver ||= step.result === "ends";
    }
    return steps;
  }

  /** Puts another set in place of one; it is in force with the next query. Throws a RangeError when there is none of that name and kind. */
  replaceSet(name: string, loaded: LoadedSet): void {
    this.#sets.replace(name, loaded);
  }

  get counters(): RuleCounters {
    return {
      rules: this.#rules.map(({ name, matches, ended }) => ({ name, matches, ended })),
      sets: this.#sets.sizes(),
    };
  }
}

/** True when one of the steps ends the walk. */
function run(steps: readonly Step[], walk: Walk, verdict: OpenVerdict): boolean {
  for (const step of steps) if (step.run(walk, verdict)) return true;
  return false;
}

function explainRule(rule: ReadyRule, walk: Walk, verdict: OpenVerdict): Omit<RuleStep, "rule"> {
  walk.beginRule();
  const reasons: string[] = [];
  for (const matcher of rule.matchers) {
    const isHeld = matcher.holds(walk);
    reasons.push(matcher.words(walk, isHeld));
    if (!isHeld) return { result: "no match", reasons };
  }
  if (rule.matchers.length === 0) reasons.push("it is for all queries");
  for (const step of rule.steps) {
    reasons.push(step.words(walk));
    if (step.run(walk, verdict)) return { result: "ends", reasons };
  }
  return { result: "goes on", reasons };
}

function guardStep(why: GuardVerdict, walk: Walk, { end }: Verdict): RuleStep {
  const isBanned = why === "banned";
  const reason = isBanned ? "is banned" : "asks more than its queries per second";
  return {
    rule: isBanned ? "clients.ban" : "clients.rate",
    result: "ends",
    reasons: [`client ${walk.clientText} ${reason}`, end],
  };
}

const NOT_REACHED: Omit<RuleStep, "rule"> = { result: "not reached", reasons: [] };
const BANNED: readonly ExtendedError[] = [{ code: EdeCode.Prohibited, text: "banned for a while" }];
const OVER_LIMIT: readonly ExtendedError[] = [
  { code: EdeCode.Prohibited, text: "too many queries per second" },
];
/** Each is asked for each query. */
const RULES_MAX = 1000;
/** For rules without a guard. */
const NO_LIMITS = {
  masks: CLIENT_MASKS_DEFAULT,
  queriesPerSecond: Number.POSITIVE_INFINITY,
  burst: Number.POSITIVE_INFINITY,
  overLimit: "refuse",
  banAfter: Number.POSITIVE_INFINITY,
  ban: { forMs: 0, maxMs: 0 },
  banned: "drop",
} as const;
