/** A front end before pools that answer when they are told to. */
import assert from "node:assert/strict";
import { MESSAGE_CACHE_BYTES_MIN, MessageCache } from "@sotto/dns/cache";
import { DnsError } from "@sotto/dns/runtime";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import type { LaterAnswer, QueryChannel, Transport } from "@sotto/dns/transport";
import {
  EdnsOptionCode,
  type ExtendedError,
  encodeMessage,
  type Message,
  makeEdns,
  makeMessage,
  makePadding,
  parseName,
  parseRecord,
  Rcode,
  RRClass,
  RRType,
  tryDecodeMessage,
  tryReadExtendedError,
} from "@sotto/dns/wire";
import type { ForwardQuery } from "./backends/index.ts";
import type { FrontPool } from "./front-pool.ts";
import { FrontService, type FrontServiceOptions } from "./front-service.ts";
import type { Verdict } from "./rules/index.ts";

const PASS: Verdict = {
  end: "pass",
  rule: undefined,
  rcode: Rcode.NoError,
  errors: [],
  answer: undefined,
  pool: undefined,
  delayMs: 0,
  edits: [],
  tags: [],
  loggedBy: [],
  tees: [],
};

class FakePool implements FrontPool {
  readonly name: string;
  readonly asked: ForwardQuery[] = [];
  readonly cache: MessageCache | undefined;
  readonly staleSeconds = 600;
  readonly passesAuthenticData: boolean;
  readonly passedOptions = new Set([EdnsOptionCode.ZoneVersion]);
  isDown = false;

  constructor(name: string, { random }: SimWorld, passesAuthenticData = true) {
    this.name = name;
    this.passesAuthenticData = passesAuthenticData;
    this.cache = new MessageCache({ bytesMax: MESSAGE_CACHE_BYTES_MIN }, random);
  }

  get backends() {
    const { isDown } = this;
    return {
      forward: (query: ForwardQuery) => void this.asked.push(query),
      isDown,
      openTransfer: () => undefined,
    };
  }

  /** Answers the oldest query. */
  reply(parts: Partial<Message> = {}): void {
    const query = this.asked.shift();
    assert.ok(query !== undefined, "nothing was asked");
    const address = parseRecord(`${query.question.name.toString()} 300 IN A 192.0.2.1`);
    const octets = encodeMessage(
      makeMessage({
        id: 9,
        isResponse: true,
        recursionDesired: true,
        recursionAvailable: true,
        questions: [query.question],
        answers: [address],
        edns: makeEdns({
          options: [makePadding(77), { code: EdnsOptionCode.TcpKeepalive, data: Uint8Array.of(0, 9) }],
        }),
        ...parts,
      }),
    );
    const useless = query.refuses?.(octets, "b1");
    if (useless === undefined) query.settle({ kind: "reply", octets, backend: "b1", tookMs: 1, tries: 1 });
    else this.#fail(query, new DnsError("ERR_REPLY_UNUSABLE", `backend b1: ${useless}`));
  }

  fail(): void {
    const problem = new DnsError("ERR_NO_REACHABLE_AUTHORITY", "b1 is down", { stage: "connect" });
    this.#fail(this.asked.shift(), problem);
  }

  #fail(query: ForwardQuery | undefined, problem: DnsError): void {
    query?.settle({ kind: "failed", problem, tries: 3 });
  }
}

export function open(
  options: Partial<Omit<FrontServiceOptions, "pools" | "rules">> & { verdict?: Partial<Verdict> } = {},
) {
  const world = simRuntime(1);
  const [first, second] = [new FakePool("first", world), new FakePool("second", world, false)];
  const verdict = { ...PASS, ...options.verdict };
  const service = new FrontService(
    {
      rules: { judge: () => verdict },
      pools: new Map([first, second].map((pool) => [pool.name, pool])),
      deadlineMs: 4000,
      transfers: [],
      ...options,
    },
    world.runtimeOf(["127.0.0.1"]),
  );
  const handler = service.handlerOf("public");
  return {
    world,
    first,
    second,
    service,
    ask: (octets = queryOctets(), channel = channelOf("tls")) => handler.answer(octets, channel),
  };
}

export function queryOctets(parts: Partial<Message> & { readonly name?: string } = {}): Uint8Array {
  const { name = "WWW.Example.", ...rest } = parts;
  return encodeMessage(
    makeMessage({
      id: 0x1234,
      recursionDesired: true,
      questions: [{ name: parseName(name), type: RRType.A, class: RRClass.IN }],
      edns: makeEdns(),
      ...rest,
    }),
  );
}

export function channelOf(transport: Transport, address = "127.0.0.1"): QueryChannel {
  const remote = { address, port: 4711 };
  return {
    origin: { transport, remote, local: undefined, security: undefined },
    keepaliveUnits: () => (transport === "udp" ? undefined : 123),
  };
}

/** It waits for a backend. */
export function isLater(answer: ReturnType<ReturnType<typeof open>["ask"]>): answer is LaterAnswer {
  return answer !== undefined && !(answer instanceof Uint8Array);
}

export async function decoded(answer: ReturnType<ReturnType<typeof open>["ask"]>): Promise<Message> {
  const octets = isLater(answer) ? await answer : answer;
  assert.ok(octets !== undefined, "no answer");
  const message = tryDecodeMessage(octets);
  assert.ok(message.ok);
  return message.value;
}

/** Options of a query as a backend gets it. */
export function optionsOf(query: ForwardQuery | undefined): number[] | undefined {
  const message = tryDecodeMessage(query?.octets ?? new Uint8Array(0));
  assert.ok(message.ok);
  return message.value.edns?.options.map(({ code }) => code);
}

export function errorOf({ edns }: Message): ExtendedError | undefined {
  const option = edns?.options.find(({ code }) => code === EdnsOptionCode.ExtendedError);
  const read = option === undefined ? undefined : tryReadExtendedError(option.data);
  return read?.ok ? read.value : undefined;
}

export function edeOf(message: Message): number | undefined {
  return errorOf(message)?.code;
}
