/** Whether the server takes data in a SYN (RFC 7413). The kernel keeps cookies: the first connection fetches one. */
import type { Check } from "./check.ts";
import { type Finding, found, notTestable } from "./finding.ts";
import type { ProbeTransport } from "./probe-options.ts";
import type { Prober } from "./prober.ts";
import type { Transcript } from "./transcript.ts";

export const FAST_OPEN_CHECKS: readonly Check[] = [
  {
    row: "fast-open",
    requirements: ["7413-4.1.3-a", "9210-4.1-tfo", "7858-3.4-tfo"],
    sends: "up to three connections with one query each, which ask for Fast Open",
    over: ["tcp", "tls"],
    on: "each",
    run: fastOpen,
  },
];

/** What one connection told. */
export interface FastOpenTry {
  readonly use: "used" | "not used" | undefined;
  readonly problem: string | undefined;
}

async function fastOpen(
  prober: Prober,
  transport: ProbeTransport,
  log: Transcript,
): Promise<Finding | undefined> {
  if (transport === "udp") return undefined;
  const tries: FastOpenTry[] = [];
  for (let i = 0; i < TRIES; i++) {
    const one = await tryFastOpen(prober, transport, log);
    tries.push(one);
    if (one.use !== "not used") break;
  }
  return judgeFastOpen(tries);
}

async function tryFastOpen(prober: Prober, transport: "tcp" | "tls", log: Transcript): Promise<FastOpenTry> {
  const opened = await prober.open(transport, log, { fastOpen: true });
  if (!opened.ok) return { use: undefined, problem: opened.problem };
  const stream = opened.value;
  prober.count(1);
  const answer = await stream.ask(
    prober.query({ name: prober.options.names.existing }),
    prober.patience.replyMs,
  );
  const use = stream.stream.fastOpen;
  log.note(`the system says that data in the SYN was ${use ?? "not to be known about"}`);
  stream.close();
  return { use, problem: answer.kind === "reply" ? undefined : answer.why };
}

/** Exported for its test. */
export function judgeFastOpen(tries: readonly FastOpenTry[]): Finding {
  const used = tries.findIndex(({ use }) => use === "used");
  if (used >= 0) {
    const { problem } = tries[used] ?? {};
    if (problem !== undefined) return found("broken", `data in the SYN was taken, and then: ${problem}`);
    return found("released", `the SYN of connection ${used + 1} carried data, and the server took it`);
  }
  const failed = tries.find(({ problem }) => problem !== undefined);
  if (failed !== undefined)
    return found("broken", `a connection that asks for Fast Open fails: ${failed.problem ?? ""}`, "likely");
  if (tries.some(({ use }) => use === undefined))
    return notTestable(
      "this system cannot ask for Fast Open: it needs Linux, net.ipv4.tcp_fastopen with bit 1, and node:ffi",
    );
  return found("none", `${tries.length} connections asked for it, and no SYN with data was taken`, "likely");
}

const TRIES = 3;
