/** A pool and its backends on a simulated network: what a backend does with a query is a function of the test. */
import assert from "node:assert/strict";
import type { DatagramSocket, StreamListener } from "@sotto/dns/runtime";
import { fakeCertificatePem, type SimNetworkOptions, type SimWorld, simRuntime } from "@sotto/dns/testing";
import { tryParseUpstreamAddress } from "@sotto/dns/transport";
import {
  concatOctets,
  encodeMessage,
  FrameReader,
  frameMessage,
  type Message,
  makeEdns,
  makeMessage,
  type ProxyHeader,
  parseName,
  type Question,
  type Rcode,
  RRClass,
  RRType,
  readProxyHeader,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { BackendPool } from "./backend-pool.ts";
import type { BackendOptions, BackendPoolOptions } from "./backend-settings.ts";
import type { ForwardOutcome } from "./forward-query.ts";

export const FRONT_ADDRESS = "192.0.2.1";

/** What a backend does with one query. */
export interface BackendQuery {
  readonly query: Message;
  readonly octets: Uint8Array;
  readonly transport: "udp" | "stream";
  /** Of the backend: how many queries it has seen. */
  readonly nth: number;
  /** On its connection; 1 over UDP. */
  readonly nthOnConnection: number;
  reply(octets: Uint8Array): void;
  /** FIN, over a connection. */
  end(): void;
  reset(): void;
}

export type Behaviour = (query: BackendQuery) => void;

export const answers: Behaviour = ({ query, reply }) => reply(answerTo(query));
export const isSilent: Behaviour = () => undefined;
export const fails =
  (rcode: Rcode): Behaviour =>
  ({ query, reply }) =>
    reply(answerTo(query, { rcode, answers: [] }));

/** An answer with one record whose text is the first label, so that answers cannot be confused. */
export function answerTo(query: Message, parts: Partial<Message> = {}): Uint8Array {
  const [question] = query.questions;
  const owner = question?.name ?? parseName(".");
  const record = { owner, type: RRType.A, class: RRClass.IN, ttl: 60, rdata: addressOf(owner.toString()) };
  return encodeMessage(
    makeMessage({
      id: query.id,
      isResponse: true,
      questions: query.questions,
      answers: [record],
      edns: query.edns && makeEdns(),
      ...parts,
    }),
  );
}

function addressOf(text: string): Uint8Array {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) >>> 0;
  return Uint8Array.of(10, hash >>> 16, hash >>> 8, hash);
}

/** A server at one address, over UDP, TCP and TLS. */
export class FakeBackend {
  readonly queries: BackendQuery[] = [];
  /** Checks of health are not counted. */
  readonly checks: BackendQuery[] = [];
  behaviour: Behaviour = answers;
  /** Whether checks are answered like everything else. */
  checkBehaviour: Behaviour = answers;
  connections = 0;
  connectionsMost = 0;
  connectionsInAll = 0;
  /** Pieces that arrived: what was written at once is one. */
  chunks = 0;
  /** Each connection and datagram begins with a PROXY header. */
  expectsProxy = false;
  readonly heads: ProxyHeader[] = [];
  resumed = 0;
  readonly #world: SimWorld;
  readonly #address: string;
  readonly #resets = new Set<() => void>();
  #listeners: StreamListener[] = [];
  #udp: DatagramSocket | undefined;

  constructor(world: SimWorld, address: string) {
    this.#world = world;
    this.#address = address;
  }

  async open(): Promise<this> {
    this.#listeners = [await this.#listen(53, undefined), await this.#listen(853, "dns.example")];
    return this;
  }

  /** From now on its certificate is for that name; connections stay. */
  async rename(name: string): Promise<void> {
    const [clear, encrypted] = this.#listeners;
    await encrypted?.close();
    this.#listeners = [...(clear === undefined ? [] : [clear]), await this.#listen(853, name)];
  }

