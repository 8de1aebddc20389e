/** Selectors as they are asked: made once from plain data, then called for each query. */
import type { Runtime } from "@sotto/dns/runtime";
import type { MakeBuckets } from "./rate-tables.ts";
import type { RuleSets } from "./rule-sets.ts";
import type { PoolStates } from "./verdict.ts";
import type { Walk } from "./walk.ts";

/** A selector that is ready to be asked. */
export interface Matcher {
  /** Counts, where it is a rate and the walk is no trial. */
  holds(walk: Walk): boolean;
  /** Why it holds or does not, as `holds` said, for people: what was found, and what was wanted. */
  words(walk: Walk, isHeld: boolean): string;
}

/** What selectors are made with. */
export interface SelectorContext {
  readonly sets: RuleSets;
  readonly pools: PoolStates;
  readonly runtime: Runtime;
  readonly makeBuckets: MakeBuckets;
  /** The rule does what lists say, so that their exceptions matter to it. */
  readonly wantsPolicy: boolean;
}

/** `a`, `a or b`, `a, b or c`. */
export function oneOf(texts: readonly string[]): string {
  if (texts.length < 2) return texts[0] ?? "nothing";
  return `${texts.slice(0, -1).join(", ")} or ${texts.at(-1)}`;
}

/** `WHAT is VALUE, WANTED` with the words that say whether that is what was wanted. */
export function compared(what: string, value: string, wanted: string, isHeld: boolean): string {
  return isHeld ? `${what} is ${value}` : `${what} is ${value}, not ${wanted}`;
}
