/** How many connections one client may have (RFC 7766 §6.2.2, RFC 9210 §4.2). For own servers only. */
import type { Check } from "./check.ts";
import { type Finding, found } from "./finding.ts";
import type { ProbeTransport } from "./probe-options.ts";
import type { ProbeStream } from "./probe-stream.ts";
import type { Prober } from "./prober.ts";
import type { Transcript } from "./transcript.ts";

export const LIMIT_CHECKS: readonly Check[] = [
  {
    row: "connections",
    requirements: ["7766-6.2.2-c", "7766-6.2.2-d", "9210-4.2-c"],
    sends: "thorough only: up to 30 connections at once with one query each",
    over: ["tcp", "tls"],
    on: "best",
    isThorough: true,
    run: connections,
  },
];

async function connections(
  prober: Prober,
  transport: ProbeTransport,
  log: Transcript,
): Promise<Finding | undefined> {
  if (transport === "udp") return undefined;
  const open: ProbeStream[] = [];
  try {
    for (let i = 0; i < CONNECTIONS; i++) {
      const opened = await prober.open(transport, log);
      if (!opened.ok) return judgeConnections(i, opened.problem);
      open.push(opened.value);
      prober.count(1);
      const answer = await opened.value.ask(
        prober.query({ name: prober.options.names.existing }),
        prober.patience.replyMs,
      );
      if (answer.kind === "none") return judgeConnections(i, answer.why);
    }
    return judgeConnections(CONNECTIONS, undefined);
  } finally {
    for (const stream of open) stream.close();
  }
}

/** Exported for its test: so many worked beside the idle one that another row has open. */
export function judgeConnections(count: number, problem: string | undefined): Finding {
  if (problem === undefined)
    return found("released", `takes ${count} connections of one client; more were not opened`);
  const said = `takes ${count} connections of one client; the next one: ${problem}`;
  // RFC 7766 §6.2.2: much looser than what one client needs, because many may share an address.
  return count >= FEW
    ? found("released", said)
    : found("partial", `${said}; several clients may share an address`);
}

const CONNECTIONS = 30;
const FEW = 10;
