/** The rows about the way to a server: the same questions over each transport, and what differs. */
import { type Message, makeCookie, RRType, recordToText } from "@sotto/dns/wire";
import type { Check } from "../server/check.ts";
import { CERTIFICATE_CHECKS } from "../server/check-certificate.ts";
import { FAST_OPEN_CHECKS } from "../server/check-fast-open.ts";
import { type Finding, found, notTestable } from "../server/finding.ts";
import type { ProbeTransport } from "../server/probe-options.ts";
import type { QueryParts } from "../server/probe-query.ts";
import type { Answer } from "../server/probe-stream.ts";
import type { Prober } from "../server/prober.ts";
import type { Transcript } from "../server/transcript.ts";

const EVERYWHERE: readonly ProbeTransport[] = ["udp", "tcp", "tls"];

/** What each transport gave to one question. */
export type Compared = ReadonlyMap<ProbeTransport, Answer>;

export const PATH_CHECKS: readonly Check[] = [
  {
    row: "identity",
    requirements: ["8310-6.5-a", "7858-4.2-b"],
    sends: "one handshake",
    over: ["tls"],
    on: "handshake",
    run: identity,
  },
  {
    row: "options",
    requirements: ["7828-3.5-a", "6891-6.1.1-a"],
    sends: "over each transport one query with OPT, DO, an unknown option and a cookie",
    over: EVERYWHERE,
    on: "anyway",
    run: async (prober, _, log) => {
      const cookie = makeCookie({ client: prober.runtime.random.octets(8), server: new Uint8Array(0) });
      const edns = { dnssecOk: true, options: [cookie, { code: UNKNOWN_OPTION, data: Uint8Array.of(1, 2) }] };
      return judgeOptions(await overEach(prober, log, { name: prober.options.names.existing, edns }));
    },
  },
  {
    row: "size",
    requirements: ["9715-3-a", "7766-5-a"],
    sends: "one question whose answer is long, over TCP or TLS and over UDP for up to 1232 and 4096 octets",
    over: EVERYWHERE,
    on: "anyway",
    run: size,
  },
  {
    row: "answers",
    requirements: ["8932-5.1.6"],
    sends: "over each transport the usual name, and one that nobody has asked for",
    over: EVERYWHERE,
    on: "anyway",
    run: async (prober, _, log) => {
      const usual = await overEach(prober, log, { name: prober.options.names.existing });
      const unknown = await overEach(prober, log, { name: prober.uniqueName() });
      return judgeAnswers(usual, unknown);
    },
  },
  ...FAST_OPEN_CHECKS.map(
    (check): Check => ({
      ...check,
      run: async (prober, transport, log) => {
        const finding = await check.run(prober, transport, log);
        // Here it is enough that nothing is swallowed; whether the server takes the data is its own row.
        if (finding?.verdict !== "none") return finding;
        return found("released", `${finding.observed}, but connections that ask for it work`, "likely");
      },
    }),
  ),
];

async function overEach(prober: Prober, log: Transcript, parts: QueryParts): Promise<Compared> {
  const answers = new Map<ProbeTransport, Answer>();
  for (const transport of prober.target.transports) {
    if (prober.reach.get(transport)?.problem !== undefined) continue;
    log.note(`over ${transport.toUpperCase()}`);
    answers.set(transport, await prober.askOnce(transport, prober.query(parts), log));
  }
  return answers;
}

async function identity(
  prober: Prober,
  transport: ProbeTransport,
  log: Transcript,
): Promise<Finding | undefined> {
  const { name, pins = [] } = prober.target;
  if (name === undefined && pins.length === 0) return notTestable("needs a name or a pin to compare with");
  const finding = await CERTIFICATE_CHECKS[0]?.run(prober, transport, log);
  if (finding?.verdict !== "broken") return finding;
  return found(
    "broken",
    `somebody else speaks TLS there, or the server is set up wrongly: ${finding.observed}`,
    "likely",
  );
}

/** What the most private transport gave, and the others beside it. */
function withMeasure(
  answers: Compared,
): { measure: readonly [ProbeTransport, Answer]; others: [ProbeTransport, Answer][] } | undefined {
  const order = (["tls", "tcp", "udp"] as const).filter((transport) => answers.has(transport));
  const [first, ...rest] = order;
  const answer = first === undefined ? undefined : answers.get(first);
  if (first === undefined || answer === undefined || rest.length === 0) return undefined;
  const others = rest.flatMap((transport): [ProbeTransport, Answer][] => {
    const other = answers.get(transport);
    return other === undefined ? [] : [[transport, other]];
  });
  return { measure: [first, answer], others };
}

const NOTHING_TO_COMPARE = "needs two transports that answer";

