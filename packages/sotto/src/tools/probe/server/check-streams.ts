/** How connections are treated: reuse, pipelining, segmentation, half-close, queries in flight (RFC 7766). */
import { frameMessage } from "@sotto/dns/wire";
import type { Check } from "./check.ts";
import { type Finding, found, notTestable } from "./finding.ts";
import type { ProbeTransport } from "./probe-options.ts";
import type { Answer, ProbeStream } from "./probe-stream.ts";
import type { Prober } from "./prober.ts";
import type { Transcript } from "./transcript.ts";

const STREAMS = ["tcp", "tls"] as const;

/** A connection for one look, closed behind it; not to be had: not testable. */
export async function withStream(
  prober: Prober,
  transport: ProbeTransport,
  log: Transcript,
  look: (stream: ProbeStream) => Promise<Finding | undefined>,
): Promise<Finding | undefined> {
  if (transport === "udp") return undefined;
  const opened = await prober.open(transport, log);
  if (!opened.ok)
    return found("broken", `answered before, and now there is no connection: ${opened.problem}`);
  try {
    return await look(opened.value);
  } finally {
    opened.value.close();
  }
}

export const STREAM_CHECKS: readonly Check[] = [
  {
    row: "pipelining",
    requirements: ["7766-6.2.1.1-c", "7766-6.2.1.1-e", "7858-3.3-c"],
    sends: "six queries one after the other without waiting",
    over: STREAMS,
    on: "each",
    run: (prober, transport, log) => pipelined(prober, transport, log, "apart", PIPELINED),
  },
  {
    row: "reuse",
    requirements: ["7766-6.2.1-a", "7858-3.4-a", "7858-3.4-b"],
    sends: "five queries (thorough: 60) over one connection, each when the one before is answered",
    over: STREAMS,
    on: "each",
    run: reused,
  },
  {
    row: "two-in-one",
    requirements: ["7766-6.2.1.1-e", "7766-8-b"],
    sends: "two queries in one segment, or one record of TLS",
    over: STREAMS,
    on: "each",
    run: (prober, transport, log) => pipelined(prober, transport, log, "together", 2),
  },
  {
    row: "segmentation",
    requirements: ["1035-4.2.2-a", "7766-8-b", "7766-8-c"],
    sends: "one query octet by octet, 2 ms apart",
    over: STREAMS,
    on: "each",
    run: octetByOctet,
  },
  {
    row: "half-close",
    requirements: ["1035-4.2.2-b", "7766-6.2.4-b"],
    sends: "on up to three connections: one query and the end of the sending side behind it",
    over: STREAMS,
    on: "each",
    run: halfClosed,
  },
  {
    row: "replies",
    requirements: ["7766-7-c", "7766-5-d", "1035-4.2.2-a"],
    sends: "three queries one after the other, and waits a quarter of a second for what nobody asked for",
    over: STREAMS,
    on: "each",
    run: oneReplyEach,
  },
  {
    row: "in-flight",
    requirements: ["7766-6.2.1.1-e", "7766-10-a"],
    sends: "20 queries at once (thorough: 200) over one connection",
    over: STREAMS,
    on: "each",
    run: inFlight,
  },
];

async function pipelined(
  prober: Prober,
  transport: ProbeTransport,
  log: Transcript,
  how: "apart" | "together",
  count: number,
): Promise<Finding | undefined> {
  return withStream(prober, transport, log, async (stream) => {
    const queries = prober.queries(Array.from({ length: count }, () => usualQuestion(prober)));
    prober.count(count);
    stream.send(queries, how);
    const answers = await stream.replies(queries, prober.patience.replyMs);
    return judgeCount(answers, how === "together" ? "in one segment" : "sent without waiting");
  });
}

/** Exported for its test: how many of the queries that came together were answered. */
export function judgeCount(answers: readonly Answer[], how: string): Finding {
  const { answered, why } = count(answers);
  const said = `${answered} of ${answers.length} queries ${how} were answered`;
  if (why === undefined) return found("released", said);
  return found(answered <= 1 ? "none" : "partial", `${said}; ${why}`);
}

/** How many were answered, and why the first of the others was not. */
function count(answers: readonly Answer[]): { readonly answered: number; readonly why: string | undefined } {
  const answered = answers.filter(({ kind }) => kind === "reply").length;
  return { answered, why: answers.find((answer) => answer.kind === "none")?.why };
}

async function reused(
  prober: Prober,
  transport: ProbeTransport,
  log: Transcript,
): Promise<Finding | undefined> {
  return withStream(prober, transport, log, async (stream) => {
    const wanted = prober.budget.reused;
    let answered = 0;
    for (; answered < wanted; answered++) {
      prober.count(1);
      const answer = await stream.ask(prober.query(usualQuestion(prober)), prober.patience.replyMs);
      if (answer.kind === "reply") continue;
      const said = `${answered} queries were answered over one connection, and then: ${answer.why}`;
      return found(answered <= 1 ? "none" : "partial", said);
    }
    return found("released", `${answered} queries were answered over one connection`);
  });
}

