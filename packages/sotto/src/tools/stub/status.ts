/** `sotto stub status`: each upstream, how it is reached, and why not. */
import type { ForwardZoneStatus, UpstreamStatus } from "../../compose/index.ts";
import { ExitCode, type ProgramIo } from "../../operations/index.ts";

/** Asks for the upstreams and prints them; `json` prints what came. */
export async function runStubStatus(
  ask: (words: readonly string[]) => Promise<unknown>,
  json: boolean,
  io: Pick<ProgramIo, "stdout" | "stderr">,
): Promise<number> {
  let answer: unknown;
  try {
    answer = await ask(["upstreams"]);
  } catch (error) {
    io.stderr.write(`sotto stub status: ${error instanceof Error ? error.message : String(error)}\n`);
    return ExitCode.Failed;
  }
  if (json) io.stdout.write(`${JSON.stringify(answer)}\n`);
  // Our own server's word.
  else io.stdout.write((answer as { zones: ForwardZoneStatus[] }).zones.map(zoneText).join("\n"));
  return ExitCode.Ok;
}

function zoneText({ zone, profile, choice, upstreams }: ForwardZoneStatus): string {
  const head = ["upstream", "way", "state", "replies", "failures", "reuse", "handshakes", "time", "next try"];
  const rows = upstreams.map(rowOf);
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `  ${cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd()}\n`;
  const lookups = new Set(upstreams.flatMap(lookupText));
  const failures = [...lookups, ...upstreams.flatMap(failureText)];
  return `${zone} profile ${profile}, ${choice}\n${line(head)}${rows.map(line).join("")}${failures.join("")}`;
}

function rowOf(upstream: UpstreamStatus): string[] {
  const { address, port, rung, state, replies, failures, reuseRatio } = upstream;
  return [
    `${address} port ${port}`,
    rung,
    upstream.authenticatedBy === undefined ? state : `${state} by ${upstream.authenticatedBy}`,
    String(replies),
    String(failures),
    replies === 0 ? "-" : `${Math.round(reuseRatio * 100)} %`,
    `${upstream.fullHandshakes} full, ${upstream.resumedHandshakes} resumed`,
    upstream.smoothedMs === undefined ? "-" : `${upstream.smoothedMs.toFixed(1)} ms`,
    upstream.avoidedForMs === 0 ? "now" : `in ${Math.ceil(upstream.avoidedForMs / 1000)} s`,
  ];
}

/** Rungs of one upstream share their addresses. */
function lookupText({ lookup }: UpstreamStatus): string[] {
  if (lookup === undefined) return [];
  const { name, addresses, from, lastFailure } = lookup;
  const found = addresses.length === 0 ? "no address is known" : `${addresses.join(", ")} (${from})`;
  const failed =
    lastFailure === undefined
      ? ""
      : `; ${Math.round(lastFailure.agoMs / 1000)} s ago ${lastFailure.problem} (${lastFailure.code})`;
  return [`  ${name}: ${found}${failed}\n`];
}

function failureText({ address, port, rung, lastFailure, lookup }: UpstreamStatus): string[] {
  // What was not found has been told.
  const isTold = lookup?.lastFailure !== undefined && lastFailure?.stage === "resolve";
  if (lastFailure === undefined || isTold) return [];
  const { agoMs, stage = "query", code, problem } = lastFailure;
  const ago = `${Math.round(agoMs / 1000)} s ago`;
  return [`  last failure of ${address} port ${port}, ${rung}: ${ago}, at ${stage}: ${problem} (${code})\n`];
}
