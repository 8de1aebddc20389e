/** The servers of a scenario: whatever is asked of any of its addresses is looked up in the ranges of the present step. */
import {
  encodeMessage,
  type Message,
  makeEdns,
  makeMessage,
  type Question,
  Rcode,
  rcodeFromText,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { answerQuery } from "../fake-internet/authority.ts";
import type { Scenario, ScenarioEntry, ScenarioRange } from "./scenario.ts";

/** What servers do with queries that the scenario has no answer for. */
export type Unmatched = "silence" | "SERVFAIL" | "REFUSED";

/** What a server sends, and how many milliseconds later than others. */
export interface ScenarioReply {
  readonly octets: Uint8Array;
  readonly delayMs: number;
}

/** The reply of the server at `address` during the first of `steps` that has one; undefined for silence. */
export function replyTo(
  scenario: Scenario,
  steps: readonly number[],
  address: string,
  octets: Uint8Array,
  transport: "udp" | "tcp",
  unmatched: Unmatched,
): ScenarioReply | undefined {
  const decoded = tryDecodeMessage(octets);
  if (!decoded.ok) return undefined;
  const query = decoded.value;
  let entry: ScenarioEntry | undefined;
  for (const step of steps) entry ??= findEntry(scenario, step, address, query, transport);
  const atOnce = (reply: Uint8Array | undefined): ScenarioReply | undefined =>
    reply && { octets: reply, delayMs: 0 };
  if (entry === undefined) {
    for (const step of steps) {
      const zones = rangesOf(scenario, step, address).flatMap((range) => range.zones);
      if (zones.length > 0) return atOnce(answerQuery(zones, octets, transport));
    }
    return unmatched === "silence" ? undefined : atOnce(failureOf(query, unmatched));
  }
  if (entry.adjust.has("do_not_answer")) return undefined;
  return { octets: entry.raw ?? encodeMessage(messageOf(entry, query)), delayMs: entry.delayMs };
}

function rangesOf(scenario: Scenario, step: number, address: string): ScenarioRange[] {
  return scenario.ranges.filter(
    ({ from, to, addresses }) =>
      step >= from &&
      step <= to &&
      (addresses.length === 0 || addresses.some((known) => sameAddress(known, address))),
  );
}

function findEntry(
  scenario: Scenario,
  step: number,
  address: string,
  query: Message,
  transport: "udp" | "tcp",
): ScenarioEntry | undefined {
  for (const range of rangesOf(scenario, step, address)) {
    const entry = range.entries.find((one) => matches(one, query, transport));
    if (entry !== undefined) return entry;
  }
  return undefined;
}

function sameAddress(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** True when a query has what the MATCH words of an entry ask for. */
export function matches(entry: ScenarioEntry, query: Message, transport: "udp" | "tcp"): boolean {
  const asked = query.questions[0];
  const expected = entry.questions[0];
  if (asked === undefined) return false;
  for (const word of entry.match) {
    switch (word) {
      case "qname":
      case "question":
      case "qtype":
      case "subdomain":
      case "qcase":
        if (expected === undefined || !matchesQuestion(word, expected, asked)) return false;
        break;
      case "tcp":
      case "udp":
        if (word !== transport) return false;
        break;
      case "do":
        if (query.edns?.dnssecOk !== true) return false;
        break;
      case "noedns":
        if (query.edns !== undefined) return false;
        break;
      default:
        break;
    }
  }
  return true;
}

function matchesQuestion(word: string, expected: Question, asked: Question): boolean {
  if (word === "qname") return expected.name.equals(asked.name);
  if (word === "qcase") return Buffer.compare(expected.name.wire, asked.name.wire) === 0;
  if (word === "qtype") return expected.type === asked.type;
  if (word === "subdomain") return asked.name.isAtOrBelow(expected.name);
  return expected.name.equals(asked.name) && expected.type === asked.type && expected.class === asked.class;
}

/** The message of an entry, as an answer to a query where there is one. */
export function messageOf(entry: ScenarioEntry, query: Message | undefined): Message {
  const { reply, adjust } = entry;
  const takesQuestion = adjust.has("copy_query") && query !== undefined;
  return makeMessage({
    id: query?.id ?? 0,
    isResponse: reply.has("QR"),
    opcode: query?.opcode ?? 0,
    isAuthoritative: reply.has("AA"),
    isTruncated: reply.has("TC"),
    recursionDesired: reply.has("RD"),
    recursionAvailable: reply.has("RA"),
    authenticData: reply.has("AD"),
    checkingDisabled: reply.has("CD"),
    rcode: rcodeOf(entry),
    questions: takesQuestion ? query.questions : entry.questions,
    answers: entry.answers,
    authorities: entry.authorities,
    additionals: entry.additionals,
    edns: (query === undefined ? reply.has("DO") : query.edns !== undefined && !adjust.has("no_edns"))
      ? makeEdns({ dnssecOk: reply.has("DO"), options: entry.options })
      : undefined,
  });
}

/** The rcode among the words of REPLY; NOERROR without one. */
export function rcodeOf(entry: ScenarioEntry): Rcode {
  for (const word of entry.reply) {
    const rcode = word === "NOTIMPL" ? Rcode.NotImp : rcodeFromText(word);
    if (rcode !== undefined) return rcode;
  }
  return Rcode.NoError;
}

function failureOf(query: Message, unmatched: "SERVFAIL" | "REFUSED"): Uint8Array {
  const rcode = unmatched === "SERVFAIL" ? Rcode.ServFail : Rcode.Refused;
  return encodeMessage(
    makeMessage({
      id: query.id,
      isResponse: true,
      opcode: query.opcode,
      questions: query.questions,
      rcode,
      edns: query.edns && makeEdns({}),
    }),
  );
}