  /** In clear without a name. */
  #listen(port: number, name: string | undefined): Promise<StreamListener> {
    const identity = { subjectAltNames: [`DNS:${name}`], key: `key of ${this.#address}` };
    const certificatePem = fakeCertificatePem(identity);
    const tls =
      name === undefined ? undefined : { certificatePem, keyPem: "", alpn: ["dot"], ticketKeys: undefined };
    const local = { address: this.#address, port };
    return this.#world.network
      .host([this.#address])
      .listen(
        { local, tls, handshakeTimeoutMs: 1000, reusePort: false },
        { onStream: (stream) => this.#accept(stream), onFailure: () => undefined },
      );
  }

  async openUdp(): Promise<this> {
    const network = this.#world.network.host([this.#address]);
    const socket = await network.bindDatagram(
      { local: { address: this.#address, port: 53 }, connectTo: undefined, reusePort: false },
      {
        onMessage: (datagram, from) => {
          this.#take(datagram.slice(this.#readHead(datagram) ?? 0), "udp", 1, {
            reply: (octets) => socket.send(octets, from),
            end: () => undefined,
            reset: () => undefined,
          });
        },
        onError: () => undefined,
      },
    );
    this.#udp = socket;
    return this;
  }

  /** Nobody listens there any more, which the system tells whoever sends. */
  async killUdp(): Promise<void> {
    await this.#udp?.close();
  }

  /** Nobody listens any more, and all connections break. */
  async kill(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    for (const reset of [...this.#resets]) reset();
  }

  #accept(
    stream: Parameters<Parameters<ReturnType<SimWorld["network"]["host"]>["listen"]>[1]["onStream"]>[0],
  ): void {
    const reader = new FrameReader();
    let nthOnConnection = 0;
    let early: Uint8Array | undefined = this.expectsProxy ? new Uint8Array(0) : undefined;
    const reset = (): void => stream.reset();
    this.#resets.add(reset);
    this.connections++;
    this.connectionsInAll++;
    if (stream.security?.resumed === true) this.resumed++;
    this.connectionsMost = Math.max(this.connectionsMost, this.connections);
    stream.setHandlers({
      onData: (chunk) => {
        let octets = chunk;
        this.chunks++;
        if (early !== undefined) {
          early = concatOctets([early, chunk]);
          const headOctets = this.#readHead(early);
          if (headOctets === undefined) return;
          octets = early.subarray(headOctets);
          early = undefined;
        }
        reader.push(octets, (message) => {
          this.#take(message.slice(), "stream", ++nthOnConnection, {
            reply: (reply) => stream.write(frameMessage(reply)),
            end: () => stream.end(),
            reset,
          });
          return true;
        });
      },
      onEnd: () => stream.end(),
      onClose: () => {
        this.connections--;
        this.#resets.delete(reset);
      },
      onDrain: () => undefined,
    });
  }

  /** Octets of the PROXY header; undefined when it is not complete. */
  #readHead(octets: Uint8Array): number | undefined {
    if (!this.expectsProxy) return 0;
    const read = readProxyHeader(octets);
    if (read.kind === "malformed") throw new RangeError(read.problem);
    if (read.kind === "incomplete") return undefined;
    this.heads.push(read.header);
    return read.octets;
  }

  #take(
    octets: Uint8Array,
    transport: BackendQuery["transport"],
    nthOnConnection: number,
    ways: Pick<BackendQuery, "reply" | "end" | "reset">,
  ): void {
    const query = decode(octets);
    const isCheck = query.questions[0]?.name.isRoot === true;
    const all = isCheck ? this.checks : this.queries;
    const one = { query, octets, transport, nth: all.length + 1, nthOnConnection, ...ways };
    all.push(one);
    (isCheck ? this.checkBehaviour : this.behaviour)(one);
  }
}

export function decode(octets: Uint8Array): Message {
  const message = tryDecodeMessage(octets);
  if (!message.ok) throw new RangeError(message.problem);
  return message.value;
}

