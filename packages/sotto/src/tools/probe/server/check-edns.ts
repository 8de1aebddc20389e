/**
 * EDNS as the flag days test it (RFC 6891), over UDP, TCP and TLS alike: versions, flags and options that nobody knows, and what
 * a server must not do. Also requests that are no usual queries.
 */
import {
  type EdnsOption,
  EdnsOptionCode,
  encodeMessage,
  type Message,
  makeClientSubnet,
  makeMessage,
  Opcode,
  Rcode,
} from "@sotto/dns/wire";
import { Asker } from "./asker.ts";
import type { Check } from "./check.ts";
import { type Finding, found } from "./finding.ts";
import type { ProbeTransport } from "./probe-options.ts";
import { makeQuery, type QueryParts, type SentQuery } from "./probe-query.ts";
import type { Prober } from "./prober.ts";
import type { Transcript } from "./transcript.ts";

const REQUIREMENTS = ["6891-6.1.1-a", "6891-6.1.2-a", "6891-6.1.3-a", "7828-3.4-b"];
const SENDS =
  "nine queries: without OPT, with it, with an unknown version, flag and options, DO, NSID, a client subnet, a small size";

export const EDNS_CHECKS: readonly Check[] = (["udp", "tcp", "tls"] as const).map((transport) => ({
  row: `edns-${transport}`,
  requirements: REQUIREMENTS,
  sends: SENDS,
  over: [transport],
  on: "each",
  run: matrix,
}));

/** One line of the matrix; what it gives back is what is wrong. */
interface EdnsProbe {
  readonly name: string;
  readonly parts: Omit<QueryParts, "name">;
  readonly judge: (reply: Message) => string | undefined;
}

/** Not registered, and not for private use either. */
const UNKNOWN_OPTION: EdnsOption = { code: 100, data: Uint8Array.of(1, 2, 3, 4) };
const UNKNOWN_FLAG = 0x0040;

function usual(reply: Message): string | undefined {
  if (reply.rcode === Rcode.FormErr || reply.rcode === Rcode.NotImp || reply.rcode === Rcode.BadVers)
    return `rcode ${reply.rcode}`;
  if (reply.edns === undefined) return "no OPT in the reply";
  return reply.edns.version === 0 ? undefined : `version ${reply.edns.version} in the reply`;
}

function badVersion(reply: Message): string | undefined {
  if (reply.edns === undefined) return "no OPT in the reply";
  return reply.rcode === Rcode.BadVers ? undefined : `rcode ${reply.rcode} instead of BADVERS`;
}

function withoutEcho(reply: Message): string | undefined {
  const isEchoed = reply.edns?.options.some(({ code }) => code === UNKNOWN_OPTION.code) === true;
  return isEchoed ? "the unknown option is sent back" : undefined;
}

/** Exported for its test. The first two decide whether there is any EDNS. */
export const EDNS_PROBES: readonly EdnsProbe[] = [
  {
    name: "no OPT",
    parts: {},
    judge: (reply) => (reply.edns === undefined ? undefined : "an OPT although the query had none"),
  },
  { name: "OPT", parts: { edns: {} }, judge: usual },
  { name: "version 1", parts: { edns: { version: 1 } }, judge: badVersion },
  {
    name: "unknown option",
    parts: { edns: { options: [UNKNOWN_OPTION] } },
    judge: (reply) => usual(reply) ?? withoutEcho(reply),
  },
  {
    name: "version 1 and unknown option",
    parts: { edns: { version: 1, options: [UNKNOWN_OPTION] } },
    judge: (reply) => badVersion(reply) ?? withoutEcho(reply),
  },
  {
    name: "unknown flag",
    parts: { edns: { reservedFlags: UNKNOWN_FLAG } },
    judge: (reply) =>
      usual(reply) ?? ((reply.edns?.reservedFlags ?? 0) === 0 ? undefined : "the unknown flag is sent back"),
  },
  {
    name: "DO",
    parts: { edns: { dnssecOk: true } },
    judge: (reply) => usual(reply) ?? (reply.edns?.dnssecOk === true ? undefined : "DO is not in the reply"),
  },
  {
    name: "NSID and client subnet /0",
    parts: {
      edns: {
        options: [
          { code: EdnsOptionCode.Nsid, data: new Uint8Array(0) },
          makeClientSubnet({ address: new Uint8Array(4), sourcePrefixBits: 0, scopePrefixBits: 0 }),
        ],
      },
    },
    judge: usual,
  },
  { name: "size 512", parts: { edns: { udpPayloadOctets: 512 } }, judge: usual },
];

