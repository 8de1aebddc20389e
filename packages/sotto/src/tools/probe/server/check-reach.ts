/** Whether the target answers at all, over each transport; everything else rests on that. */
import { frameMessage } from "@sotto/dns/wire";
import type { Check } from "./check.ts";
import { type Finding, found } from "./finding.ts";
import type { Answer } from "./probe-stream.ts";
import type { Prober, Reach } from "./prober.ts";
import { portOf, TLS_PORT } from "./target.ts";
import type { Transcript } from "./transcript.ts";

/** Its rows come before all others. */
export const REACH_CHECKS: readonly Check[] = [
  {
    row: "udp",
    requirements: ["7766-5-a", "9210-3-a"],
    sends: "one query over UDP, once more when nothing comes",
    over: ["udp"],
    on: "anyway",
    run: async (prober, _, log) => {
      const answer = await prober.askOnce("udp", prober.query({ name: prober.options.names.existing }), log);
      remember(prober, "udp", answer);
      return judgeClear(answer);
    },
  },
  {
    row: "tcp",
    requirements: ["7766-5-a", "9210-3-a", "9210-4.1-d"],
    sends: "one query over TCP",
    over: ["tcp"],
    on: "anyway",
    run: async (prober, _, log) => {
      const answer = await prober.askOnce("tcp", prober.query({ name: prober.options.names.existing }), log);
      remember(prober, "tcp", answer);
      return judgeClear(answer);
    },
  },
  {
    row: "tls",
    requirements: ["7858-3.1-a", "7858-3.1-d", "7858-3.1-e", "7858-3.3-a"],
    sends:
      "one query over TLS, with a second handshake without ALPN when the first fails, and one in clear to the port of TLS",
    over: ["tls"],
    on: "anyway",
    run: reachTls,
  },
];

function remember(prober: Prober, transport: "udp" | "tcp", answer: Answer): void {
  const problem = answer.kind === "reply" ? undefined : answer.why;
  prober.reach.set(transport, { problem, handshakeProblem: undefined, alpn: [] });
}

function judgeClear(answer: Answer): Finding {
  if (answer.kind === "reply")
    return found(
      "released",
      `answered within ${Math.round(answer.tookMs)} ms, rcode ${answer.message.rcode}`,
    );
  if (answer.strays.length > 0) return found("broken", `no reply that fits the query: ${answer.why}`);
  const isThere = !isAbsent(answer.why);
  return found(isThere ? "broken" : "none", `no answer: ${answer.why}`, "likely");
}

async function reachTls(prober: Prober, _: unknown, log: Transcript): Promise<Finding> {
  const first = await tryTls(prober, log, ["dot"]);
  // Some know other protocols only, and refuse clients that offer none of them.
  const isAlpnAsked = first.handshakeProblem !== undefined && /alert|protocol/i.test(first.handshakeProblem);
  const second = isAlpnAsked ? await tryTls(prober, log, []) : first;
  const reach = second.handshakeProblem === undefined ? second : first;
  prober.reach.set("tls", reach);
  const clear = await clearOnTlsPort(prober, log);
  return judgeTls(reach, clear, portOf(prober.target, "tls"));
}

async function tryTls(prober: Prober, log: Transcript, alpn: readonly string[]): Promise<Reach> {
  const opened = await prober.open("tls", log, { alpn });
  if (!opened.ok) return { problem: opened.problem, handshakeProblem: opened.problem, alpn };
  prober.count(1);
  const answer = await opened.value.ask(
    prober.query({ name: prober.options.names.existing }),
    prober.patience.replyMs,
  );
  opened.value.close();
  return { problem: answer.kind === "reply" ? undefined : answer.why, handshakeProblem: undefined, alpn };
}

/** RFC 7858 §3.1: a server must not answer in clear on this port, not even after a failed handshake. */
async function clearOnTlsPort(prober: Prober, log: Transcript): Promise<boolean> {
  const opened = await prober.open("tls", log, { isClear: true });
  if (!opened.ok) return false;
  const query = prober.query({ name: prober.options.names.existing });
  prober.count(1);
  log.sent(`query ${query.id} in clear: ${query.text}`, query.octets, opened.value.over);
  opened.value.write(frameMessage(query.octets));
  const [answer] = await opened.value.replies([query], Math.min(prober.patience.replyMs, CLEAR_WAIT_MS));
  opened.value.close();
  return answer?.kind === "reply";
}

/** A server that waits for the rest of a ClientHello says nothing for long, and that is right. */
const CLEAR_WAIT_MS = 1000;

/** Exported for its test. */
export function judgeTls(reach: Reach, answersInClear: boolean, port: number): Finding {
  const at = port === TLS_PORT ? "on port 853" : `on port ${port}, which clients have to be told`;
  if (answersInClear) return found("broken", `answers DNS in clear ${at}`);
  const { handshakeProblem, problem } = reach;
  if (handshakeProblem !== undefined) {
    const isNothing = isAbsent(handshakeProblem);
    return found(
      isNothing ? "none" : "broken",
      `no TLS ${at}: ${handshakeProblem}`,
      isNothing ? "likely" : "certain",
    );
  }
  if (problem !== undefined) return found("broken", `TLS ${at}, but no answer over it: ${problem}`);
  return found("released", `TLS ${at}, and an answer over it`);
}

/** Nobody is there, or nobody is let through: nothing was broken by anybody who answers. */
function isAbsent(why: string): boolean {
  if (/ECONNREFUSED|unreachable|EHOSTUNREACH|ENETUNREACH/.test(why)) return true;
  return why.startsWith("TCP connection") && !why.includes("ECONNRESET");
}