export function names(count: number, prefix = "n"): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}.example.`);
}

export function questionOf(name: string): Question {
  return { name: parseName(name), type: RRType.A, class: RRClass.IN };
}

/** A query that was given to the pool. */
export interface Asked {
  readonly name: string;
  readonly outcomes: ForwardOutcome[];
}

export interface PoolWorld {
  readonly world: SimWorld;
  readonly pool: BackendPool;
  readonly backends: readonly FakeBackend[];
  ask(name: string, deadlineMs?: number, client?: string): Asked;
  /** Lets time pass until all have their outcome. */
  settled(asked: readonly Asked[]): Promise<void>;
  /** Closes, and looks that nothing is left. */
  end(): Promise<void>;
}

/** Backends `b1`, `b2`, … at 198.51.100.1, …; no checks unless `pool` wants some. */
export async function poolWorld(
  transports: readonly ("udp" | "tcp" | "tls")[],
  pool: Partial<BackendPoolOptions> = {},
  backend: Partial<BackendOptions> = {},
  weather: SimNetworkOptions = {},
  seed = 1,
): Promise<PoolWorld> {
  const world = simRuntime(seed, weather);
  const backends = await Promise.all(
    transports.map(async (transport, i) => {
      const fake = new FakeBackend(world, `198.51.100.${i + 1}`);
      await fake.open();
      return transport === "udp" ? fake.openUdp() : fake;
    }),
  );
  const made = new BackendPool(
    {
      name: "main",
      backends: transports.map((transport, i) => ({
        name: `b${i + 1}`,
        address: addressOfBackend(transport, i + 1),
        ...backend,
      })),
      health: { intervalMs: 0, slowStartMs: 0 },
      ...pool,
    },
    world.runtimeOf([FRONT_ADDRESS]),
  );
  return {
    world,
    pool: made,
    backends,
    ask: (name, deadlineMs = 5000, client = undefined) => askPool(world, made, name, deadlineMs, client),
    settled: (asked) => world.clock.runUntil(() => asked.every(({ outcomes }) => outcomes.length > 0)),
    end: async () => {
      await world.clock.runUntil(made.close());
      await world.clock.advance(10_000);
      assert.deepEqual(world.clock.pendingTimers, []);
      assert.equal(world.network.use.streams, 0);
      assert.equal(
        world.network.use.datagramSockets,
        transports.filter((transport) => transport === "udp").length,
      );
    },
  };
}

function addressOfBackend(transport: string, nth: number): BackendOptions["address"] {
  const text = `${transport}://198.51.100.${nth}`;
  const address = tryParseUpstreamAddress(
    transport === "tls" ? `tls://dns.example?ip=198.51.100.${nth}` : text,
  );
  if (!address.ok) throw new RangeError(address.problem);
  return address.value;
}

function askPool(
  world: SimWorld,
  pool: BackendPool,
  name: string,
  patienceMs: number,
  client: string | undefined,
): Asked {
  const outcomes: ForwardOutcome[] = [];
  const question = questionOf(name);
  const octets = encodeMessage(
    makeMessage({ recursionDesired: true, questions: [question], edns: makeEdns() }),
  );
  pool.forward({
    octets,
    question,
    deadlineMs: world.clock.nowMs() + patienceMs,
    client: client === undefined ? undefined : { address: client, port: 4000 },
    local: client === undefined ? undefined : { address: FRONT_ADDRESS, port: 853 },
    settle: (outcome) => outcomes.push(outcome),
  });
  return { name, outcomes };
}

/** The one outcome, which must be the right answer; gives its backend. */
export function assertAnswered({ name, outcomes }: Asked): string {
  const [outcome] = outcomes;
  assert.ok(outcome !== undefined && outcomes.length === 1, `${outcomes.length} outcomes of ${name}`);
  if (outcome.kind === "failed") throw new Error(`${name} failed`, { cause: outcome.problem });
  const { questions, answers: records } = decode(outcome.octets);
  assert.equal(questions[0]?.name.toString(), name);
  assert.deepEqual(records[0]?.rdata, addressOf(name), name);
  return outcome.backend;
}
