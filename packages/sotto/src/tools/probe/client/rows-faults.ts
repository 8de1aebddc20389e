/** Rows about answers that are wrong, in pieces, or never come. */
import type { Cell } from "../model.ts";
import { cellOf, type Finding, find } from "./cell.ts";
import type { ClientPlan, Use } from "./client-plan.ts";
import { overStream, overUdp, type ProbeContext, type RowProbe, withoutUse } from "./row-probe.ts";
import { queriesOf, questions, type Run } from "./run.ts";

function anyUse(plan: ClientPlan): Use | undefined {
  return overStream(plan) ?? overUdp(plan);
}

/** Runs one question against each server; before them the right one, to know that answers can be told from none. */
async function runEach(
  { runner }: ProbeContext,
  use: Use,
  fixtures: readonly string[],
): Promise<{ readonly good: Run; readonly runs: readonly Run[] }> {
  const good = await runner.run({ fixture: "good", use, questions: questions(1) });
  const runs: Run[] = [];
  for (const fixture of fixtures) runs.push(await runner.run({ fixture, use, questions: questions(1) }));
  return { good, runs };
}

/** Answers that a client must not take (RFC 7766 §7). */
export function judgeMatching(good: Run, runs: readonly Run[]): Finding {
  const untold = cannotTell(good);
  if (untold !== undefined) return untold;
  const asked = runs.filter((run) => queriesOf(run).length > 0);
  const taken = asked.filter(({ answered = 0 }) => answered > 0).map(({ exercise }) => exercise.fixture);
  const names = asked.map(({ exercise }) => exercise.fixture).join(", ");
  if (asked.length === 0) return find("not testable", "nothing was asked of the servers with wrong answers");
  if (taken.length > 0)
    return find("broken", `it gave out an answer that was not to its question: ${taken.join(", ")}`);
  return find("released", `it took none of the wrong answers: ${names}`);
}

/** Answers that are right and come in pieces (RFC 7766 §8). */
export function judgeSegmentation(good: Run, runs: readonly Run[]): Finding {
  const untold = cannotTell(good);
  if (untold !== undefined) return untold;
  const lost = runs.filter(({ answered = 0 }) => answered === 0).map(({ exercise }) => exercise.fixture);
  return lost.length === 0
    ? find("released", `it read answers ${runs.map(({ exercise }) => exercise.fixture).join(" and ")}`)
    : find("broken", `it did not read a right answer that came ${lost.join(" and ")}`);
}

/** The client has no way to tell us that it got an answer, or does not get one at all. */
function cannotTell({ answered }: Run): Finding | undefined {
  if (answered === undefined) return find("not testable", "nobody tells whether the client took an answer");
  return answered === 0 ? find("not testable", "it took no answer of the right server either") : undefined;
}

/** Whether the client ended in time and not by a crash; a daemon has to live on. */
export function judgeFaults(runs: readonly Run[], isDaemon: boolean): Finding {
  const bad = runs.flatMap(({ exercise, end }) => {
    if (end.kind === "signal") return [`${exercise.fixture}: ended by ${end.signal}`];
    if (end.kind === "limit") return [`${exercise.fixture}: it did not end`];
    if (isDaemon && end.kind === "exit") return [`${exercise.fixture}: it ended with exit code ${end.code}`];
    return end.kind === "failed" ? [`${exercise.fixture}: ${end.problem}`] : [];
  });
  if (bad.length > 0) return find("broken", bad.join("; "));
  const met = runs.filter(({ records }) => records.length > 0);
  if (met.length === 0) return find("not testable", "nothing came to the servers with faults");
  if (met.every(({ answered }) => answered === undefined))
    return find("not testable", "nobody tells how the client ended");
  const names = met.map(({ exercise }) => exercise.fixture).join(", ");
  return find("released", `${isDaemon ? "it lived on" : "it ended in time"} after ${names}`);
}

const WRONG_ANSWERS = ["wrong-id", "wrong-question", "query-bit"];
const PIECES = ["octet-by-octet", "split-length"];
const FAULTS = ["query-rst", "half-fin", "half-silence", "garbage", "never-answers"];
const MORE_FAULTS = ["query-fin", "half-rst", "cut", "length-too-long", "unsolicited", "accept-rst"];

/** In the order of the table. */
export const FAULT_PROBES: readonly RowProbe[] = [
  faultProbe("matching", ["7766-7-c"], WRONG_ANSWERS, anyUse, async (context, use): Promise<Judged> => {
    const { good, runs } = await runEach(context, use, WRONG_ANSWERS);
    return { finding: judgeMatching(good, runs), runs };
  }),
  faultProbe("segmentation", ["7766-8-b", "1035-4.2.2-a"], PIECES, overStream, async (context, use) => {
    const { good, runs } = await runEach(context, use, PIECES);
    return { finding: judgeSegmentation(good, runs), runs };
  }),
  faultProbe("faults", ["7858-3.4-e"], [...FAULTS, ...MORE_FAULTS], overStream, async (context, use) => {
    const { runs } = await runEach(context, use, context.isThorough ? [...FAULTS, ...MORE_FAULTS] : FAULTS);
    return { finding: judgeFaults(runs, context.plan.isDaemon), runs };
  }),
];

interface Judged {
  readonly finding: Finding;
  readonly runs: readonly Run[];
}

function faultProbe(
  row: string,
  requirements: readonly string[],
  fixtures: readonly string[],
  useOf: (plan: ClientPlan) => Use | undefined,
  judge: (context: ProbeContext, use: Use) => Promise<Judged>,
): RowProbe {
  return {
    row,
    requirements,
    fixtures,
    probe: async (context): Promise<Cell> => {
      const use = useOf(context.plan);
      if (use === undefined) return cellOf(row, requirements, withoutUse(context.plan), []);
      const { finding, runs } = await judge(context, use);
      return cellOf(row, requirements, finding, runs);
    },
  };
}
