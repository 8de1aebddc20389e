/** Runs queries in order, or all at once on one connection with `+pipeline`, and prints each result whole. */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { type ExchangeResult, Exchanger } from "@sotto/dns/transport";
import type { ProgramIo } from "../../operations/index.ts";
import type { QuerySpec } from "./arguments.ts";
import { buildRequest, queryMessage, type RequestDraft } from "./build-exchange.ts";
import { failureJson, replyJson } from "./print-json.ts";
import { type Answered, queryText, replyText, shortText } from "./print-text.ts";
import { serverAddress, systemServer } from "./system-server.ts";

/** Exit codes: dig's, and from 20 our own. */
export const QueryExit = {
  Answered: 0,
  Usage: 1,
  Batch: 8,
  NoReply: 9,
  Internal: 10,
  NotAuthenticated: 20,
} as const;

/** What one query came to. */
type Outcome =
  | { readonly kind: "answered"; readonly answered: Answered }
  | { readonly kind: "failed"; readonly error: DnsError };

/** Runs all queries; the exit code is that of the last failure, 0 when every query was answered. */
export async function runQueries(
  queries: readonly QuerySpec[],
  io: ProgramIo,
  runtime: Runtime,
): Promise<number> {
  const shared = new Exchanger({ fastOpen: queries.some(({ options }) => options.fastOpen) }, runtime);
  let exit: number = QueryExit.Answered;
  const print = (spec: QuerySpec, outcome: Outcome, isFirst: boolean): void => {
    const code = printOutcome(spec, outcome, io, isFirst);
    if (code !== QueryExit.Answered) exit = code;
  };
  try {
    if (queries.some((spec) => spec.options.pipeline)) {
      // All are sent before the first is awaited; printing keeps the order of the command line.
      const running = queries.map((spec) => runOne(spec, shared, io, runtime));
      for (const [i, spec] of queries.entries())
        print(spec, await (running[i] ?? runOne(spec, shared, io, runtime)), i === 0);
    } else {
      for (const [i, spec] of queries.entries())
        print(spec, await runAlone(spec, shared, io, runtime), i === 0);
    }
  } finally {
    await shared.close();
  }
  return exit;
}

/** Without `+keepopen` each query has connections of its own, as with dig. */
async function runAlone(
  spec: QuerySpec,
  shared: Exchanger,
  io: ProgramIo,
  runtime: Runtime,
): Promise<Outcome> {
  if (spec.options.keepOpen) return runOne(spec, shared, io, runtime);
  const own = new Exchanger({ fastOpen: spec.options.fastOpen }, runtime);
  try {
    return await runOne(spec, own, io, runtime);
  } finally {
    await own.close();
  }
}

async function runOne(
  spec: QuerySpec,
  exchanger: Exchanger,
  io: ProgramIo,
  runtime: Runtime,
): Promise<Outcome> {
  try {
    const server = spec.server ?? systemServer();
    const address = await serverAddress(server, spec.family);
    const draft = buildRequest({ ...spec, server }, address, runtime.random);
    if (!draft.ok) return { kind: "failed", error: new DnsError("ERR_CONFIG", draft.problem) };
    if (spec.options.showQuery && !spec.options.isJson)
      io.stdout.write(queryText(queryMessage(draft.value), spec.options));
    const result = await exchangeWithTries(draft.value, spec, exchanger, runtime);
    return { kind: "answered", answered: { ...result, server, wallMs: runtime.clock.wallMs() } };
  } catch (error) {
    if (DnsError.is(error)) return { kind: "failed", error };
    throw error;
  }
}

/** Repeats after time-outs only: other failures are answers about the server. */
async function exchangeWithTries(
  draft: RequestDraft,
  spec: QuerySpec,
  exchanger: Exchanger,
  runtime: Runtime,
): Promise<ExchangeResult> {
  for (let attempt = 1; ; attempt++) {
    try {
      const deadlineMs = runtime.clock.nowMs() + spec.options.timeoutMs;
      return await exchanger.exchange({ ...draft, localAddress: spec.localAddress, deadlineMs });
    } catch (error) {
      const isTimeout = DnsError.is(error, "ERR_TIMEOUT") || DnsError.is(error, "ERR_CONNECT_TIMEOUT");
      if (!isTimeout || attempt >= spec.options.tries) throw error;
    }
  }
}

function printOutcome(spec: QuerySpec, outcome: Outcome, io: ProgramIo, isFirst: boolean): number {
  const { options } = spec;
  if (outcome.kind === "answered") {
    if (options.isJson) io.stdout.write(replyJson(outcome.answered));
    else if (options.isShort) io.stdout.write(shortText(outcome.answered, options));
    else {
      if (options.showCommand && isFirst)
        io.stdout.write(`\n; <<>> sotto query <<>> ${spec.name.toString()}\n;; global options: +cmd\n`);
      io.stdout.write(replyText(outcome.answered, options));
    }
    return QueryExit.Answered;
  }
  const { error } = outcome;
  if (options.isJson) io.stdout.write(failureJson(spec, error));
  else io.stderr.write(`;; ${error.stage === undefined ? "" : `${error.stage} failed: `}${error.message}\n`);
  return exitOf(error);
}

function exitOf(error: DnsError): number {
  if (error.code === "ERR_TLS_NOT_AUTHENTICATED") return QueryExit.NotAuthenticated;
  if (error.code === "ERR_CONFIG") return QueryExit.Usage;
  return QueryExit.NoReply;
}
