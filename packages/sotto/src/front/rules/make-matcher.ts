/** From the data of a selector to what is asked. The table of all selectors is here. */
import {
  alpnMatcher,
  certificateMatcher,
  clientMatcher,
  listenerMatcher,
  tlsVersionMatcher,
  transportMatcher,
} from "./client-selectors.ts";
import {
  ednsMatcher,
  flagsMatcher,
  nameLabelsMatcher,
  nameOctetsMatcher,
  namesMatcher,
  opcodeMatcher,
  qclassMatcher,
  qtypeMatcher,
} from "./question-selectors.ts";
import type { Selector } from "./rule.ts";
import type { Matcher, SelectorContext } from "./selector.ts";
import {
  chanceMatcher,
  clientRateMatcher,
  nameRateMatcher,
  poolMatcher,
  tagMatcher,
  timeMatcher,
} from "./state-selectors.ts";
import type { Walk } from "./walk.ts";

/**
 * Matchers in the order in which they are asked: cheap ones first, those that count last, because they are meant to count only what
 * the others let through. Throws a RangeError for data that no configuration lets through, such as unknown sets.
 */
export function makeMatchers(selectors: readonly Selector[], context: SelectorContext): Matcher[] {
  const sorted = [...selectors].sort((a, b) => rankOf(a) - rankOf(b));
  return sorted.map((selector) => makeMatcher(selector, context));
}

function rankOf(selector: Selector): number {
  switch (selector.kind) {
    case "client-rate":
    case "name-rate":
      return 4;
    case "chance":
      return 3;
    case "not":
      return Math.max(2, ...selector.selectors.map(rankOf));
    case "any":
      return Math.max(2, ...selector.choices.flat().map(rankOf));
    case "names":
      return 1;
    default:
      return 0;
  }
}

function makeMatcher(selector: Selector, context: SelectorContext): Matcher {
  switch (selector.kind) {
    case "client":
      return clientMatcher(selector, context);
    case "certificate":
      return certificateMatcher(selector);
    case "listener":
      return listenerMatcher(selector);
    case "transport":
      return transportMatcher(selector);
    case "tls-version":
      return tlsVersionMatcher(selector);
    case "alpn":
      return alpnMatcher(selector);
    case "names":
      return namesMatcher(selector, context);
    case "qtype":
      return qtypeMatcher(selector);
    case "qclass":
      return qclassMatcher(selector);
    case "opcode":
      return opcodeMatcher(selector);
    case "flags":
      return flagsMatcher(selector);
    case "edns":
      return ednsMatcher(selector);
    case "client-rate":
      return clientRateMatcher(selector, context);
    case "name-rate":
      return nameRateMatcher(selector, context);
    case "pool":
      return poolMatcher(selector, context);
    case "time":
      return timeMatcher(selector);
    case "tag":
      return tagMatcher(selector);
    case "name-octets":
      return nameOctetsMatcher(selector);
    case "name-labels":
      return nameLabelsMatcher(selector);
    case "chance":
      return chanceMatcher(selector, context);
    case "not":
      return notMatcher(makeMatchers(selector.selectors, context));
    case "any":
      return anyMatcher(selector.choices.map((choice) => makeMatchers(choice, context)));
  }
}

/** True when all hold. */
export function allHold(matchers: readonly Matcher[], walk: Walk): boolean {
  for (const matcher of matchers) if (!matcher.holds(walk)) return false;
  return true;
}

/** The first that does not hold, in words; undefined when all hold. */
function firstFailure(matchers: readonly Matcher[], walk: Walk): string | undefined {
  for (const matcher of matchers) if (!matcher.holds(walk)) return matcher.words(walk, false);
  return undefined;
}

function allWords(matchers: readonly Matcher[], walk: Walk): string {
  return matchers.map((matcher) => matcher.words(walk, matcher.holds(walk))).join(" and ");
}

function notMatcher(matchers: readonly Matcher[]): Matcher {
  return {
    holds: (walk) => !allHold(matchers, walk),
    words: (walk, isHeld) =>
      isHeld
        ? `${firstFailure(matchers, walk) ?? ""}, as wanted`
        : `${allWords(matchers, walk)}, which is not wanted`,
  };
}

function anyMatcher(choices: readonly (readonly Matcher[])[]): Matcher {
  return {
    holds: (walk) => {
      for (const choice of choices) if (allHold(choice, walk)) return true;
      return false;
    },
    words: (walk, isHeld) => {
      const held = choices.find((choice) => allHold(choice, walk));
      if (isHeld && held !== undefined) return allWords(held, walk);
      return `none of ${choices.length} choices: ${choices.map((choice) => firstFailure(choice, walk) ?? "").join("; ")}`;
    },
  };
}