async function octetByOctet(
  prober: Prober,
  transport: ProbeTransport,
  log: Transcript,
): Promise<Finding | undefined> {
  return withStream(prober, transport, log, async (stream) => {
    const query = prober.query(usualQuestion(prober));
    const framed = frameMessage(query.octets);
    log.sent(`query ${query.id} in ${framed.length} segments: ${query.text}`, query.octets, stream.over);
    prober.count(1);
    for (let at = 0; at < framed.length && stream.isOpen; at++) {
      stream.write(framed.subarray(at, at + 1));
      await prober.pause(SEGMENT_PAUSE_MS);
    }
    const [answer] = await stream.replies([query], prober.patience.replyMs);
    if (answer?.kind === "reply")
      return found("released", `a query in ${framed.length} segments was answered`);
    return found("broken", `a query in ${framed.length} segments was not answered: ${answer?.why ?? ""}`);
  });
}

async function halfClosed(
  prober: Prober,
  transport: ProbeTransport,
  log: Transcript,
): Promise<Finding | undefined> {
  const answers: Answer[] = [];
  const failures = (): number => answers.filter(({ kind }) => kind === "none").length;
  while (answers.length < HALF_CLOSES && failures() < HALF_CLOSE_FAILURES) {
    const problem = await withStream(prober, transport, log, async (stream) => {
      const query = prober.query(usualQuestion(prober));
      prober.count(1);
      stream.send([query]);
      stream.end();
      log.sent("ends its side of the connection (FIN)");
      answers.push(...(await stream.replies([query], prober.patience.replyMs)));
      return undefined;
    });
    if (problem !== undefined) return problem;
  }
  return judgeHalfClose(answers);
}

/** Exported for its test. Who ends the connection before the answer is there may be quick enough at times. */
export function judgeHalfClose(answers: readonly Answer[]): Finding {
  const { answered, why } = count(answers);
  if (why === undefined) return found("released", "queries with FIN behind them were answered");
  if (answered === 0) return found("none", `queries with FIN behind them were not answered: ${why}`);
  return found(
    "partial",
    `${answered} of ${answers.length} queries with FIN behind them were answered: ${why}`,
  );
}

async function oneReplyEach(
  prober: Prober,
  transport: ProbeTransport,
  log: Transcript,
): Promise<Finding | undefined> {
  return withStream(prober, transport, log, async (stream) => {
    const strays = new Set<string>();
    for (let i = 0; i < SEQUENTIAL && stream.isOpen; i++) {
      prober.count(1);
      const answer = await stream.ask(prober.query(usualQuestion(prober)), prober.patience.replyMs);
      for (const stray of answer.strays)
        strays.add(stray.replace(/\b[0-9]+ instead of [0-9]+/, "of another query"));
      if (answer.kind === "none" && answer.isOpen)
        return found("broken", `a query was not answered: ${answer.why}`);
      if (answer.kind === "reply" && answer.message.questions.length === 0)
        strays.add("a reply without its question");
    }
    for (const _ of await stream.strays(STRAY_WAIT_MS)) strays.add("a message after the last reply");
    if (strays.size > 0) return found("broken", `beside the replies there came ${[...strays].join(" and ")}`);
    return found("released", "each query got one reply with its id and question, and nothing else came");
  });
}

async function inFlight(
  prober: Prober,
  transport: ProbeTransport,
  log: Transcript,
): Promise<Finding | undefined> {
  return withStream(prober, transport, log, async (stream) => {
    const wanted = prober.budget.inFlight;
    const queries = prober.queries(Array.from({ length: wanted }, () => usualQuestion(prober)));
    prober.count(wanted);
    stream.send(queries);
    const answers = await stream.replies(queries, prober.patience.replyMs);
    const { answered, why } = count(answers);
    if (why === undefined) return found("released", `takes ${wanted} queries in flight; more were not sent`);
    const said = `${answered} of ${wanted} queries in flight were answered; ${why}`;
    return answered === 0 ? notTestable(said) : found("partial", said);
  });
}

/** Transport is what counts here: a name that has to be looked up may not be answered at all. */
function usualQuestion(prober: Prober): { readonly name: string } {
  return { name: prober.options.names.existing };
}

const PIPELINED = 6;
const SEQUENTIAL = 3;
/** Enough to see most races, and few enough for a row about the end of connections. */
const HALF_CLOSES = 3;
/** The silence after a query may be long. */
const HALF_CLOSE_FAILURES = 2;
const SEGMENT_PAUSE_MS = 2;
const STRAY_WAIT_MS = 250;
