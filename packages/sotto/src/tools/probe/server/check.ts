/** One row of a server's table as something that can be done: what it sends, over what, and what it makes of it. */
import type { Cell } from "../model.ts";
import { combineFindings, type Finding, found, notTestable, proberFailed } from "./finding.ts";
import type { ProbeTransport } from "./probe-options.ts";
import type { Prober } from "./prober.ts";
import type { Transcript } from "./transcript.ts";

export interface Check {
  /** Key of its row. */
  readonly row: string;
  readonly requirements: readonly string[];
  /** For people who want to know before: what is sent. */
  readonly sends: string;
  /** Needs one of these, or is done over each of them. */
  readonly over: readonly ProbeTransport[];
  /**
   * `each`: over each transport that answers. `best`: over the first of them that answers. `handshake`: over TLS when its
   * handshake can be done, whatever comes then. `anyway`: decides itself.
   */
  readonly on: "each" | "best" | "handshake" | "anyway";
  /** Not sent to servers of others. */
  readonly isThorough?: boolean;
  /** Undefined: this transport has nothing to say about the row. */
  readonly run: (prober: Prober, transport: ProbeTransport, log: Transcript) => Promise<Finding | undefined>;
}

/** Does it over what it is done over, and gives its cell, whatever becomes of it. */
export async function runCheck(check: Check, prober: Prober): Promise<Cell> {
  const log = prober.transcript();
  const { row, requirements } = check;
  const { verdict, confidence, observed } = await findingToTheEnd(check, prober, log);
  return { row, verdict, confidence, observed, requirements, evidence: log.steps };
}

/** What an end of the row that is not the target's doing leaves of it. */
async function findingToTheEnd(check: Check, prober: Prober, log: Transcript): Promise<Finding> {
  const wasCut = prober.cutShort !== undefined;
  try {
    const finding = await findingOf(check, prober, log);
    const { cutShort } = prober;
    if (wasCut || cutShort === undefined) return finding;
    // Connections that we give up, and replies that we do not wait for, are nobody's fault.
    return BLAMELESS.has(finding.verdict) ? finding : notTestable(cutShort);
  } catch (error) {
    // A mistake of ours in one row is no reason to lose the others.
    return proberFailed(error);
  }
}

/** Verdicts that an early end does not make wrong. */
const BLAMELESS: ReadonlySet<Finding["verdict"]> = new Set(["released", "not testable", "not applicable"]);

async function findingOf(check: Check, prober: Prober, log: Transcript): Promise<Finding> {
  const { target } = prober;
  const wanted = check.over.filter((transport) => target.transports.includes(transport));
  const [firstWanted] = wanted;
  if (firstWanted === undefined)
    return found(
      "not applicable",
      `is about ${check.over.join(" and ")}, which this target was not to be asked over`,
    );
  if (prober.stopped !== undefined) return notTestable(prober.stopped);
  if (check.isThorough === true && !prober.options.isThorough)
    return notTestable("is a burden, and is only done with --thorough, on own servers");
  if (check.on === "anyway")
    return (await check.run(prober, firstWanted, log)) ?? notTestable("nothing was seen");
  const problemOf = (transport: ProbeTransport): string | undefined => {
    const reach = prober.reach.get(transport);
    if (reach === undefined) return "not tried";
    return check.on === "handshake" ? reach.handshakeProblem : reach.problem;
  };
  const able = wanted.filter((transport) => problemOf(transport) === undefined);
  const findings: (readonly [ProbeTransport, Finding])[] = [];
  for (const transport of check.on === "best" ? able.slice(0, 1) : able) {
    if (wanted.length > 1) log.note(`over ${transport.toUpperCase()}`);
    const finding =
      prober.stopped === undefined ? await check.run(prober, transport, log) : notTestable(prober.stopped);
    if (finding !== undefined) findings.push([transport, finding]);
  }
  if (findings.length > 0)
    return check.on === "each" && check.over.length > 1
      ? combineFindings(findings)
      : (findings[0]?.[1] ?? notTestable("nothing was seen"));
  // The reasons stand in the rows about the transports.
  const names = wanted.map((transport) => transport.toUpperCase()).join(" or ");
  return notTestable(
    check.on === "handshake"
      ? "needs a TLS handshake, and there is none"
      : `needs an answer over ${names}, and there is none`,
  );
}
