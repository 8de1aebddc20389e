/**
 * Whether a quick answer overtakes a slow one (RFC 7766 §7). With a name of known delay a control says how slow it is; without
 * one, several rounds of names that nobody has asked for stand against a name that is cached, each with its own control.
 */
import type { Check } from "./check.ts";
import { withStream } from "./check-streams.ts";
import { type Finding, found, notTestable } from "./finding.ts";
import type { ProbeStream } from "./probe-stream.ts";
import type { Prober } from "./prober.ts";
import type { Transcript } from "./transcript.ts";

export const ORDER_CHECKS: readonly Check[] = [
  {
    row: "out-of-order",
    requirements: ["7766-6.2.1.1-d", "7766-7-a", "7858-3.3-d", "8932-5.1.3.1-d"],
    sends:
      "a slow query and two quick ones behind it, two rounds with a name of known delay, else five, each after a control",
    over: ["tcp", "tls"],
    on: "each",
    run: (prober, transport, log) =>
      withStream(prober, transport, log, (stream) => outOfOrder(prober, stream, log)),
  },
];

/** What one round and its control gave. */
export interface OrderRound {
  /** How much longer the slow name took than the quick one when each was asked alone, milliseconds; undefined: no answer. */
  readonly slowerByMs: number | undefined;
  /** How long the first quick answer and the slow one took together, milliseconds; undefined: no answer. */
  readonly quickMs: number | undefined;
  readonly slowMs: number | undefined;
  readonly isQuickFirst: boolean;
}

async function outOfOrder(prober: Prober, stream: ProbeStream, log: Transcript): Promise<Finding> {
  const isDelayKnown = prober.options.names.delay !== undefined;
  log.note(
    isDelayKnown
      ? "with a name of known delay"
      : "without a name of known delay: names that have to be looked up",
  );
  const rounds: OrderRound[] = [];
  for (let i = 0; i < (isDelayKnown ? ROUNDS_KNOWN : ROUNDS_COLD) && stream.isOpen; i++) {
    rounds.push(await oneRound(prober, stream, log));
    if (rounds.some(isOvertaken)) break;
  }
  return judgeOrder(rounds, isDelayKnown);
}

async function oneRound(prober: Prober, stream: ProbeStream, log: Transcript): Promise<OrderRound> {
  const { existing } = prober.options.names;
  const slowName = (): string => prober.delayName() ?? prober.uniqueName();
  const { replyMs } = prober.patience;
  prober.count(5);
  log.note("control: the quick name and then the slow one, alone");
  const quickAlone = await stream.ask(prober.query({ name: existing }), replyMs);
  const slowAlone = await stream.ask(prober.query({ name: slowName() }), replyMs);
  const slowerByMs =
    quickAlone.kind === "reply" && slowAlone.kind === "reply"
      ? slowAlone.tookMs - quickAlone.tookMs
      : undefined;
  const queries = prober.queries([{ name: slowName() }, { name: existing }, { name: existing }]);
  stream.send(queries);
  const order: number[] = [];
  const [slow, quick] = await stream.replies(queries, replyMs, order);
  return {
    slowerByMs,
    quickMs: quick?.kind === "reply" ? quick.tookMs : undefined,
    slowMs: slow?.kind === "reply" ? slow.tookMs : undefined,
    isQuickFirst: order[0] !== undefined && order[0] !== 0,
  };
}

/** A slow query that is never answered is lost, not overtaken. */
function isOvertaken({ isQuickFirst, slowMs }: OrderRound): boolean {
  return isQuickFirst && slowMs !== undefined;
}

/** Exported for its test. */
export function judgeOrder(rounds: readonly OrderRound[], isDelayKnown: boolean): Finding {
  const overtaken = rounds.find(isOvertaken);
  const means = isDelayKnown ? "a name of known delay" : "names that had to be looked up";
  if (overtaken !== undefined)
    return found(
      "released",
      `a quick answer came after ${ms(overtaken.quickMs)}, before a slow one that was asked first (${ms(overtaken.slowMs)}); with ${means}`,
    );
  const telling = rounds.filter(({ slowerByMs }) => slowerByMs !== undefined && slowerByMs >= TELLING_MS);
  const [first] = telling;
  if (rounds.every(({ slowerByMs }) => slowerByMs === undefined))
    return notTestable("a quick name and a slow one were not both answered over one connection");
  if (first === undefined) {
    const slower = rounds.map(({ slowerByMs }) => ms(slowerByMs)).join(", ");
    return notTestable(
      isDelayKnown
        ? `the name for delays was answered only ${slower} later than the other one`
        : `names that had to be looked up took only ${slower} longer than the quick one: give a name of known delay (--delay-name)`,
    );
  }
  if (telling.every(({ slowMs }) => slowMs === undefined))
    return notTestable("slow queries that quick ones stood behind were never answered");
  const heldUp = telling.filter(({ quickMs }) => quickMs === undefined || quickMs >= TELLING_MS);
  // In order, and yet the quick one was quick: then the slow one was quick that time, too.
  if (heldUp.length === 0)
    return notTestable("slow names were answered quickly when quick ones stood behind them");
  const said = `in ${heldUp.length} rounds a quick query waited for the slow one before it, which takes ${ms(first.slowerByMs)} longer when asked alone; with ${means}`;
  return found("none", said, heldUp.length > 1 ? "likely" : "guess");
}

function ms(value: number | undefined): string {
  return value === undefined ? "no answer" : `${Math.round(value)} ms`;
}

const ROUNDS_KNOWN = 2;
const ROUNDS_COLD = 5;
/** Less than that can be chance. */
const TELLING_MS = 20;
