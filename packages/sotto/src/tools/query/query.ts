/** The command `sotto query`: arguments in, text and an exit code out. */
import type { Runtime } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";
import { type ProgramIo, readBoundedText, trustSystemAuthorities } from "../../operations/index.ts";
import { parseArguments, QUERIES_MAX, type QuerySpec } from "./arguments.ts";
import { flagsReference, helpText } from "./help.ts";
import { QueryExit, runQueries } from "./run-queries.ts";

/** Runs one command line. `runtime` is for tests; programs use the real network. */
export async function runQuery(args: readonly string[], io: ProgramIo, runtime?: Runtime): Promise<number> {
  if (args[0] === "--help" && args[1] === "flags") {
    io.stdout.write(flagsReference());
    return QueryExit.Answered;
  }
  const command = parseArguments(args);
  if (!command.ok) return usage(io, command.problem);
  if (command.value.kind === "help") {
    io.stdout.write(helpText());
    return QueryExit.Answered;
  }
  if (command.value.kind === "version") {
    io.stdout.write("sotto query\n");
    return QueryExit.Answered;
  }
  const { batchFile, queries } = command.value;
  const batch = batchFile === undefined ? parsed([]) : readBatch(batchFile, args);
  if (!batch.ok) {
    io.stderr.write(`sotto query: ${batch.problem}\n`);
    return QueryExit.Batch;
  }
  const all = [...queries, ...batch.value];
  if (runtime === undefined && all.some(needsAuthorities)) trustSystemAuthorities();
  return runQueries(all, io, runtime ?? nodeRuntime());
}

/** By a name, and with nobody named whose word counts. */
function needsAuthorities({ options }: QuerySpec): boolean {
  return options.transport === "tls" && options.tlsAuthenticate && options.tlsCaFiles.length === 0;
}

function usage(io: ProgramIo, text: string): number {
  io.stderr.write(`sotto query: ${text}\n`);
  return QueryExit.Usage;
}

/** One query per line of the file, written as on the command line; `-` is standard input. */
function readBatch(file: string, args: readonly string[]): Parsed<QuerySpec[]> {
  const text = readBoundedText(file, BATCH_OCTETS_MAX);
  if (!text.ok) return text;
  const at = args.indexOf("-f");
  const global = at < 0 ? args.filter((argument) => !argument.startsWith("-f")) : args.toSpliced(at, 2);
  const queries: QuerySpec[] = [];
  for (const [i, line] of text.value.split("\n").entries()) {
    const words = line.trim().split(/\s+/);
    if (words[0] === "" || words[0]?.startsWith(";") || words[0]?.startsWith("#")) continue;
    const command = parseArguments([...global, ...words]);
    if (!command.ok) return problem(`${file}:${i + 1}: ${command.problem}`);
    if (command.value.kind === "queries") queries.push(...command.value.queries);
    if (queries.length > QUERIES_MAX) return problem(`${file} has more than ${QUERIES_MAX} queries`);
  }
  return parsed(queries);
}

/** Largest batch file, octets: 1600 for each of the most queries. */
const BATCH_OCTETS_MAX = 16 * 1024 * 1024;
