/** Selectors about what goes on: rates, pools, time, tags and chance. */
import { HEADER_OCTETS } from "@sotto/dns/wire";
import { ClientMasking, prefixToText } from "./client-prefix.ts";
import type { ClientRateSelector, NameRateSelector, Selector, TimeSelector } from "./rule.ts";
import { compared, type Matcher, oneOf, type SelectorContext } from "./selector.ts";
import type { Walk } from "./walk.ts";

/** Throws a RangeError for masks that are no prefixes. */
export function clientRateMatcher(
  { perSecond, burst, masks }: ClientRateSelector,
  { makeBuckets }: SelectorContext,
): Matcher {
  const buckets = makeBuckets({ perSecond, burst });
  const masking = new ClientMasking(masks);
  return {
    holds: (walk) => {
      const { client } = walk;
      if (client.length === 0) return false;
      buckets.key(client, 0, masking.bits(client));
      const factor = masking.factor(client);
      const { nowMs } = walk.subject;
      return walk.isTrial ? buckets.peek(nowMs, factor) < 1 : !buckets.take(nowMs, factor);
    },
    words: ({ client }, isHeld) =>
      client.length === 0
        ? "there is no client whose rate could be known"
        : `client ${prefixToText(client, masking.bits(client))} asks ${isHeld ? "more" : "no more"} than ${perSecond * masking.factor(client)} a second`,
  };
}

export function nameRateMatcher(
  { perSecond, burst, labels }: NameRateSelector,
  { makeBuckets }: SelectorContext,
): Matcher {
  const buckets = makeBuckets({ perSecond, burst });
  return {
    holds: (walk) => {
      const { octets, qnameOctets } = walk.view;
      if (qnameOctets === 0) return false;
      const end = HEADER_OCTETS + qnameOctets;
      buckets.nameKey(octets, labels === 0 ? HEADER_OCTETS : suffixStart(octets, end, labels), end);
      const { nowMs } = walk.subject;
      return walk.isTrial ? buckets.peek(nowMs) < 1 : !buckets.take(nowMs);
    },
    words: ({ view }, isHeld) =>
      `${(labels === 0 ? view.qname : view.qname.suffix(labels)).toString()} is asked for ${isHeld ? "more" : "no more"} than ${perSecond} times a second`,
  };
}

/** Where the last `labels` labels of the name begin. */
function suffixStart(octets: Uint8Array, end: number, labels: number): number {
  let count = 0;
  for (let at = HEADER_OCTETS; at < end - 1; at += (octets[at] ?? 0) + 1) count++;
  let at = HEADER_OCTETS;
  for (; count > labels; count--) at += (octets[at] ?? 0) + 1;
  return at;
}

export function poolMatcher(
  { pool, state }: Extract<Selector, { kind: "pool" }>,
  { pools }: SelectorContext,
): Matcher {
  return {
    holds: () => (state === "down" ? pools.isDown(pool) : pools.isSaturated(pool)),
    words: (_, isHeld) => `pool ${pool} is ${isHeld ? "" : "not "}${state}`,
  };
}

export function timeMatcher(selector: TimeSelector): Matcher {
  const { days, fromMinute, toMinute, utcOffsetMinutes, afterMs, beforeMs } = selector;
  const holds = ({ subject: { wallMs } }: Walk): boolean => {
    if (afterMs !== undefined && wallMs < afterMs) return false;
    if (beforeMs !== undefined && wallMs >= beforeMs) return false;
    const { day, minute } = timeOfDay(wallMs, utcOffsetMinutes);
    const isOverMidnight = fromMinute > toMinute;
    const isMorningAfter = isOverMidnight && minute < toMinute;
    // A night is that of the day on which it begins.
    if (days.length > 0 && !days.includes(isMorningAfter ? (day + 6) % 7 : day)) return false;
    if (fromMinute === toMinute) return true;
    return isOverMidnight
      ? isMorningAfter || minute >= fromMinute
      : minute >= fromMinute && minute < toMinute;
  };
  return {
    holds,
    words: ({ subject: { wallMs } }, isHeld) => {
      const { day, minute } = timeOfDay(wallMs, utcOffsetMinutes);
      return `it is ${DAYS[day] ?? ""} ${clockText(minute)}, which is ${isHeld ? "" : "not "}the time of the rule`;
    },
  };
}

function timeOfDay(wallMs: number, utcOffsetMinutes: number): { day: number; minute: number } {
  const minutes = Math.floor(wallMs / 60_000) + utcOffsetMinutes;
  const days = Math.floor(minutes / MINUTES_OF_DAY);
  // The first of January 1970 was a Thursday.
  return { day: (((days + 4) % 7) + 7) % 7, minute: minutes - days * MINUTES_OF_DAY };
}

function clockText(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
}

export function tagMatcher({ tags }: Extract<Selector, { kind: "tag" }>): Matcher {
  return {
    holds: (walk) => {
      for (const tag of walk.tags) if (tags.includes(tag)) return true;
      return false;
    },
    words: (walk, isHeld) => compared("tag", oneOf(walk.tags), oneOf(tags), isHeld),
  };
}

/** In a trial it holds: that it may is what people want to know. */
export function chanceMatcher(
  { probability }: Extract<Selector, { kind: "chance" }>,
  { runtime }: SelectorContext,
): Matcher {
  const threshold = Math.round(probability * CHANCES);
  return {
    holds: (walk) => (walk.isTrial ? threshold > 0 : runtime.random.below(CHANCES) < threshold),
    words: () => `chance takes ${(probability * 100).toPrecision(3)} % of queries`,
  };
}

const MINUTES_OF_DAY = 1440;
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"] as const;
const CHANCES = 1_000_000;
