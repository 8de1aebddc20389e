/** The edns-tcp-keepalive option (RFC 7828), and whether the connection lives as long as it says. */
import {
  EdnsOptionCode,
  KEEPALIVE_UNIT_MS,
  type Message,
  makeKeepalive,
  tryReadKeepalive,
} from "@sotto/dns/wire";
import { Asker } from "./asker.ts";
import type { Check } from "./check.ts";
import { type Finding, found, notTestable, proberFailed } from "./finding.ts";
import type { ProbeStream } from "./probe-stream.ts";
import type { Prober } from "./prober.ts";
import type { Transcript } from "./transcript.ts";

/** What the option of one reply said: milliseconds, that it was absent, or what is wrong with it. */
export type KeepaliveSeen = number | "absent" | { readonly problem: string };

export const KEEPALIVE_CHECKS: readonly Check[] = [
  {
    row: "keepalive",
    requirements: ["7828-3.1-a", "7828-3.3.2-a", "7828-3.3.2-b", "7828-3.3.2-c", "7828-3.3.1-a"],
    sends:
      "three queries over one connection, the first and the third with the option; one with it over UDP; and an idle connection",
    over: ["udp", "tcp", "tls"],
    on: "each",
    run: async (prober, transport, log) => {
      if (transport === "udp") return judgeUdp(await overUdp(prober, log));
      const asker = new Asker(prober, transport, log);
      const seen = await threeQueries(prober, asker);
      asker.close();
      return judgeKeepalive(seen);
    },
  },
];

async function overUdp(prober: Prober, log: Transcript): Promise<KeepaliveSeen> {
  const edns = { options: [makeKeepalive(undefined)] };
  const answer = await prober.askUdp(prober.query({ name: prober.options.names.existing, edns }), log);
  return answer.kind === "reply" ? keepaliveOf(answer.message) : "absent";
}

async function threeQueries(prober: Prober, asker: Asker): Promise<KeepaliveSeen[] | string> {
  const seen: KeepaliveSeen[] = [];
  for (const isAsked of [true, false, true]) {
    const edns = { options: isAsked ? [makeKeepalive(undefined)] : [] };
    const answer = await asker.ask(prober.query({ name: prober.options.names.existing, edns }));
    if (answer.kind === "none") return `a query with OPT was not answered: ${answer.why}`;
    if (answer.message.edns === undefined)
      return `queries with OPT get replies without OPT, rcode ${answer.message.rcode}`;
    seen.push(keepaliveOf(answer.message));
  }
  return seen;
}

/** What a reply says. */
function keepaliveOf(message: Message): KeepaliveSeen {
  const options = (message.edns?.options ?? []).filter(({ code }) => code === EdnsOptionCode.TcpKeepalive);
  const [option] = options;
  if (option === undefined) return "absent";
  if (options.length > 1) return { problem: `it stands there ${options.length} times` };
  const value = tryReadKeepalive(option.data);
  if (!value.ok) return { problem: `it has ${option.data.length} octets` };
  return value.value === undefined ? { problem: "it has no timeout" } : value.value * KEEPALIVE_UNIT_MS;
}

function judgeUdp(seen: KeepaliveSeen): Finding | undefined {
  if (seen === "absent") return undefined;
  return found("broken", "the option is in a reply over UDP, where it has no meaning");
}

/** What three queries gave: with the option, without it, with it. Exported for its test. */
export function judgeKeepalive(seen: readonly KeepaliveSeen[] | string): Finding {
  if (typeof seen === "string") return found("none", seen);
  const [first = "absent", unasked = "absent", third = "absent"] = seen;
  const wrong = seen.find((one) => typeof one === "object");
  if (typeof wrong === "object") return found("broken", `the option is malformed: ${wrong.problem}`);
  if (first === "absent" && third === "absent")
    return found("none", "asked twice, the option was in no reply");
  if (first === "absent" || third === "absent")
    return found(
      "partial",
      `the option was in one of two replies that it was asked for: ${seconds(first)}, then ${seconds(third)}`,
    );
  if (first === 0 || third === 0)
    return found("partial", `says ${seconds(first)} and then ${seconds(third)}: 0 asks clients to close`);
  const also = unasked === "absent" ? "" : ", also to a query with OPT that did not ask";
  return found(
    "released",
    `says ${first === third ? seconds(first) : `${seconds(first)} and then ${seconds(third)}`}${also}`,
  );
}

function seconds(seen: KeepaliveSeen): string {
  return typeof seen === "number" ? `${seen / 1000} s` : "nothing";
}

/** An idle connection: what was promised, and what came of it. */
export interface IdleWatch {
  readonly transport: "tcp" | "tls";
  readonly promised: KeepaliveSeen;
  /** Milliseconds from the last reply until the server ended it; undefined: it did not while it was watched. */
  readonly closedAfterMs: number | undefined;
  readonly watchedMs: number;
  /** Undefined: it was opened and asked. */
  readonly problem: string | undefined;
}

/**
 * Watches one connection that has nothing to do; the only one that is open beside the one of the current row. Never rejects:
 * it runs beside the other rows, where nobody waits for it.
 */
