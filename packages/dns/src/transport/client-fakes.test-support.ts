/** Servers for tests of the client side: what they do with a query is a function of the test. */
import type { ByteStream, Endpoint, Network, StreamListener, TlsServerOptions } from "@sotto/dns/runtime";
import { fakeCertificatePem, type SimWorld, simRuntime } from "@sotto/dns/testing";
import {
  encodeMessage,
  FrameReader,
  frameMessage,
  type Message,
  makeMessage,
  type Name,
  parseName,
  type Question,
  RRClass,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import type { ExchangeRequest } from "./exchange-request.ts";
import { Exchanger, type ExchangerOptions } from "./exchanger.ts";

export const CLIENT_ADDRESSES = ["192.0.2.1", "2001:db8::1"];
export const SERVER = { address: "198.51.100.53", port: 53 };
export const TLS_SERVER = { address: "198.51.100.53", port: 853 };
export const IDENTITY = { subjectAltNames: ["DNS:dns.example"], key: "key of dns.example" };

export function questionOf(name: string, type: number = RRType.A): Question {
  return { name: parseName(name), type, class: RRClass.IN };
}

export function decode(octets: Uint8Array): Message {
  const message = tryDecodeMessage(octets);
  if (!message.ok) throw new RangeError(message.problem);
  return message.value;
}

/** An answer with one address that is made from the name, so that replies cannot be confused. */
export function replyTo(query: Message, parts: Partial<Message> = {}): Uint8Array {
  const [question] = query.questions;
  const answers = question === undefined ? [] : [addressRecord(question.name)];
  return encodeMessage(
    makeMessage({ id: query.id, isResponse: true, questions: query.questions, answers, ...parts }),
  );
}

export function addressRecord(owner: Name): Message["answers"][number] {
  let sum = 0;
  for (const octet of owner.wire) sum = (sum * 31 + octet) & 0xff_ffff;
  return {
    owner,
    type: RRType.A,
    class: RRClass.IN,
    ttl: 300,
    rdata: Uint8Array.of(10, sum >>> 16, sum >>> 8, sum),
  };
}

/** One stream of a fake server. */
export interface FakeStream {
  readonly stream: ByteStream;
  /** Queries in the order in which they came. */
  readonly queries: Message[];
  /** Octets of each query. */
  readonly octets: Uint8Array[];
  /** Number of chunks that arrived. */
  chunks: number;
  isEnded: boolean;
  isClosed: boolean;
  reply(octets: Uint8Array): void;
}

/** Accepts streams and hands each query to `onQuery`; keeps everything for the test to look at. */
export class FakeStreamServer {
  readonly streams: FakeStream[] = [];
  listener: StreamListener | undefined;

  static async open(
    network: Network,
    onQuery: (query: Message, stream: FakeStream) => void,
    tls?: Partial<TlsServerOptions>,
    local: Endpoint = tls === undefined ? SERVER : TLS_SERVER,
  ): Promise<FakeStreamServer> {
    const server = new FakeStreamServer();
    server.listener = await network.listen(
      {
        local,
        tls: tls && {
          certificatePem: fakeCertificatePem(IDENTITY),
          keyPem: "",
          alpn: ["dot"],
          ticketKeys: undefined,
          ...tls,
        },
        handshakeTimeoutMs: 1000,
        reusePort: false,
      },
      { onStream: (stream) => server.#accept(stream, onQuery), onFailure: () => undefined },
    );
    return server;
  }

  #accept(stream: ByteStream, onQuery: (query: Message, stream: FakeStream) => void): void {
    const reader = new FrameReader();
    const fake: FakeStream = {
      stream,
      queries: [],
      octets: [],
      chunks: 0,
      isEnded: false,
      isClosed: false,
      reply: (octets) => stream.write(frameMessage(octets)),
    };
    this.streams.push(fake);
    stream.setHandlers({
      onData: (octets) => {
        fake.chunks++;
        reader.push(octets, (message) => {
          const query = decode(message.slice());
          fake.queries.push(query);
          fake.octets.push(message.slice());
          onQuery(query, fake);
          return true;
        });
      },
      onEnd: () => {
        fake.isEnded = true;
        stream.end();
      },
      onClose: () => {
        fake.isClosed = true;
      },
      onDrain: () => undefined,
    });
  }
}

/** Answers datagrams with what `onQuery` gives; keeps the queries and their sources. */
export class FakeUdpServer {
  readonly queries: Message[] = [];
  readonly octets: Uint8Array[] = [];
  readonly sources: { readonly address: string; readonly port: number }[] = [];

  static async open(
    network: Network,
    onQuery: (query: Message, nth: number) => readonly Uint8Array[],
    local: Endpoint = SERVER,
  ): Promise<FakeUdpServer> {
    const server = new FakeUdpServer();
    const socket = await network.bindDatagram(
      { local, connectTo: undefined, reusePort: false },
      {
        onMessage: (octets, from) => {
          const query = decode(octets.slice());
          server.queries.push(query);
          server.octets.push(octets.slice());
          server.sources.push(from);
          for (const reply of onQuery(query, server.queries.length)) socket.send(reply, from);
        },
        onError: () => undefined,
      },
    );
    return server;
  }
}

/** A world with a client's exchanger and an empty host for servers. */
export function exchangerWorld(
  seed = 1,
  options: ExchangerOptions = {},
  weather: Parameters<typeof simRuntime>[1] = {},
): { world: SimWorld; exchanger: Exchanger; serverHost: Network } {
  const world = simRuntime(seed, weather);
  const exchanger = new Exchanger(options, world.runtimeOf(CLIENT_ADDRESSES));
  return { world, exchanger, serverHost: world.network.host([SERVER.address]) };
}

export function requestOf(world: SimWorld, parts: Partial<ExchangeRequest> = {}): ExchangeRequest {
  return {
    question: questionOf("www.example."),
    server: parts.transport === "tls" ? TLS_SERVER : SERVER,
    transport: "udp",
    recursionDesired: true,
    checkingDisabled: false,
    authenticData: false,
    edns: { udpPayloadOctets: 1232, version: 0, dnssecOk: false, reservedFlags: 0, options: [] },
    deadlineMs: world.clock.nowMs() + 5000,
    ...parts,
  };
}
