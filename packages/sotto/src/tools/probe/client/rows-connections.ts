/** Rows about connections: Fast Open, reuse, pipelining, order, and what becomes of queries when a connection ends. */
import type { Cell } from "../model.ts";
import { cellOf, type Finding, find } from "./cell.ts";
import type { ClientPlan } from "./client-plan.ts";
import {
  nothingCame,
  oneQuestion,
  overStream,
  overTls,
  overUdp,
  type ProbeContext,
  type RowProbe,
  simpleProbe,
  withoutUse,
} from "./row-probe.ts";
import { askedAgain, isContent, queriesOf, questions, type Run, streamsOf } from "./run.ts";

const STREAMS = "over TCP or TLS";

/** How many of its queries share a connection. */
export function judgeReuse(run: Run, plan: ClientPlan): Finding {
  const streams = streamsOf(run).length;
  const queries = queriesOf(run, "tcp", "tls").length;
  if (queries === 0) return nothingCame(STREAMS);
  if (queries === 1) return oneQuestion(plan);
  const observed = `${queries} queries came on ${streams === 1 ? "one connection" : `${streams} connections`}`;
  if (streams === 1) return find("released", observed);
  return streams < queries ? find("partial", observed) : find("none", observed);
}

/** Whether a query was sent while another one waited on the same connection. */
export function judgePipelining(run: Run, plan: ClientPlan): Finding {
  const queries = queriesOf(run, "tcp", "tls");
  if (queries.length === 0) return nothingCame(STREAMS);
  if (queries.length === 1) return oneQuestion(plan);
  const most = Math.max(...queries.map(({ inFlightBefore }) => inFlightBefore + 1));
  return most > 1
    ? find("released", `${most} queries were in flight on one connection`)
    : find("none", `never more than one query in flight on a connection, of ${queries.length}`);
}

/** The first query is slow, so that the others are answered before it. */
export function judgeOutOfOrder(run: Run, plan: ClientPlan): Finding {
  const pipelining = judgePipelining(run, plan);
  if (pipelining.verdict === "not testable") return pipelining;
  if (pipelining.verdict === "none")
    return find("not applicable", "it waits for each answer, so that nothing can come out of order");
  const repeated = askedAgain(run).length;
  const { length } = run.names;
  if (!isContent(run))
    return find(
      "broken",
      `of ${length} questions whose first was answered last, ${run.answered ?? 0} were answered`,
    );
  if (repeated > 0)
    return find("partial", `the first answer came last, and ${repeated} of the questions were asked again`);
  if (run.answered === undefined)
    return find("released", "the first answer came last, and nothing was asked again", "likely");
  return find("released", `the first answer came last, and all ${length} were taken`);
}

/** What follows when a server closes with questions left: over one connection, or after a query without an answer. */
export function judgeRetry(run: Run): Finding {
  const streams = streamsOf(run);
  const [first] = streams;
  if (first === undefined) return nothingCame(STREAMS);
  const asked = new Set(queriesOf(run, "tcp", "tls").map(({ qname }) => qname.toLowerCase()));
  const { length } = run.names;
  if (streams.length === 1)
    return find(
      "none",
      `after the server closed with ${length - first.answers} of ${length} unanswered, nothing more came`,
    );
  if (asked.size < length || !isContent(run))
    return find(
      "partial",
      `it connected again, and ${run.answered ?? asked.size} of ${length} were answered`,
    );
  return find(
    "released",
    `the server closed after ${first.answers} answers; the rest came on another connection and was answered`,
  );
}

async function probeRetry({ runner, plan }: ProbeContext): Promise<Cell> {
  const use = overStream(plan);
  if (use === undefined) return cellOf(RETRY.row, RETRY.requirements, withoutUse(plan, STREAMS), []);
  const several = await runner.run({ fixture: "after-3-fin", use, questions: questions(FIVE) });
  const wasClosed = streamsOf(several).some(({ answers }) => answers >= 3) && several.names.length > 3;
  if (wasClosed) return cellOf(RETRY.row, RETRY.requirements, judgeRetry(several), [several]);
  const one = await runner.run({ fixture: "query-fin", use, questions: questions(1) });
  return cellOf(RETRY.row, RETRY.requirements, judgeRetryOfOne(one), [one]);
}

/** The server ends every connection at its first query. */
export function judgeRetryOfOne(run: Run): Finding {
  const streams = streamsOf(run).length;
  if (streams === 0) return nothingCame(STREAMS);
  return streams > 1
    ? find("released", `the server closed at the query, which came again on ${streams - 1} more connections`)
    : find("none", "the server closed at the query, which never came again");
}

