/** Cells of the table, with the timelines of the runs that they rest on. */
import type { ConnectionRecord } from "../../../testserver/index.ts";
import type { Cell, Confidence, EvidenceStep, Verdict } from "../model.ts";
import type { Exercise, Run, Runner } from "./run.ts";

/** What a judge makes of a run. */
export interface Finding {
  readonly verdict: Verdict;
  readonly confidence: Confidence;
  /** One sentence, with figures. */
  readonly observed: string;
}

/** A finding in three words. */
export function find(verdict: Verdict, observed: string, confidence: Confidence = "certain"): Finding {
  return { verdict, confidence, observed };
}

/** A row's cell. */
export function cellOf(
  row: string,
  requirements: readonly string[],
  { verdict, confidence, observed }: Finding,
  runs: readonly Run[],
): Cell {
  return { row, verdict, confidence, observed, requirements, evidence: evidenceOf(runs) };
}

/**
 * Judges a run with everything switched on, and where that shows something, one with the plain command: what is only there
 * when it is asked for is off.
 */
export async function judgeBoth(
  runner: Runner,
  exercise: Exercise,
  hasPlain: boolean,
  judge: (run: Run) => Finding,
): Promise<{ readonly finding: Finding; readonly runs: readonly Run[] }> {
  const full = await runner.run(exercise);
  const finding = judge(full);
  const isThere = finding.verdict === "released" || finding.verdict === "partial";
  if (!isThere || !hasPlain) return { finding, runs: [full] };
  const plain = await runner.run({ ...exercise, isPlain: true });
  const without = judge(plain);
  const runs = [full, plain];
  if (without.verdict !== "none") return { finding, runs };
  const observed = `${finding.observed}; only when it is told to: with the plain command ${without.observed}`;
  return { finding: find("off", observed, finding.confidence), runs };
}

/** The timelines of runs, one behind the other, at most {@link STEPS_MAX} steps. */
export function evidenceOf(runs: readonly Run[]): readonly EvidenceStep[] {
  const [first] = runs;
  if (first === undefined) return [];
  const steps: EvidenceStep[] = [];
  for (const run of runs) {
    const startMs = run.startedAtMs - first.startedAtMs;
    steps.push({ atMs: startMs, who: "note", what: `${run.exercise.fixture}: ${run.command}` });
    const events = run.records.flatMap((record) => eventsOf(record, record.openedAtMs - first.startedAtMs));
    // By time, because connections of one client overlap.
    steps.push(...events.sort((a, b) => a.atMs - b.atMs), {
      atMs: lastMs(events, startMs),
      who: "note",
      what: endText(run),
    });
  }
  if (steps.length <= STEPS_MAX) return steps;
  const left = steps.length - STEPS_MAX;
  return [
    ...steps.slice(0, STEPS_MAX),
    { atMs: steps[STEPS_MAX - 1]?.atMs ?? 0, who: "note", what: `${left} more steps are left out` },
  ];
}

function eventsOf(record: ConnectionRecord, openedMs: number): EvidenceStep[] {
  const where = `${record.transport} ${record.id}`;
  const hello = record.hello;
  const offer: EvidenceStep[] =
    hello === undefined
      ? []
      : [
          {
            atMs: openedMs,
            who: "target",
            what: `${where}: ClientHello with ${hello.versions.join(", ")}; server name ${hello.serverName ?? "none"}; ALPN ${hello.alpn.join(", ") || "none"}${hello.offersResumption ? "; a ticket" : ""}`,
          },
        ];
  const early: EvidenceStep[] =
    record.fastOpen === true
      ? [{ atMs: openedMs, who: "target", what: `${where}: data came in the SYN` }]
      : [];
  let query = 0;
  return early.concat(
    offer,
    record.events.map(({ atMs, direction, what, octets }) => {
      const isQuery = direction === "in" && what.startsWith("query ");
      const asked = isQuery ? record.queries[query++] : undefined;
      const size = octets > 0 ? ` (${octets} octets${asked === undefined ? "" : optionsText(asked)})` : "";
      const who = direction === "in" ? "target" : direction === "out" ? "prober" : "note";
      return { atMs: round(openedMs + atMs), who, what: `${where}: ${what}${size}` };
    }),
  );
}

function optionsText({ edns, inFlightBefore }: ConnectionRecord["queries"][number]): string {
  const parts = [
    inFlightBefore > 0 ? `${inFlightBefore} in flight` : "",
    edns === undefined ? "no OPT" : "",
    edns?.keepalive === undefined ? "" : `keepalive ${edns.keepalive}`,
    edns?.paddingOctets === undefined ? "" : `padding ${edns.paddingOctets}`,
    edns?.cookieOctets === undefined ? "" : `cookie ${edns.cookieOctets}`,
    edns?.clientSubnetBits === undefined ? "" : `client subnet /${edns.clientSubnetBits}`,
  ].filter((part) => part !== "");
  return parts.length === 0 ? "" : `, ${parts.join(", ")}`;
}

/** How the client ended, for people. */
function endText({ end, answered, names }: Run): string {
  const answers =
    answered === undefined ? "" : `; ${answered} of ${names.length} answered as far as it tells`;
  switch (end.kind) {
    case "exit":
      return `the client ended with exit code ${end.code}${answers}`;
    case "signal":
      return `the client ended by ${end.signal}${answers}`;
    case "limit":
      return `the client was ended because it took too long${answers}`;
    case "ended":
      return `the client was ended when all was seen${answers}`;
    case "failed":
      return `the client could not be started: ${end.problem}`;
  }
}

function lastMs(events: readonly EvidenceStep[], otherwise: number): number {
  return events.at(-1)?.atMs ?? otherwise;
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** Steps of evidence in one cell. */
const STEPS_MAX = 150;
