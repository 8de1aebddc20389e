/** The stubs' rows of 2016, observed on our client side against a server that writes down what it sees. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ByteStream, DnsError, type StreamListener } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { type ExchangeRequest, Exchanger, type TlsPolicy } from "@sotto/dns/transport";
import {
  EdnsOptionCode,
  encodeMessage,
  FrameReader,
  frameMessage,
  type Message,
  makeEdns,
  makeKeepalive,
  makeMessage,
  parseName,
  RRClass,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { type Cell, Observations, takeCell } from "./cell.ts";
import { AUTH_NAME, kernelCounter, type World } from "./world.ts";

const { clock, network } = nodeRuntime();

/** A query as the server saw it. */
interface Seen {
  readonly message: Message;
  readonly octets: number;
  readonly connection: number;
}

/** Reads queries and answers when and how it is told to. */
class Recorder {
  readonly queries: Seen[] = [];
  connections = 0;
  /** When the last connection ended, monotonic milliseconds. */
  endedMs: number | undefined = undefined;
  listener: StreamListener | undefined;
  #onQuery: (seen: Seen, reply: (message: Message) => void) => void;

  constructor(onQuery: (seen: Seen, reply: (message: Message) => void) => void) {
    this.#onQuery = onQuery;
  }

  async open(world: World, transport: "tcp" | "tls", port: number, fastOpen: boolean): Promise<number> {
    const read = (name: string): string => readFileSync(join(world.folder, name), "utf8");
    this.listener = await network.listen(
      {
        local: { address: "127.0.0.1", port },
        tls:
          transport === "tcp"
            ? undefined
            : {
                certificatePem: read("server.pem"),
                keyPem: read("server.key"),
                alpn: ["dot"],
                ticketKeys: undefined,
              },
        handshakeTimeoutMs: 5000,
        reusePort: false,
        fastOpenQueue: fastOpen ? 64 : undefined,
      },
      { onStream: (stream) => this.#accept(stream), onFailure: () => undefined },
    );
    return this.listener.local.port;
  }

  #accept(stream: ByteStream): void {
    const connection = ++this.connections;
    const reader = new FrameReader();
    stream.setHandlers({
      onData: (octets) => {
        reader.push(octets, (message) => {
          const decoded = tryDecodeMessage(message.slice());
          if (!decoded.ok) return true;
          const seen = { message: decoded.value, octets: message.length, connection };
          this.queries.push(seen);
          this.#onQuery(seen, (reply) => stream.write(frameMessage(encodeMessage(reply))));
          return true;
        });
      },
      onEnd: () => {
        this.endedMs = clock.nowMs();
        stream.end();
      },
      onClose: () => undefined,
      onDrain: () => undefined,
    });
  }
}

function replyTo(query: Message, options: readonly { code: number; data: Uint8Array }[] = []): Message {
  return makeMessage({
    id: query.id,
    isResponse: true,
    questions: query.questions,
    edns: query.edns && makeEdns({ options }),
  });
}

const answerAtOnce = (seen: Seen, reply: (message: Message) => void): void => reply(replyTo(seen.message));

function policyOf(world: World, parts: Partial<TlsPolicy> = {}): TlsPolicy {
  return {
    serverName: AUTH_NAME,
    authName: AUTH_NAME,
    pins: [],
    trustAnchorsPem: [world.caPem],
    authenticate: "required",
    ...parts,
  };
}

function requestOf(name: string, transport: "tcp" | "tls", port: number, tls?: TlsPolicy): ExchangeRequest {
  return {
    question: { name: parseName(name), type: RRType.A, class: RRClass.IN },
    server: { address: "127.0.0.1", port },
    transport,
    recursionDesired: true,
    checkingDisabled: false,
    authenticData: false,
    edns: makeEdns(),
    deadlineMs: clock.nowMs() + 5000,
    tls,
  };
}

/** Takes all stub cells. */
export async function stubCells(world: World, isPort853: boolean, hasFastOpen: boolean): Promise<Cell[]> {
  const takes: readonly [string, () => Promise<Cell>][] = [
    ["TCP Fast Open", () => fastOpen(world, hasFastOpen)],
    ["Connection reuse", () => reuse(world)],
    ["Pipelining of queries", () => pipelining(world)],
    ["Process OOOR", () => outOfOrder(world)],
    ["EDNS0 Keepalive", () => keepalive(world)],
    ["TLS on port 853", () => tlsOnPort(world, isPort853)],
    ["Authentication of server", () => authentication(world)],
    ["EDNS0 Padding", () => padding(world)],
  ];
  const cells: Cell[] = [];
  for (const [row, take] of takes) cells.push(await takeCell("stub", row, take));
  return cells;
}

