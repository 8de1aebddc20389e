/** What a stream of queries says about how a stub came back. */
import type { StubName } from "./recovery-programs.ts";
import type { Sent } from "./recovery-stream.ts";

/** How long a client waits for an answer: what resolv.conf(5) says. */
export const DEADLINE_MS = 5000;

/** One stub in one event. All times are milliseconds. */
export interface RecoveryCell {
  readonly stub: StubName;
  /**
   * From the end of the disturbance to the first good answer, after the longest silence when that began with it; null: none came
   * as long as it was observed.
   */
  readonly firstGoodMs: number | null;
  /** From the end of the disturbance to when the last query was sent that was lost; 0: none was lost after it. */
  readonly settledMs: number;
  readonly queries: number;
  /** Without a good answer within {@link DEADLINE_MS}. */
  readonly lost: number;
  /** Of those, answered SERVFAIL although the client would have waited for more than {@link HURRY_MS} longer. */
  readonly early: number;
  /** Of those, with {@link ROOM_MS} or more between the end of the disturbance and their deadline. */
  readonly avoidable: number;
  /** Longest time without a good answer while there were questions. */
  readonly gapMs: number;
  /** When the disturbance began and ended, and each query: when it was sent, answered well, and refused. */
  readonly beginMs: number;
  readonly endMs: number;
  readonly trace: readonly (readonly [atMs: number, answeredMs: number | null, refusedMs: number | null])[];
}

export function measure(stub: StubName, sent: readonly Sent[], beginMs: number, endMs: number): RecoveryCell {
  const isAnswered = ({ atMs, answeredMs, isGood }: Sent): boolean =>
    isGood && answeredMs !== undefined && answeredMs - atMs <= DEADLINE_MS;
  // What came before it first answered was for finding out when it does.
  const firstMs = sent.find(isAnswered)?.atMs ?? 0;
  const queries = sent.filter(({ atMs }) => atMs >= firstMs);
  const good = queries.filter(isAnswered);
  const lost = queries.filter((one) => !isAnswered(one));
  const isRefused = ({ atMs, answeredMs, isGood }: Sent): boolean =>
    !isGood && answeredMs !== undefined && answeredMs - atMs < DEADLINE_MS;
  const isEarly = (one: Sent): boolean =>
    isRefused(one) && (one.answeredMs ?? 0) - one.atMs < DEADLINE_MS - HURRY_MS;
  const answeredMs = good.flatMap((one) => one.answeredMs ?? []).sort((a, b) => a - b);
  const gap = longestGap(queries, answeredMs, beginMs);
  // What was on its way when it happened says nothing about coming back.
  const isOfEvent = gap.ms >= SILENCE_MS && gap.sinceMs <= endMs + STARTS_WITHIN_MS;
  const fromMs = isOfEvent ? Math.max(endMs, gap.sinceMs + gap.ms) : endMs;
  const firstGood = answeredMs.find((atMs) => atMs >= fromMs);
  const lastLostMs = lost.at(-1)?.atMs ?? endMs;
  return {
    stub,
    firstGoodMs: firstGood === undefined ? null : Math.round(firstGood - endMs),
    settledMs: Math.max(0, Math.round(lastLostMs - endMs)),
    queries: queries.length,
    lost: lost.length,
    early: lost.filter(isEarly).length,
    avoidable: lost.filter(({ atMs }) => atMs + DEADLINE_MS - endMs >= ROOM_MS).length,
    gapMs: Math.round(gap.ms),
    beginMs: Math.round(beginMs),
    endMs: Math.round(endMs),
    trace: queries.map((one) => [
      Math.round(one.atMs),
      isAnswered(one) ? Math.round(one.answeredMs ?? 0) : null,
      isRefused(one) ? Math.round(one.answeredMs ?? 0) : null,
    ]),
  };
}

/** From the first question after an answer to the next answer: silence without questions is none. */
function longestGap(queries: readonly Sent[], answeredMs: readonly number[], sinceMs: number): Gap {
  let longest: Gap = { sinceMs, ms: 0 };
  let from = sinceMs;
  for (const untilMs of [...answeredMs.filter((atMs) => atMs > sinceMs), queries.at(-1)?.atMs ?? 0]) {
    const asked = queries.find(({ atMs }) => atMs > from)?.atMs ?? untilMs;
    const since = Math.max(from, asked);
    if (untilMs - since > longest.ms) longest = { sinceMs: since, ms: untilMs - since };
    from = untilMs;
  }
  return longest;
}

interface Gap {
  readonly sinceMs: number;
  readonly ms: number;
}

/** Shorter silences are everyday. */
const SILENCE_MS = 250;
/** A silence that began later came of something else. */
const STARTS_WITHIN_MS = 500;
/** Whoever answers SERVFAIL must do so a little before the client stops listening; the rest is for a machine that is busy. */
const HURRY_MS = 750;
/** One retry interval of the transport, two seconds, and half a second for a machine that is busy. */
const ROOM_MS = 2500;
