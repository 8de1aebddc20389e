/** Rows about EDNS options: keepalive, padding, cookies, client subnet, and servers that know no EDNS. */
import type { Cell } from "../model.ts";
import { cellOf, type Finding, find } from "./cell.ts";
import {
  nothingCame,
  overStream,
  overTls,
  overUdp,
  type ProbeContext,
  type RowProbe,
  simpleProbe,
  withoutUse,
} from "./row-probe.ts";
import { judgePipelining } from "./rows-connections.ts";
import { queriesOf, questions, type Run, streamsOf } from "./run.ts";

/** RFC 7828 §3.2.1: without a value in queries, and never over UDP. */
export function judgeKeepalive(run: Run): Finding {
  const queries = queriesOf(run, "tcp", "tls");
  if (queries.length === 0) return nothingCame("over TCP or TLS");
  const wrong = queries.filter(({ edns }) => edns?.keepalive !== undefined && edns.keepalive !== "empty");
  if (wrong.length > 0)
    return find("broken", `the option came with a value in ${wrong.length} of ${queries.length} queries`);
  const clear = queriesOf(run, "udp").filter(({ edns }) => edns?.keepalive !== undefined);
  if (clear.length > 0) return find("broken", "the option came over UDP, where it must not be");
  const asked = queries.filter(({ edns }) => edns?.keepalive === "empty").length;
  const observed = `the option came in ${asked} of ${queries.length} queries`;
  return asked > 0 ? find("released", observed) : find("none", observed);
}

/** What a client did when it had been told a timeout of 0. */
export type AfterZero = "asked elsewhere" | "went on" | "stayed";

/**
 * What became of the first connection, whose server said 0 in its first reply; undefined when nobody could tell. Queries within
 * `reactionMs` after that reply may have crossed it.
 */
export function afterZero(run: Run, reactionMs: number): AfterZero | undefined {
  const [first, ...later] = streamsOf(run);
  const repliedMs = first?.events.find(
    ({ direction, what }) => direction === "out" && what === "reply",
  )?.atMs;
  if (first === undefined || repliedMs === undefined) return undefined;
  if (first.queries.some(({ atMs }) => atMs > repliedMs + reactionMs)) return "went on";
  if ((lingerMs(run) ?? 0) > AT_ONCE_MS) return "stayed";
  return later.length > 0 ? "asked elsewhere" : undefined;
}

/**
 * How long after its last answer the client ended its first connection, milliseconds; undefined when it did not, or the
 * server did.
 */
export function lingerMs(run: Run): number | undefined {
  const [first] = streamsOf(run);
  const reply = first?.events.findLast(({ direction, what }) => direction === "out" && what === "reply");
  const end = first?.events.find(({ what }) => what.startsWith("end: "));
  if (reply === undefined || end === undefined || first?.endedBy === "server") return undefined;
  return end.atMs - reply.atMs;
}

async function probeObedience({ runner, plan }: ProbeContext): Promise<Cell> {
  const { row, requirements } = OBEDIENCE;
  const use = overStream(plan);
  if (use === undefined) return cellOf(row, requirements, withoutUse(plan, "over TCP or TLS"), []);
  const asking = await runner.run({ fixture: "good", use, questions: questions(3) });
  if (judgeKeepalive(asking).verdict === "none")
    return cellOf(row, requirements, find("not applicable", "it does not ask for a timeout"), [asking]);
  const slow = await runner.run({ fixture: "good", use, questions: questions(3, "delay-400") });
  const isPipelining = judgePipelining(slow, plan).verdict === "released";
  const zero = await runner.run({
    fixture: "keepalive-0",
    use,
    questions: [{}, { atMs: 500 }, { atMs: 1000 }],
  });
  // A command that does not wait for answers has sent all before it could know.
  const reactionMs = plan.isDaemon ? REACTION_MS : isPipelining ? Number.POSITIVE_INFINITY : 0;
  const runs = [zero];
  let timeout: boolean | undefined;
  // Some commands, too, stay until their connection is idle.
  if (plan.isDaemon || (lingerMs(asking) ?? 0) > PROMISED_MS + MARGIN_MS) {
    const short = await runner.run({
      fixture: "keepalive-lies-short",
      use,
      questions: questions(1),
      holdMs: PROMISED_MS + 1500,
    });
    runs.push(short);
    const took = lingerMs(short);
    timeout = took === undefined ? undefined : took <= PROMISED_MS + MARGIN_MS;
  }
  return cellOf(row, requirements, judgeObedience(afterZero(zero, reactionMs), timeout), runs);
}

/** Both halves together; undefined is what could not be seen. */
export function judgeObedience(zero: AfterZero | undefined, isTimely: boolean | undefined): Finding {
  const parts: string[] = [];
  if (zero !== undefined) parts.push(AFTER_ZERO[zero]);
  if (isTimely !== undefined)
    parts.push(`it ${isTimely ? "closed" : "did not close"} within the second that the server had told`);
  if (parts.length === 0)
    return find("not testable", "it ends with its answers, so that nobody sees what it makes of a timeout");
  const good = [zero === "asked elsewhere", isTimely === true].filter((is) => is).length;
  const verdict = good === parts.length ? "released" : good > 0 ? "partial" : "none";
  return find(verdict, parts.join("; "));
}