const TRANSPORTS = ["tcp", "tls"] as const;

async function fastOpen(world: World, hasFastOpen: boolean): Promise<Cell> {
  const seen = new Observations();
  if (!hasFastOpen)
    seen.see(false, "measurable only in a network namespace with net.ipv4.tcp_fastopen=3 (root)");
  for (const transport of hasFastOpen ? TRANSPORTS : []) {
    const recorder = new Recorder(answerAtOnce);
    const port = await recorder.open(world, transport, 0, true);
    const before = kernelCounter("TCPFastOpenActive");
    for (let i = 0; i < 4; i++) {
      const exchanger = new Exchanger({ fastOpen: true }, nodeRuntime());
      await exchanger.exchange(requestOf("www.example.", transport, port, policyOf(world)));
      await exchanger.close();
    }
    const active = kernelCounter("TCPFastOpenActive") - before;
    seen.see(active >= 3, `${transport}: TCPFastOpenActive +${active} in 4 connections`);
    await recorder.listener?.close();
  }
  return seen.cell("stub", "TCP Fast Open");
}

async function reuse(world: World): Promise<Cell> {
  const seen = new Observations();
  for (const transport of TRANSPORTS) {
    const recorder = new Recorder(answerAtOnce);
    const port = await recorder.open(world, transport, 0, false);
    const exchanger = new Exchanger({}, nodeRuntime());
    let reused = 0;
    for (let i = 0; i < 20; i++) {
      const { facts } = await exchanger.exchange(
        requestOf(`n${i}.example.`, transport, port, policyOf(world)),
      );
      if (facts.connectionReused) reused++;
    }
    seen.see(
      recorder.connections === 1 && reused === 19,
      `${transport}: 20 queries one after the other over ${recorder.connections} connection, ${reused} on a reused one`,
    );
    await exchanger.close();
    await recorder.listener?.close();
  }
  return seen.cell("stub", "Connection reuse");
}

/** Answers nothing until so many queries are there, then all, the last first. */
function holdUntil(count: number): (seen: Seen, reply: (message: Message) => void) => void {
  const held: (() => void)[] = [];
  return (seen, reply) => {
    held.push(() => reply(replyTo(seen.message)));
    if (held.length === count) for (const answer of held.splice(0).reverse()) answer();
  };
}

async function pipelining(world: World): Promise<Cell> {
  const seen = new Observations();
  for (const transport of TRANSPORTS) {
    const recorder = new Recorder(holdUntil(20));
    const port = await recorder.open(world, transport, 0, false);
    const exchanger = new Exchanger({}, nodeRuntime());
    const running = Array.from({ length: 20 }, (_, i) =>
      exchanger.exchange(requestOf(`n${i}.example.`, transport, port, policyOf(world))),
    );
    await Promise.all(running);
    seen.see(
      recorder.connections === 1,
      `${transport}: 20 queries were there before the server gave its first reply, over ${recorder.connections} connection`,
    );
    const ids = new Set(recorder.queries.map(({ message }) => message.id));
    seen.see(ids.size === 20, `${transport}: ${ids.size} different message ids`);
    await exchanger.close();
    await recorder.listener?.close();
  }
  return seen.cell("stub", "Pipelining of queries");
}

async function outOfOrder(world: World): Promise<Cell> {
  const seen = new Observations();
  for (const transport of TRANSPORTS) {
    const recorder = new Recorder(holdUntil(10));
    const port = await recorder.open(world, transport, 0, false);
    const exchanger = new Exchanger({}, nodeRuntime());
    const names = Array.from({ length: 10 }, (_, i) => `n${i}.example.`);
    const results = await Promise.all(
      names.map((name) => exchanger.exchange(requestOf(name, transport, port, policyOf(world)))),
    );
    const right = results.filter(
      ({ message }, i) => message.questions[0]?.name.toString() === names[i],
    ).length;
    seen.see(
      right === 10,
      `${transport}: 10 replies in reverse order, ${right} went to the query they answer`,
    );
    await exchanger.close();
    await recorder.listener?.close();
  }
  return seen.cell("stub", "Process OOOR");
}

