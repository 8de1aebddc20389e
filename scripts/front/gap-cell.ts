/** One cell of the table of gaps, and the words that stand in it. */
import type { ProbeClient, TraceLine } from "./probe-client.ts";

/**
 * `full`: as the row asks; `partial`: some of it, and the cell says what; `none`: it is not there; `untrue`: something is promised
 * that is not kept; `not testable`: the machine, the backend or the program leaves nothing to observe, or the probe failed.
 */
export type Word = "full" | "partial" | "none" | "untrue" | "not testable";

/** The rows, in the order of the table. */
export const ROWS = {
  pipelining: "Pipelining",
  order: "Out-of-order answers",
  keepalive: "Keepalive told and kept",
  padding: "Padding of answers",
  access: "Refusal by query",
  address: "Client known to the backend",
  connections: "Backend connections for 50 clients",
  fastOpen: "TCP Fast Open",
  resumption: "TLS 1.3 resumption",
  draining: "Draining",
} as const;

export type RowKey = keyof typeof ROWS;

export interface GapCell {
  readonly front: string;
  readonly backend: string;
  readonly row: RowKey;
  readonly word: Word;
  /** What was observed, a sentence each. */
  readonly evidence: readonly string[];
  /** Every message with its time, by connection. */
  readonly traces: readonly (readonly TraceLine[])[];
  /** Why the probe did not come to its end; absent: it did. */
  readonly problem?: string | undefined;
}

/** What a probe found. */
export interface Finding {
  readonly word: Word;
  readonly evidence: readonly string[];
  readonly clients?: readonly ProbeClient[];
}

/**
 * Whether a cell of Sotto is less than it has to be. Fast Open alone cannot be tested everywhere; all other rows that were not
 * tested are those of a front end that did not start, or of a probe that failed.
 */
export function isShort({ front, row, word, problem }: CellSeen): boolean {
  const isMachine = row === "fastOpen" && word === "not testable" && problem === undefined;
  return front === "sotto" && word !== "full" && !isMachine;
}

type CellSeen = Pick<GapCell, "front" | "row" | "word" | "problem">;

/** One cell of two situations: a promise that is broken in one of them is not true, and what was seen in one only is not known. */
export function joinedCells(one: GapCell, other: GapCell): GapCell {
  const words = [one.word, other.word];
  const word: Word = words.includes("untrue")
    ? "untrue"
    : words.every((each) => each === "full")
      ? "full"
      : words.every((each) => each === "full" || each === "not testable")
        ? "not testable"
        : "none";
  const problem = one.problem ?? other.problem;
  return {
    ...one,
    word,
    evidence: [...one.evidence, ...other.evidence],
    traces: [...one.traces, ...other.traces],
    ...(problem === undefined ? {} : { problem }),
  };
}

/** Takes one cell; what goes wrong in a probe is told in it, so that the others are still taken. */
export async function takeGapCell(
  where: Pick<GapCell, "front" | "backend" | "row">,
  probe: () => Promise<Finding>,
): Promise<GapCell> {
  try {
    const { word, evidence, clients = [] } = await probe();
    for (const client of clients) client.close();
    return { ...where, word, evidence, traces: clients.map(({ trace }) => trace) };
  } catch (problem) {
    const why = problem instanceof Error ? problem.message : String(problem);
    const evidence = [`the probe failed: ${why}`];
    return { ...where, word: "not testable", evidence, traces: [], problem: why };
  }
}