export async function watchIdle(prober: Prober, log: Transcript): Promise<IdleWatch | undefined> {
  const transport = (["tls", "tcp"] as const).find(
    (one) => prober.target.transports.includes(one) && prober.reach.get(one)?.problem === undefined,
  );
  if (transport === undefined) return undefined;
  const nothing = { transport, promised: "absent", closedAfterMs: undefined, watchedMs: 0 } as const;
  try {
    return await watch(prober, transport, log, nothing);
  } catch (error) {
    return { ...nothing, problem: proberFailed(error).observed };
  }
}

async function watch(
  prober: Prober,
  transport: "tcp" | "tls",
  log: Transcript,
  nothing: Omit<IdleWatch, "problem">,
): Promise<IdleWatch> {
  const opened = await prober.open(transport, log);
  if (!opened.ok) return { ...nothing, problem: opened.problem };
  const stream = opened.value;
  const { clock } = prober.runtime;
  try {
    prober.count(1);
    const edns = { options: [makeKeepalive(undefined)] };
    const withOption = await stream.ask(
      prober.query({ name: prober.options.names.existing, edns }),
      prober.patience.replyMs,
    );
    // Where OPT is not understood, a plain query tells how long idle connections live.
    const answer =
      withOption.kind === "none" && stream.isOpen
        ? await stream.ask(prober.query({ name: prober.options.names.existing }), prober.patience.replyMs)
        : withOption;
    if (answer.kind === "none") return { ...nothing, problem: answer.why };
    const fromMs = clock.nowMs();
    const promised = keepaliveOf(answer.message);
    log.note("waits for the end of the idle connection");
    const closedAtMs = await untilEnd(stream, fromMs + prober.patience.idleMs, prober);
    const watchedMs = clock.nowMs() - fromMs;
    return {
      transport,
      promised,
      closedAfterMs: closedAtMs === undefined ? undefined : closedAtMs - fromMs,
      watchedMs,
      problem: undefined,
    };
  } finally {
    stream.close();
  }
}

/**
 * When the server ended it, undefined when it was open until then or until the probe was stopped; messages that come meanwhile
 * are strays of other rows.
 */
async function untilEnd(
  stream: ProbeStream,
  untilMs: number,
  { runtime, signal }: Prober,
): Promise<number | undefined> {
  for (;;) {
    const leftMs = untilMs - runtime.clock.nowMs();
    if (leftMs <= 0) return undefined;
    const arrival = await stream.next(leftMs);
    // The end of the probe ends the connection, too.
    if (signal.aborted) return undefined;
    if (arrival.kind === "end" || arrival.kind === "closed") return arrival.atMs;
    if (arrival.kind === "silence") return undefined;
  }
}

/** The row about the option, with what the idle connection showed. Exported for its test. */
export function withHonesty(finding: Finding, watch: IdleWatch | undefined): Finding {
  if (finding.verdict !== "released" || watch === undefined || watch.problem !== undefined) return finding;
  const { promised, closedAfterMs, watchedMs } = watch;
  if (typeof promised !== "number") return finding;
  const marginMs = Math.max(HONEST_MARGIN_MS, promised * HONEST_MARGIN_SHARE);
  const { observed } = finding;
  if (closedAfterMs !== undefined && closedAfterMs < promised - marginMs)
    return found(
      "broken",
      `${observed}; but an idle connection that was promised ${promised / 1000} s was closed after ${round(closedAfterMs)} s`,
    );
  if (closedAfterMs !== undefined && closedAfterMs <= promised + marginMs)
    return found(
      "released",
      `${observed}; and an idle connection was closed after ${round(closedAfterMs)} s`,
    );
  if (closedAfterMs !== undefined || watchedMs > promised + marginMs) {
    const seen =
      closedAfterMs === undefined
        ? `was still open after ${round(watchedMs)} s`
        : `was closed after ${round(closedAfterMs)} s only`;
    return found(
      "partial",
      `${observed}; but an idle connection that was promised ${promised / 1000} s ${seen}: the value is not the session's timer`,
    );
  }
  return found("released", `${observed}; not waited out: open after ${round(watchedMs)} s`, "likely");
}

/** The row about idle time. Exported for its test. */
export function judgeIdle(watch: IdleWatch | undefined): Finding {
  if (watch === undefined) return notTestable("needs a connection that is answered over");
  if (watch.problem !== undefined)
    return notTestable(`the connection that was to be idle failed: ${watch.problem}`);
  const { closedAfterMs, watchedMs } = watch;
  const over = `over ${watch.transport.toUpperCase()}`;
  if (closedAfterMs === undefined && watchedMs < IDLE_FEW_MS)
    return notTestable(`the probe was stopped before an idle connection ${over} could be watched`);
  if (closedAfterMs === undefined)
    return found("released", `an idle connection ${over} was still open after ${round(watchedMs)} s`);
  const said = `an idle connection ${over} was closed after ${round(closedAfterMs)} s`;
  return closedAfterMs < IDLE_FEW_MS
    ? found("partial", `${said}: too soon for a second query`)
    : found("released", said);
}

function round(ms: number): number {
  return Math.round(ms / 100) / 10;
}

/** Timers of servers tick, and the way there takes its time. */
const HONEST_MARGIN_MS = 1000;
const HONEST_MARGIN_SHARE = 0.2;
/** RFC 7766 §6.2.3 wants the order of seconds; what is below half a second is no time to think. */
const IDLE_FEW_MS = 500;
