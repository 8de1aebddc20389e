/** What dnsperf prints when it is done. It tells totals only: neither when an answer came nor a quantile of latencies. */

/** Its totals. */
export interface DnsperfTotals {
  /** Answers with NOERROR or NXDOMAIN. */
  readonly answers: number;
  /** Answers with any other response code. */
  readonly wrong: number;
  /** Queries that it gave up waiting for, or that it sent and could not wait for. */
  readonly lost: number;
  /** Milliseconds from the first query until it stopped to ask. */
  readonly runMs: number;
}

/** Undefined when these are not the totals of a run that came to its end. */
export function readTotals(output: string): DnsperfTotals | undefined {
  const sent = numberAfter(output, "Queries sent");
  const completed = numberAfter(output, "Queries completed");
  const lost = numberAfter(output, "Queries lost");
  const runSeconds = numberAfter(output, "Run time (s)");
  if (sent === undefined || completed === undefined || lost === undefined || !runSeconds) return undefined;
  const codes = responseCodes(output);
  const answers = RIGHT_CODES.reduce((sum, code) => sum + (codes.get(code) ?? 0), 0);
  const coded = [...codes.values()].reduce((sum, count) => sum + count, 0);
  if (coded !== completed) return undefined;
  // Those that were neither completed nor lost were interrupted.
  return {
    answers,
    wrong: completed - answers,
    lost: Math.max(lost, sent - completed),
    runMs: runSeconds * 1000,
  };
}

/** `Response codes:       NOERROR 970 (97.00%), NXDOMAIN 30 (3.00%)`; the line is missing when there was no answer. */
function responseCodes(output: string): ReadonlyMap<string, number> {
  const line = /^ *Response codes: +(.*)$/m.exec(output)?.[1] ?? "";
  return new Map([...line.matchAll(/(\S+) (\d+) \([^)]*\)/g)].map(([, code = "", n]) => [code, Number(n)]));
}

function numberAfter(output: string, title: string): number | undefined {
  const line = output.split("\n").find((one) => one.trimStart().startsWith(`${title}:`));
  const text = line?.split(":")[1]?.trim().split(" ")[0];
  return text === undefined || !/^\d+(\.\d+)?$/.test(text) ? undefined : Number(text);
}

const RIGHT_CODES = ["NOERROR", "NXDOMAIN"] as const;