async function keepalive(world: World): Promise<Cell> {
  const seen = new Observations();
  for (const transport of TRANSPORTS) {
    for (const units of [15, 0]) {
      const recorder = new Recorder((query, reply) => reply(replyTo(query.message, [makeKeepalive(units)])));
      const port = await recorder.open(world, transport, 0, false);
      const exchanger = new Exchanger({}, nodeRuntime());
      await exchanger.exchange(requestOf("www.example.", transport, port, policyOf(world)));
      const repliedMs = clock.nowMs();
      while (recorder.endedMs === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
      const idleMs = recorder.endedMs - repliedMs;
      const option = recorder.queries[0]?.message.edns?.options.find(
        ({ code }) => code === EdnsOptionCode.TcpKeepalive,
      );
      const isRight = units === 0 ? idleMs < 200 : idleMs < units * 100 && idleMs > 100;
      seen.see(
        option?.data.length === 0,
        `${transport}: option 11 of length ${option?.data.length} in the query`,
      );
      seen.see(
        isRight,
        `${transport}: told ${units * 100} ms, the client closed ${Math.round(idleMs)} ms after the reply`,
      );
      await exchanger.close();
      await recorder.listener?.close();
    }
  }
  return seen.cell("stub", "EDNS0 Keepalive");
}

async function tlsOnPort(world: World, isPort853: boolean): Promise<Cell> {
  const seen = new Observations();
  const recorder = new Recorder(answerAtOnce);
  const port = await recorder.open(world, "tls", isPort853 ? 853 : 0, false);
  const exchanger = new Exchanger({}, nodeRuntime());
  const { facts } = await exchanger.exchange(requestOf("www.example.", "tls", port, policyOf(world)));
  const { security } = facts;
  seen.see(
    facts.protection === "authenticated",
    `port ${port}: ${security?.protocol}, ${security?.cipher}, ${security?.group}, ALPN ${security?.alpn}`,
  );
  await exchanger.close();
  const later = new Exchanger({}, nodeRuntime());
  const refused = await later.exchange(requestOf("www.example.", "tls", 53, policyOf(world))).then(
    () => "asked",
    (error: unknown) => (DnsError.is(error) ? error.code : String(error)),
  );
  seen.see(refused === "ERR_CONFIG", `TLS on port 53 is not tried: ${refused}`);
  await later.close();
  await recorder.listener?.close();
  return seen.cell("stub", "TLS on port 853");
}

async function authentication(world: World): Promise<Cell> {
  const seen = new Observations();
  const wrongPin = "A".repeat(43).concat("=");
  const unnamed = { authName: undefined, serverName: undefined, trustAnchorsPem: undefined };
  const cases: [string, Partial<TlsPolicy>, boolean][] = [
    ["right name", {}, true],
    ["wrong name", { authName: "other.example" }, false],
    ["right pin, no name", { ...unnamed, pins: [world.pin] }, true],
    ["wrong pin, no name", { ...unnamed, pins: [wrongPin] }, false],
    ["right name and wrong pin", { pins: [wrongPin] }, false],
    ["unknown authority", { trustAnchorsPem: undefined }, false],
  ];
  for (const [what, policy, isRight] of cases) {
    const recorder = new Recorder(answerAtOnce);
    const port = await recorder.open(world, "tls", 0, false);
    const exchanger = new Exchanger({}, nodeRuntime());
    const outcome = await exchanger
      .exchange(requestOf("www.example.", "tls", port, policyOf(world, policy)))
      .then(
        ({ facts }) => facts.authenticatedBy ?? "not authenticated",
        (error: unknown) => (DnsError.is(error) ? error.code : String(error)),
      );
    const queries = recorder.queries.length;
    const isAsExpected = isRight ? queries === 1 : outcome === "ERR_TLS_NOT_AUTHENTICATED" && queries === 0;
    seen.see(isAsExpected, `${what}: ${outcome}, queries that reached the server: ${queries}`);
    await exchanger.close();
    await recorder.listener?.close();
  }
  return seen.cell("stub", "Authentication of server");
}

async function padding(world: World): Promise<Cell> {
  const seen = new Observations();
  for (const transport of ["tls", "tcp"] as const) {
    const recorder = new Recorder(answerAtOnce);
    const port = await recorder.open(world, transport, 0, false);
    const exchanger = new Exchanger({}, nodeRuntime());
    for (const name of [
      "a.example.",
      "www.some-what-longer.example.",
      `${"x".repeat(60)}.${"y".repeat(60)}.example.`,
    ])
      await exchanger.exchange(requestOf(name, transport, port, policyOf(world)));
    const sizes = recorder.queries.map(({ octets }) => octets);
    const options = recorder.queries.filter(({ message }) =>
      message.edns?.options.some(({ code }) => code === EdnsOptionCode.Padding),
    ).length;
    if (transport === "tls")
      seen.see(
        options === 3 && sizes.every((size) => size % 128 === 0),
        `queries for three names over TLS: ${sizes.join(", ")} octets, option 12 in ${options}`,
      );
    else seen.see(options === 0, `over clear TCP: ${sizes.join(", ")} octets, option 12 in ${options}`);
    await exchanger.close();
    await recorder.listener?.close();
  }
  return seen.cell("stub", "EDNS0 Padding");
}
