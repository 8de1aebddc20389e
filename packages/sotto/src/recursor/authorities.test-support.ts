/** Fakes for tests of this folder: authoritative servers as a function of address and question, and records as text. */
import { type Clock, DnsError } from "@sotto/dns/runtime";
import type { ExchangeRequest, ExchangeResult, Query } from "@sotto/dns/transport";
import {
  encodeMessage,
  type Message,
  makeEdns,
  makeMessage,
  parseName,
  type Question,
  type ResourceRecord,
  RRClass,
  RRType,
  rrTypeFromText,
  rrTypeToText,
  tryParseAddress,
  tryViewMessage,
} from "@sotto/dns/wire";
import type { Exchange } from "./inquiry.ts";

/** `www.example. 300 A 192.0.2.1`; types A, AAAA, NS, CNAME, DNAME, SOA (only its minimum), TXT and RRSIG (type, labels). */
export function rr(text: string): ResourceRecord {
  const [owner = "", ttl = "", typeText = "", ...rest] = text.split(" ");
  const type = rrTypeFromText(typeText) ?? 0;
  return { owner: parseName(owner), type, class: RRClass.IN, ttl: Number(ttl), rdata: rdataOf(type, rest) };
}

function rdataOf(type: number, words: readonly string[]): Uint8Array {
  const first = words[0] ?? "";
  switch (type) {
    case RRType.A:
    case RRType.AAAA: {
      const address = tryParseAddress(first);
      return address.ok ? address.value : new Uint8Array();
    }
    case RRType.SOA: {
      const rdata = new Uint8Array(22);
      new DataView(rdata.buffer).setUint32(18, Number(first));
      return rdata;
    }
    case RRType.RRSIG: {
      const rdata = new Uint8Array(24);
      new DataView(rdata.buffer).setUint16(0, rrTypeFromText(first) ?? 0);
      rdata[3] = Number(words[1]);
      return rdata;
    }
    case RRType.TXT:
      return Uint8Array.of(first.length, ...new TextEncoder().encode(first));
    case RRType.NSEC:
      return Uint8Array.of(...parseName(first).wire, 0, 1, 0x40);
    default:
      return parseName(first).wire;
  }
}

/** Records of a message as sorted text, for comparing; rdata of unknown types in hexadecimal. */
export function show(records: readonly ResourceRecord[]): string[] {
  return records.map((record) => {
    const isName = record.type === RRType.NS || record.type === RRType.CNAME || record.type === RRType.DNAME;
    const rdata = isName
      ? new TextDecoder().decode(record.rdata.subarray(1)).replaceAll(/[^ -~]/g, ".")
      : [...record.rdata].join(".");
    return `${record.owner} ${record.ttl} ${rrTypeToText(record.type)} ${rdata}`;
  });
}

/** What a fake server does: parts of a reply, after a delay, or a failure. */
export type Reaction = Partial<Message> & { readonly afterMs?: number; readonly fails?: DnsError };
export type Server = (question: string, request: ExchangeRequest) => Reaction | "silence";

/** A reply with AA. */
export function authoritative(parts: Partial<Message>): Reaction {
  return { isAuthoritative: true, ...parts };
}

/** An answer with AA. */
export function answer(...records: readonly string[]): Reaction {
  return authoritative({ answers: records.map(rr) });
}

/** A referral: NS records, then glue. */
export function referral(authorities: readonly string[], additionals: readonly string[] = []): Reaction {
  return { authorities: authorities.map(rr), additionals: additionals.map(rr) };
}

export class FakeAuthorities implements Exchange {
  readonly servers: Record<string, Server>;
  /** Every query: `192.0.2.1 www.example. A`, with ` tcp` and ` plain` where it applies. */
  readonly log: string[] = [];
  readonly #clock: Clock;

  constructor(servers: Record<string, Server>, clock: Clock) {
    this.servers = servers;
    this.#clock = clock;
  }

  exchange(request: ExchangeRequest): Promise<ExchangeResult> {
    const question = `${request.question.name} ${rrTypeToText(request.question.type)}`;
    const tcp = request.transport === "tcp" ? " tcp" : "";
    this.log.push(`${request.server.address} ${question}${tcp}${request.edns === undefined ? " plain" : ""}`);
    const reaction = this.servers[request.server.address]?.(question, request) ?? "silence";
    return new Promise((resolve, reject) => {
      const timeout = new DnsError("ERR_TIMEOUT", "no reply in time");
      const silent = reaction === "silence";
      const delayMs = silent ? request.deadlineMs - this.#clock.nowMs() : (reaction.afterMs ?? RTT_MS);
      const timer = this.#clock.startTimer("fake authority", delayMs, () => {
        if (silent) reject(timeout);
        else if (reaction.fails !== undefined) reject(reaction.fails);
        else resolve(resultOf(request.question, delayMs, { edns: request.edns && makeEdns(), ...reaction }));
      });
      request.signal?.addEventListener("abort", () => {
        timer.cancel();
        reject(new DnsError("ERR_ABORTED", "given up"));
      });
    });
  }
}

export const RTT_MS = 10;

function resultOf(question: Question, exchangeMs: number, parts: Partial<Message>): ExchangeResult {
  const message = makeMessage({ isResponse: true, questions: [question], ...parts });
  return { message, octets: new Uint8Array(12), facts: { ...NO_FACTS, exchangeMs } };
}

const NO_FACTS: ExchangeResult["facts"] = {
  upstream: { address: "192.0.2.1", port: 53 },
  transport: "udp",
  protection: "clear",
  authenticatedBy: undefined,
  connectionReused: false,
  sessionResumed: false,
  security: undefined,
  connectMs: 0,
  handshakeMs: 0,
  exchangeMs: 0,
  queryOctets: 0,
  replyOctets: 0,
  retriedOverTcp: false,
};

/** A client's query. */
export function queryOf(
  name: string,
  type: number,
  options: { dnssecOk?: boolean; class?: number } = {},
): Query {
  const octets = encodeMessage(
    makeMessage({
      id: 1,
      recursionDesired: true,
      questions: [{ name: parseName(name), type, class: options.class ?? RRClass.IN }],
      edns: makeEdns({ dnssecOk: options.dnssecOk ?? false }),
    }),
  );
  const view = tryViewMessage(octets);
  if (!view.ok) throw new RangeError(view.problem);
  const origin = { transport: "internal" as const, remote: undefined, local: undefined, security: undefined };
  return { octets, view: view.value, origin };
}