const FIVE = 5;
const RETRY: RowProbe = {
  row: "retry",
  requirements: ["7766-6.2.4-a", "7858-3.4-d", "7858-3.4-e"],
  fixtures: ["after-3-fin", "query-fin"],
  probe: probeRetry,
};

/** Two runs, because the first can only get the cookie that the second needs (RFC 7413 §4.1). */
async function probeFastOpen({ runner, plan, fastOpen }: ProbeContext): Promise<Cell> {
  const { row, requirements } = FAST_OPEN;
  const use = plan.fastOpen !== undefined && plan.uses.tcp !== undefined ? "tcp" : overStream(plan);
  if (use === undefined) return cellOf(row, requirements, withoutUse(plan, STREAMS), []);
  if (fastOpen !== "on")
    return cellOf(row, requirements, find("not testable", `this system does not allow it: ${fastOpen}`), []);
  const runs: Run[] = [];
  for (const word of ["delay-1", "delay-2"])
    runs.push(
      await runner.run({ fixture: "fast-open", use, isFastOpen: true, questions: [{ word }, {}, {}] }),
    );
  return cellOf(row, requirements, judgeFastOpen(runs, plan.fastOpen !== undefined), runs);
}

/** `isSwitched`: there is a switch for it, which these runs had on. */
export function judgeFastOpen(runs: readonly Run[], isSwitched: boolean): Finding {
  const streams = runs.flatMap(({ records }) => records).filter(({ transport }) => transport !== "udp");
  if (streams.length === 0) return nothingCame(STREAMS);
  const known = streams.filter(({ fastOpen }) => fastOpen !== undefined);
  if (known.length === 0) return find("not testable", "the system does not tell what was in a SYN");
  const used = known.filter(({ fastOpen }) => fastOpen === true).length;
  if (used === 0) return find("none", `no SYN of ${known.length} carried data`, "likely");
  const observed = `${used} of ${known.length} SYNs carried data`;
  return isSwitched ? find("off", `${observed}, when it is told to`) : find("released", observed);
}

const FAST_OPEN: RowProbe = {
  row: "fast-open",
  requirements: ["7413-4.1.3-a", "7413-6-a"],
  fixtures: ["fast-open"],
  probe: probeFastOpen,
};

/** A truncated answer over UDP is worth nothing (RFC 9210 §3). */
export function judgeTruncation(run: Run): Finding {
  const udp = queriesOf(run, "udp").length;
  const tcp = queriesOf(run, "tcp").length;
  if (udp === 0) return nothingCame("over UDP");
  if (tcp === 0) return find("none", "no query came over TCP after the truncated answer");
  return isContent(run)
    ? find("released", "the question came again over TCP and was answered")
    : find("partial", "the question came again over TCP, and the client was not content with the answer");
}

/** A second connection, because the server closes after each answer. */
export function judgeResumption(run: Run): Finding {
  const [first, ...more] = run.records.filter(({ hello }) => hello !== undefined);
  if (first === undefined) return nothingCame("over TLS");
  if (more.length === 0) return find("not testable", "one process made one connection only");
  const offers = more.filter(({ hello }) => hello?.offersResumption === true).length;
  const resumed = more.filter(({ tls }) => tls?.isResumed === true).length;
  const observed = `of ${more.length} later handshakes ${offers} offered a ticket and ${resumed} resumed`;
  if (offers === 0) return find("none", observed);
  return find(offers === more.length ? "released" : "partial", observed);
}

/** In the order of the table. */
export const CONNECTION_PROBES: readonly RowProbe[] = [
  FAST_OPEN,
  simpleProbe({
    row: "reuse",
    requirements: ["7766-5-c", "7858-3.4-a"],
    use: overStream,
    exercise: { questions: questions(3) },
    judge: judgeReuse,
  }),
  simpleProbe({
    row: "pipelining",
    requirements: ["7766-6.2.1.1-a", "7858-3.3-c"],
    use: overStream,
    exercise: { questions: questions(3, "delay-400") },
    judge: judgePipelining,
  }),
  simpleProbe({
    row: "out-of-order",
    requirements: ["7766-7-b", "7858-3.3-d"],
    use: overStream,
    exercise: { questions: questions(3, "delay-400") },
    judge: judgeOutOfOrder,
  }),
  RETRY,
  simpleProbe({
    row: "tcp-after-truncation",
    requirements: ["7766-5-a"],
    fixture: "truncated",
    use: overUdp,
    exercise: { questions: questions(1) },
    judge: judgeTruncation,
  }),
  simpleProbe({
    row: "resumption",
    requirements: ["7858-3.4-g"],
    fixture: "one-query",
    use: overTls,
    // A daemon is asked again when the connection is gone and its tickets are there.
    exercise: { questions: [{}, { atMs: 300 }, { atMs: 600 }] },
    judge: judgeResumption,
  }),
];
