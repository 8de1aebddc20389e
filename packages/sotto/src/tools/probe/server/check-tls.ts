/** What a server's TLS can do: versions, groups, ALPN, SNI, resumption (RFC 7858, RFC 8310 §9, RFC 9325). */

import type { Check } from "./check.ts";
import { makeClientHello, TLS_VERSIONS, tryReadHelloAnswer } from "./client-hello.ts";
import { type Finding, found, notTestable } from "./finding.ts";
import type { ProbeStream } from "./probe-stream.ts";
import type { OpenOptions, Prober } from "./prober.ts";
import { EMPTY_WAIT, rawExchange } from "./raw-exchange.ts";
import type { Transcript } from "./transcript.ts";

export const TLS_CHECKS: readonly Check[] = [
  {
    row: "tls-versions",
    requirements: ["8310-9-a", "9325-3.1-a", "8932-5.1.3.1-a"],
    sends: "four ClientHellos, each for one version of TLS from 1.0 to 1.3, without completing the handshake",
    over: ["tls"],
    on: "anyway",
    run: versions,
  },
  {
    row: "tls-groups",
    requirements: ["7858-3.2-a"],
    sends: "four handshakes, each with one key exchange group",
    over: ["tls"],
    on: "handshake",
    run: groups,
  },
  {
    row: "alpn",
    requirements: ["dot-alpn-a", "8932-5.1.3.1-c"],
    sends: "two handshakes, with the protocol dot and without ALPN",
    over: ["tls"],
    on: "handshake",
    run: alpn,
  },
  {
    row: "sni",
    requirements: ["9325-3.7-a", "9539-3-a"],
    sends: "one handshake without server name",
    over: ["tls"],
    on: "handshake",
    run: async (prober, _, log) => {
      if (prober.target.name === undefined)
        return found("released", "answers handshakes without server name; none was given to compare with");
      const opened = await tryHandshake(prober, log, { serverName: "none" });
      return typeof opened === "string"
        ? found("partial", `wants the server name in the handshake: ${opened}`)
        : closing(opened, found("released", "answers handshakes without server name, too"));
    },
  },
  {
    row: "resumption",
    requirements: ["7858-3.4-f", "8310-9-c"],
    sends: "two handshakes with one query each, the second with the ticket of the first",
    over: ["tls"],
    on: "each",
    run: async (prober, _, log) => resumption(prober, log),
  },
];

function closing(stream: ProbeStream, finding: Finding): Finding {
  stream.close();
  return finding;
}

async function tryHandshake(
  prober: Prober,
  log: Transcript,
  how: OpenOptions,
): Promise<ProbeStream | string> {
  const opened = await prober.open("tls", log, how);
  return opened.ok ? opened.value : opened.problem;
}

async function versions(prober: Prober, _: unknown, log: Transcript): Promise<Finding> {
  const spoken: string[] = [];
  const refused: string[] = [];
  const unknown: string[] = [];
  // The newest first: a server that does not answer the new ones need not be asked for the old.
  for (const [name, version] of Object.entries(TLS_VERSIONS).reverse()) {
    const said = await oneVersion(prober, log, name, version);
    if (said === "spoken") spoken.unshift(name);
    else if (said === "refused") refused.unshift(name);
    else unknown.unshift(`${name}: ${said}`);
    if (unknown.length > 1 && spoken.length + refused.length === 0) break;
  }
  return judgeVersions(spoken, refused, unknown);
}

async function oneVersion(prober: Prober, log: Transcript, name: string, version: number): Promise<string> {
  const { random } = prober.runtime;
  const alpn = prober.reach.get("tls")?.alpn ?? ["dot"];
  const hello = makeClientHello({
    version,
    serverName: prober.target.name,
    alpn,
    random: random.octets(32),
    keyShare: random.octets(32),
  });
  log.sent(`ClientHello for ${name} only`, hello);
  const octets = await rawExchange(prober, hello, (soFar) => tryReadHelloAnswer(soFar).ok);
  if (typeof octets === "string") {
    log.note(octets);
    return octets;
  }
  const answer = tryReadHelloAnswer(octets);
  log.seen(
    answer.ok ? describeAnswer(answer.value) : `${octets.length} octets, then nothing: ${answer.problem}`,
    octets,
  );
  if (!answer.ok) return octets.length === 0 ? EMPTY_WAIT : answer.problem;
  if (answer.value.kind === "alert") return "refused";
  return answer.value.version === version ? "spoken" : "refused";
}

