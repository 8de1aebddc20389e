/** One run of a client against one server of the catalogue: what is asked of it, and what was seen. */
import type { ConnectionRecord } from "../../../testserver/index.ts";
import type { ProcessEnd } from "./child-process.ts";
import type { Use } from "./client-plan.ts";

/** One question that a run has the client ask. */
export interface Question {
  /** A label that switches something on, such as `delay-400`; absent: none. */
  readonly word?: string | undefined;
  /** When a daemon is asked, milliseconds from the start; commands are told all at once. Default 0. */
  readonly atMs?: number | undefined;
}

/** What a run is to show. */
export interface Exercise {
  /** Name of the server in the catalogue of `sotto testserver`. */
  readonly fixture: string;
  readonly use: Use;
  /** With the plain command line instead of the full one. Default false. */
  readonly isPlain?: boolean | undefined;
  /** With the command line for Fast Open. Default false. */
  readonly isFastOpen?: boolean | undefined;
  readonly questions: readonly Question[];
  /** How long a daemon is watched after its last answer, milliseconds. Default 0. */
  readonly holdMs?: number | undefined;
}

/** What was seen. */
export interface Run {
  readonly exercise: Exercise;
  /** The command line, for people. */
  readonly command: string;
  /** Names that the client was told; empty when whoever came chose their own. */
  readonly names: readonly string[];
  /** Wall time of the start, milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Of the exercise's server, and of the good one where clear queries go that have no place at it. */
  readonly records: readonly ConnectionRecord[];
  /** How many of the names the client got an answer for, as far as it tells; undefined: nobody knows. */
  readonly answered: number | undefined;
  readonly end: ProcessEnd;
}

/** Runs clients; what was run once is not run again. */
export interface Runner {
  run(exercise: Exercise): Promise<Run>;
}

/** Connections over TCP or TLS that carried a query. */
export function streamsOf({ records }: Run): readonly ConnectionRecord[] {
  return records.filter(({ transport, queries }) => transport !== "udp" && queries.length > 0);
}

/** All queries, over these transports or over any. */
export function queriesOf(
  { records }: Run,
  ...transports: readonly ConnectionRecord["transport"][]
): ConnectionRecord["queries"] {
  return records
    .filter(({ transport }) => transports.length === 0 || transports.includes(transport))
    .flatMap(({ queries }) => queries);
}

/** Whether the client says that it has all its answers; true also when nobody knows, as with `--listen`. */
export function isContent({ answered, names }: Run): boolean {
  return answered === undefined || answered >= names.length;
}

/** Names that were asked for more than once. */
export function askedAgain(run: Run): readonly string[] {
  const counts = new Map<string, number>();
  for (const { qname, qtype } of queriesOf(run)) {
    const key = `${qname} ${qtype}`.toLowerCase();
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].filter(([, count]) => count > 1).map(([key]) => key);
}

/** So many questions at once, the first with a word. */
export function questions(count: number, firstWord?: string): readonly Question[] {
  return Array.from({ length: count }, (_, i) => (i === 0 ? { word: firstWord } : {}));
}