const AFTER_ZERO: Readonly<Record<AfterZero, string>> = {
  "asked elsewhere": "after a timeout of 0 it asked on another connection",
  "went on": "it went on asking on a connection whose timeout was 0",
  stayed: "it left a connection open whose timeout was 0",
};

const OBEDIENCE: RowProbe = {
  row: "keepalive-obeyed",
  requirements: ["7828-3.2.2-b", "7828-3.2.2-c"],
  fixtures: ["keepalive-0", "keepalive-lies-short"],
  probe: probeObedience,
};

/** RFC 8467 §4.1: to multiples of 128 octets. */
export function judgePadding(run: Run): Finding {
  const queries = queriesOf(run, "tls");
  if (queries.length === 0) return nothingCame("over TLS");
  const padded = queries.filter(({ edns }) => edns?.paddingOctets !== undefined);
  const sizes = [...new Set(queries.map(({ octets }) => octets))].join(", ");
  const observed = `${padded.length} of ${queries.length} queries were padded; they had ${sizes} octets`;
  if (padded.length === 0) return find("none", observed);
  const isRight =
    padded.length === queries.length && queries.every(({ octets }) => octets % BLOCK_OCTETS === 0);
  return isRight
    ? find("released", observed)
    : find("partial", `${observed}, not multiples of ${BLOCK_OCTETS}`);
}

function judgeCookies(run: Run): Finding {
  const queries = queriesOf(run, "udp");
  if (queries.length === 0) return nothingCame("over UDP");
  const [octets] = queries.flatMap(({ edns }) => edns?.cookieOctets ?? []);
  return octets === undefined
    ? find("none", "no query had a cookie")
    : find("released", `a cookie of ${octets} octets came`);
}

/** RFC 8310 §11.1 by way of RFC 7871 §7.1.2: a prefix of no bits. */
export function judgeClientSubnet(run: Run): Finding {
  const queries = queriesOf(run);
  if (queries.length === 0) return nothingCame("at all");
  const bits = queries.flatMap(({ edns }) => edns?.clientSubnetBits ?? []);
  if (bits.length === 0) return find("none", "no query had the option");
  const told = bits.find((one) => one > 0);
  return told === undefined
    ? find("released", "a prefix of no bits came, which asks to tell nobody")
    : find("broken", `it tells ${told} bits of an address`);
}

/** RFC 7828 §3.5, RFC 6891 §6.2.2: FORMERR without OPT says that EDNS is not known. */
export function judgeEdnsFallback(run: Run): Finding {
  const queries = queriesOf(run);
  const [first] = queries;
  if (first === undefined) return nothingCame("at all");
  if (first.edns === undefined) return find("not applicable", "it does not use EDNS");
  return queries.some(({ edns }) => edns === undefined)
    ? find("released", "after FORMERR the question came again without OPT")
    : find("none", `after FORMERR ${queries.length === 1 ? "nothing" : "no query without OPT"} came`);
}

const BLOCK_OCTETS = 128;
/** What `keepalive-lies-short` promises. */
const PROMISED_MS = 1000;
/** A client closes before the time; on a busy machine its FIN may be seen a little later. */
const MARGIN_MS = 200;
/** Without a timeout to wait for; a busy machine takes its time, too. */
const AT_ONCE_MS = 500;
/** A query of a client that does not wait for answers may cross the one that forbids it. */
const REACTION_MS = 20;

/** In the order of the table. */
export const OPTION_PROBES: readonly RowProbe[] = [
  simpleProbe({
    row: "keepalive",
    requirements: ["7828-3.2.1-b", "7828-3.2.1-c", "7828-3.2.1-a"],
    use: overStream,
    exercise: { questions: questions(3) },
    judge: judgeKeepalive,
  }),
  OBEDIENCE,
  simpleProbe({
    row: "padding",
    requirements: ["8467-4.1-a", "8310-11.1-a"],
    use: overTls,
    exercise: { questions: questions(3) },
    judge: judgePadding,
  }),
  simpleProbe({
    row: "cookies",
    requirements: ["7873-5.3-a"],
    use: overUdp,
    exercise: { questions: questions(1) },
    judge: judgeCookies,
  }),
  simpleProbe({
    row: "client-subnet",
    requirements: ["8310-11.1-b"],
    use: (plan) => overUdp(plan) ?? overStream(plan),
    exercise: { questions: questions(1) },
    judge: judgeClientSubnet,
  }),
  simpleProbe({
    row: "edns-fallback",
    requirements: ["7828-3.5-a"],
    fixture: "edns-formerr",
    use: (plan) => overUdp(plan) ?? overStream(plan),
    exercise: { questions: questions(1) },
    judge: judgeEdnsFallback,
  }),
];