async function matrix(prober: Prober, transport: ProbeTransport, log: Transcript): Promise<Finding> {
  const asker = new Asker(prober, transport, log);
  const problems: string[] = [];
  let silent = 0;
  try {
    for (const probe of EDNS_PROBES) {
      log.note(`${probe.name}:`);
      const answer = await asker.ask(prober.query({ name: prober.options.names.existing, ...probe.parts }));
      const wrong = answer.kind === "none" ? answer.why : probe.judge(answer.message);
      silent = answer.kind === "none" ? silent + 1 : 0;
      if (wrong !== undefined) problems.push(`${probe.name}: ${wrong}`);
      // Without plain EDNS the rest says nothing more, and each silence costs time.
      if (silent >= SILENT_MAX || (probe.name === "OPT" && wrong !== undefined))
        return found("broken", problems.join("; "));
    }
  } finally {
    asker.close();
  }
  if (problems.length === 0) return found("released", `right in all ${EDNS_PROBES.length} cases`);
  return found(
    "partial",
    `right in ${EDNS_PROBES.length - problems.length} of ${EDNS_PROBES.length} cases; ${problems.join("; ")}`,
  );
}

export const REQUEST_CHECKS: readonly Check[] = [
  {
    row: "odd-requests",
    requirements: ["9619-a", "8490-5.1.1-a"],
    sends: "a query with two questions, a message of DNS Stateful Operations, and a usual query behind each",
    over: ["tls", "tcp"],
    on: "best",
    run: oddRequests,
  },
];

async function oddRequests(prober: Prober, transport: ProbeTransport, log: Transcript): Promise<Finding> {
  const asker = new Asker(prober, transport, log);
  const { existing } = prober.options.names;
  try {
    const problems: string[] = [];
    const two = twoQuestions(prober.query({ name: existing }));
    const toTwo = await asker.ask(two);
    const twoProblem =
      toTwo.kind === "none"
        ? toTwo.why
        : toTwo.message.rcode === Rcode.FormErr
          ? undefined
          : `rcode ${toTwo.message.rcode}`;
    if (twoProblem !== undefined) problems.push(`two questions: ${twoProblem} instead of FORMERR`);
    const dso = stateful(prober.query({ name: existing }));
    const toDso = await asker.ask(dso);
    const isDso = toDso.kind === "reply" && toDso.message.rcode === Rcode.NoError;
    const isRefused = toDso.kind === "reply" && toDso.message.rcode === Rcode.NotImp;
    if (toDso.kind === "none") problems.push(`DNS Stateful Operations: ${toDso.why} instead of NOTIMP`);
    else if (!isDso && !isRefused)
      problems.push(`DNS Stateful Operations: rcode ${toDso.message.rcode} instead of NOTIMP`);
    const after = await asker.ask(prober.query({ name: existing }));
    if (after.kind === "none") problems.push(`a usual query after them: ${after.why}`);
    const said = isDso
      ? "two questions get FORMERR, and it knows DNS Stateful Operations"
      : "two questions get FORMERR, DNS Stateful Operations NOTIMP, and the connection goes on";
    return problems.length === 0 ? found("released", said) : found("partial", problems.join("; "));
  } finally {
    asker.close();
  }
}

function twoQuestions(query: SentQuery): SentQuery {
  const { questions } = query.message;
  const octets = encodeMessage({ ...query.message, questions: [...questions, ...questions] }).slice();
  return { ...query, octets, text: `${query.text}, the question twice` };
}

/** A keepalive TLV (RFC 8490 §7.1): two intervals of 60 s. */
function stateful(query: SentQuery): SentQuery {
  const header = encodeMessage(makeMessage({ id: query.id, opcode: Opcode.Dso }));
  const octets = Uint8Array.of(...header, 0, 1, 0, 8, 0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60);
  const { message } = makeQuery(query.id, { name: "" });
  return {
    ...query,
    octets,
    message: { ...message, questions: [] },
    text: "DNS Stateful Operations, keepalive",
  };
}

/** So many silences in a row, and nothing more is asked. */
const SILENT_MAX = 3;