function describeAnswer(
  answer: { kind: "version"; version: number } | { kind: "alert"; description: number },
): string {
  return answer.kind === "alert"
    ? `alert ${answer.description}`
    : `ServerHello for version 0x${answer.version.toString(16)}`;
}

/** Exported for its test. */
export function judgeVersions(
  spoken: readonly string[],
  refused: readonly string[],
  unknown: readonly string[],
): Finding {
  if (spoken.length === 0) {
    const why = [...unknown, ...refused.map((name) => `${name}: refused`)].join("; ");
    return refused.length > 0 ? found("broken", `speaks no version of TLS: ${why}`) : notTestable(why);
  }
  const refuses = refused.length > 0 ? `, refuses ${refused.join(", ")}` : "";
  const rest = unknown.length > 0 ? ` (${unknown.join(", ")})` : "";
  const said = `speaks ${spoken.join(", ")}${refuses}${rest}`;
  const old = spoken.filter((name) => name === "TLS 1.0" || name === "TLS 1.1");
  if (old.length === spoken.length) return found("broken", `${said}: only versions that must not be used`);
  if (old.length > 0) return found("partial", `${said}: ${old.join(" and ")} must not be used`);
  return spoken.includes("TLS 1.3") ? found("released", said) : found("partial", `${said}: no TLS 1.3`);
}

const GROUPS = ["X25519MLKEM768", "X25519", "P-256", "P-384"] as const;

async function groups(prober: Prober, _: unknown, log: Transcript): Promise<Finding> {
  const taken: string[] = [];
  const refused: string[] = [];
  for (const group of GROUPS) {
    const opened = await tryHandshake(prober, log, { groups: [group] });
    (typeof opened === "string" ? refused : taken).push(group);
    if (typeof opened !== "string") opened.close();
  }
  const said = `takes ${taken.length > 0 ? taken.join(", ") : "none of the usual groups"}${refused.length > 0 ? `, refuses ${refused.join(", ")}` : ""}`;
  const isUsual = taken.includes("X25519") || taken.includes("P-256");
  return found(isUsual ? "released" : "partial", said);
}

async function alpn(prober: Prober, _: unknown, log: Transcript): Promise<Finding> {
  const withDot = await tryHandshake(prober, log, { alpn: ["dot"] });
  const selected = typeof withDot === "string" ? withDot : withDot.stream.security?.alpn;
  if (typeof withDot === "string")
    return found("broken", `refuses clients that offer the protocol dot: ${withDot}`);
  withDot.close();
  const without = await tryHandshake(prober, log, { alpn: [] });
  if (typeof without === "string") return found("partial", `refuses clients without ALPN: ${without}`);
  without.close();
  if (selected === "dot") return found("released", "selects dot, and takes clients without ALPN, too");
  return found(
    "none",
    selected === undefined ? "ignores ALPN" : `selects ${selected} where only dot was offered`,
  );
}

async function resumption(prober: Prober, log: Transcript): Promise<Finding> {
  const { existing } = prober.options.names;
  const first = await tryHandshake(prober, log, {});
  if (typeof first === "string") return notTestable(first);
  prober.count(2);
  await first.ask(prober.query({ name: existing }), prober.patience.replyMs);
  const { session } = first;
  first.close();
  if (session === undefined) return found("none", "hands out no ticket: every handshake is a full one");
  const second = await tryHandshake(prober, log, { session });
  if (typeof second === "string") return found("broken", `a handshake with a ticket fails: ${second}`);
  const isResumed = second.stream.security?.resumed === true;
  const answer = await second.ask(prober.query({ name: existing }), prober.patience.replyMs);
  second.close();
  // Up to TLS 1.2 OpenSSL tells of a session whether there was a ticket for it or not.
  const isTicket = second.stream.security?.protocol === "TLSv1.3";
  const tickets = isTicket
    ? "hands out tickets and does not take them back"
    : "hands out no tickets, or does not take them back";
  if (!isResumed) return found("none", `${tickets}: every handshake is a full one`);
  if (answer.kind === "none") return found("broken", `a resumed session is not answered: ${answer.why}`);
  return found(
    "released",
    `takes its ticket back: the second handshake was a short one (${second.stream.security?.protocol ?? ""})`,
  );
}