/** Exported for its test. */
export function judgeOptions(answers: Compared): Finding {
  const compared = withMeasure(answers);
  if (compared === undefined) return notTestable(NOTHING_TO_COMPARE);
  const [measure, right] = compared.measure;
  if (right.kind === "none" || right.message.edns === undefined)
    return notTestable(`the server has no EDNS even over ${measure.toUpperCase()}`);
  const problems = compared.others.flatMap(([transport, answer]) => {
    const lost = lostOf(right.message, answer);
    return lost === undefined ? [] : [`${transport.toUpperCase()}: ${lost}`];
  });
  if (problems.length === 0)
    return found(
      "released",
      `the same over ${[...answers.keys()].map((one) => one.toUpperCase()).join(", ")}`,
    );
  return found("broken", `${problems.join("; ")}; over ${measure.toUpperCase()} it is there`, "likely");
}

/** What one transport loses. Cookies are left out: servers have them where they are of use, which is UDP. */
function lostOf(right: Message, answer: Answer): string | undefined {
  if (answer.kind === "none") return `queries with EDNS get no answer (${answer.why})`;
  if (answer.message.edns === undefined) return `no OPT in the reply, rcode ${answer.message.rcode}`;
  if (right.edns?.dnssecOk === true && !answer.message.edns.dnssecOk) return "DO is lost";
  return answer.message.rcode === right.rcode
    ? undefined
    : `rcode ${answer.message.rcode} instead of ${right.rcode}`;
}

async function size(prober: Prober, _: ProbeTransport, log: Transcript): Promise<Finding> {
  const isUp = (transport: ProbeTransport): boolean =>
    prober.reach.get(transport)?.problem === undefined && prober.reach.has(transport);
  const stream = (["tls", "tcp"] as const).find(isUp);
  if (stream === undefined || !isUp("udp")) return notTestable("needs UDP and a stream that answer");
  const name = prober.options.names.signed ?? prober.options.names.existing;
  const ask = (transport: ProbeTransport, udpPayloadOctets: number): Promise<Answer> =>
    prober.askOnce(
      transport,
      prober.query({ name, type: RRType.DNSKEY, edns: { dnssecOk: true, udpPayloadOctets } }),
      log,
    );
  return judgeSize(await ask(stream, SIZES[1]), await ask("udp", SIZES[0]), await ask("udp", SIZES[1]));
}

/** Exported for its test: the whole answer, and what came over UDP for up to 1232 and 4096 octets. */
export function judgeSize(whole: Answer, small: Answer, large: Answer): Finding {
  if (whole.kind === "none") return notTestable(`the long answer was not to be had: ${whole.why}`);
  const octets = whole.octets.length;
  if (small.kind === "none")
    return found("broken", `asked for up to ${SIZES[0]} octets, UDP gives nothing (${small.why})`, "likely");
  if (large.kind === "none")
    return found(
      "partial",
      `asked for up to ${SIZES[1]} octets, UDP gives nothing for an answer of ${octets}: fragments may be lost on the way`,
      "likely",
    );
  const came = Math.max(small.octets.length, large.octets.length);
  if (octets <= TELLING_OCTETS)
    return notTestable(
      `the answer has only ${octets} octets: it came through, and tells nothing of longer ones`,
    );
  return found("released", `a datagram of ${came} octets came through; the whole answer has ${octets}`);
}

/** Exported for its test. */
export function judgeAnswers(usual: Compared, unknown: Compared): Finding {
  const first = differing(usual);
  const second = differing(unknown);
  if (first === undefined || second === undefined) return notTestable(NOTHING_TO_COMPARE);
  const problems = [...first, ...second];
  if (problems.length === 0)
    return found("released", `the same over ${[...usual.keys()].map((one) => one.toUpperCase()).join(", ")}`);
  // Servers behind one address may differ, and so may addresses that take turns.
  return found("partial", problems.join("; "), "guess");
}

function differing(answers: Compared): string[] | undefined {
  const compared = withMeasure(answers);
  if (compared === undefined) return undefined;
  const [measure, right] = compared.measure;
  return compared.others.flatMap(([transport, answer]) => {
    const [here, there] = [contentOf(answer), contentOf(right)];
    return here === there
      ? []
      : [`${transport.toUpperCase()} gives ${here}, and ${measure.toUpperCase()} ${there}`];
  });
}

/** Code and records in any order, without TTLs, which run down. */
function contentOf(answer: Answer): string {
  if (answer.kind === "none") return `nothing (${answer.why})`;
  const records = answer.message.answers.map((record) => recordToText({ ...record, ttl: 0 })).sort();
  return `rcode ${answer.message.rcode}${records.length === 0 ? "" : ` with ${records.join(", ")}`}`;
}

/** Not registered. */
const UNKNOWN_OPTION = 100;
/** RFC 9715, and what was usual before. */
const SIZES = [1232, 4096] as const;
/** Shorter datagrams come through everywhere. */
const TELLING_OCTETS = 512;
