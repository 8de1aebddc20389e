/** Which tables of token buckets the rates of rules have: of their own, or those that threads share, one for each in the order of the rules. */
import type { Random } from "@sotto/dns/runtime";
import type { Rule, Selector } from "./rule.ts";
import { type Rate, type SharedBuckets, TokenBuckets } from "./token-buckets.ts";

/** Makes the buckets of the next rate. */
export type MakeBuckets = (rate: Rate) => TokenBuckets;

/** Each in one of the tables, or in one of its own when there are none. More rates than tables are a RangeError. */
export function makeBucketsIn(tables: readonly SharedBuckets[] | undefined, random: Random): MakeBuckets {
  if (tables === undefined) return (rate) => new TokenBuckets(rate, random);
  const left = tables.values();
  return (rate) => {
    const { value: table } = left.next();
    if (table === undefined) throw new RangeError("there are more rates than tables for them");
    return new TokenBuckets(rate, random, table);
  };
}

/** How many tables rules need. */
export function countRates(rules: readonly Pick<Rule, "when" | "actions">[]): number {
  let count = 0;
  for (const { when, actions } of rules) {
    count += countIn(when);
    for (const { kind } of actions) if (kind === "rate-limit") count++;
  }
  return count;
}

function countIn(selectors: readonly Selector[]): number {
  let count = 0;
  for (const selector of selectors) {
    if (selector.kind === "client-rate" || selector.kind === "name-rate") count++;
    else if (selector.kind === "not") count += countIn(selector.selectors);
    else if (selector.kind === "any") for (const choice of selector.choices) count += countIn(choice);
  }
  return count;
}
