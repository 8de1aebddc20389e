/** What the parts of `front-rules-load` share: where problems go, what rules may refer to, and limits of clients. */
import type { FrontRuleSettings } from "./front-rules.ts";
import type { MasksConfig } from "./front-rules-config.ts";
import { suggest } from "./known-keys.ts";
import { bounded, checkExceptions, known } from "./load-listeners.ts";
import { tryParseDuration } from "./units.ts";

/** Says what is wrong with the setting at a path, which begins with the section. */
export type ReportAt = (path: readonly PropertyKey[], message: string) => void;

/** What else the file defines. */
export interface FrontNames {
  readonly pools: readonly string[];
  readonly listeners: readonly string[];
}

/** What rules may refer to, and where problems go. */
export interface RuleContext extends FrontNames {
  readonly addressSets: ReadonlySet<string>;
  readonly nameSets: ReadonlySet<string>;
  /** Tags of earlier rules. */
  readonly tags: ReadonlySet<string>;
  /** Sets that were referred to. */
  readonly used: Set<string>;
  readonly masks: MasksConfig;
  readonly report: ReportAt;
  readonly warn: ReportAt;
}

/** Bits and factors of clients. */
export function toMasks(masks: FrontRuleSettings["clients"]["masks"], report: ReportAt): MasksConfig {
  checkExceptions(masks.exceptions, (path, message) => report(["exceptions", ...path], message));
  return {
    ipv4Bits: masks.ipv4,
    ipv6Bits: masks.ipv6,
    exceptions: masks.exceptions.map(({ prefix, bits, factor }) => ({ prefix, bits, factor })),
  };
}

/** Queries at once, when nothing else is said: those of a second. */
export function burstOf(perSecond: number, burst: number | undefined): number {
  return burst ?? Math.max(1, Math.ceil(perSecond));
}

/** How long bans are. */
export function toBanTerms(
  first: string,
  longest: string,
  keys: { readonly first: string; readonly longest: string },
  report: ReportAt,
): { readonly forMs: number; readonly maxMs: number } {
  const forMs = bounded(first, 1000, BAN_MS_MAX, (message) => report([keys.first], message));
  const maxMs = known(tryParseDuration(longest));
  if (maxMs > BAN_MS_MAX) report([keys.longest], "is longer than 30d");
  if (maxMs < forMs) report([keys.longest], `is shorter than ${keys.first}`);
  return { forMs, maxMs };
}

/** Reports a name that is not among those that are known, with the nearest one. */
export function checkKnown(
  name: string,
  candidates: Iterable<string>,
  what: string,
  report: (message: string) => void,
): void {
  const all = [...candidates];
  if (all.includes(name)) return;
  const near = suggest(name, all);
  const help =
    near !== undefined
      ? `did you mean ${JSON.stringify(near)}?`
      : all.length === 0
        ? `there is none at all`
        : `known are ${all.slice(0, NAMES_TOLD_MAX).join(", ")}`;
  report(`there is no ${what} ${JSON.stringify(name)}, ${help}`);
}

/** A month; what shall last longer is a rule. */
const BAN_MS_MAX = 30 * 86_400_000;
const NAMES_TOLD_MAX = 10;
