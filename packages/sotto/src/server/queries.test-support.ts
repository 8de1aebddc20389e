/** Queries, channels and replies for the tests of this folder. */
import assert from "node:assert/strict";
import type { Query, QueryChannel, QueryContext, Reply, Responder, Transport } from "@sotto/dns/transport";
import {
  type Edns,
  type EdnsOption,
  encodeMessage,
  type Message,
  MessageView,
  makeEdns,
  makeMessage,
  parseName,
  parseRecord,
  RRClass,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";

export interface QueryParts extends Partial<Omit<Message, "edns">> {
  readonly type?: number;
  readonly class?: number;
  /** True for an OPT with defaults. */
  readonly edns?: Partial<Edns> | true;
}

/** Octets of a query with RD. */
export function queryOctets(name: string, parts: QueryParts = {}): Uint8Array {
  const { type, class: rrClass, edns, ...rest } = parts;
  return encodeMessage(
    makeMessage({
      id: 0x1234,
      recursionDesired: true,
      questions: [{ name: parseName(name), type: type ?? RRType.A, class: rrClass ?? RRClass.IN }],
      ...rest,
      edns: edns === undefined ? undefined : makeEdns(edns === true ? {} : edns),
    }),
  );
}

export function viewOf(octets: Uint8Array): MessageView {
  const view = new MessageView();
  assert.equal(view.reset(octets), undefined);
  return view;
}

/** Keepalive of 10 s on TCP and TLS. */
export function channelOf(
  transport: Transport,
  parts: { address?: string; units?: number } = {},
): QueryChannel {
  return {
    origin: {
      transport,
      remote: transport === "internal" ? undefined : { address: parts.address ?? "127.0.0.1", port: 4711 },
      local: undefined,
      security: undefined,
    },
    keepaliveUnits: () => (transport === "tcp" || transport === "tls" ? (parts.units ?? 100) : undefined),
  };
}

export function queryOf(name: string, parts: QueryParts = {}): Query {
  const octets = queryOctets(name, parts);
  return { octets, view: viewOf(octets), origin: channelOf("tls").origin };
}

/** A reply with answers and authorities as text, in clear from somewhere. */
export function replyOf(
  query: Query,
  answers: readonly string[],
  parts: Partial<Message> & { authorityTexts?: readonly string[] } = {},
): Reply {
  const { authorityTexts, ...rest } = parts;
  return {
    message: makeMessage({
      isResponse: true,
      questions: [query.view.question],
      answers: answers.map((text) => parseRecord(text)),
      authorities: (authorityTexts ?? []).map((text) => parseRecord(text)),
      ...rest,
    }),
    security: "indeterminate",
    protection: "clear",
    extendedErrors: [],
  };
}

/** A responder that also counts. */
export class FakeResponder implements Responder {
  readonly queries: Query[] = [];
  readonly contexts: QueryContext[] = [];
  readonly #answer: (query: Query, context: QueryContext) => Reply | Promise<Reply>;

  constructor(answer: (query: Query, context: QueryContext) => Reply | Promise<Reply>) {
    this.#answer = answer;
  }

  async respond(query: Query, context: QueryContext): Promise<Reply> {
    this.queries.push(query);
    this.contexts.push(context);
    return this.#answer(query, context);
  }
}

export function decode(octets: Uint8Array | undefined): Message {
  assert.ok(octets !== undefined, "no answer");
  const message = tryDecodeMessage(octets);
  assert.ok(message.ok, message.ok ? "" : message.problem);
  return message.value;
}

/** The data of the only option with a code; undefined without one. */
export function optionOf(message: Message, code: number): Uint8Array | undefined {
  const options: readonly EdnsOption[] = message.edns?.options ?? [];
  const found = options.filter((option) => option.code === code);
  assert.ok(found.length <= 1, `${found.length} options ${code}`);
  return found[0]?.data;
}
