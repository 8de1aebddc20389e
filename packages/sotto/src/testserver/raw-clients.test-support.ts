/** Clients that know no rules, and a test server whose time stands still unless a test lets it pass. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { type Runtime, silentEvents } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { SeededRandom, SimClock } from "@sotto/dns/testing";
import {
  type EdnsOption,
  encodeMessage,
  FrameReader,
  frameMessage,
  type Message,
  makeEdns,
  makeMessage,
  parseName,
  RRClass,
  rrTypeFromText,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import type { Transport } from "./fixture.ts";
import type { ConnectionRecord, TimelineEvent } from "./observations.ts";
import { TestServer } from "./test-server.ts";

/** A test server in virtual time; certificates are valid in real time, because OpenSSL knows no other. */
export class TestWorld {
  readonly clock = new SimClock();
  readonly events: { readonly connection: ConnectionRecord; readonly event: TimelineEvent }[] = [];
  #tests: TestServer | undefined;

  get runtime(): Runtime {
    const { clock } = this;
    return {
      clock: {
        nowMs: () => clock.nowMs(),
        wallMs: () => Date.now(),
        startTimer: (name, delayMs, fire) => clock.startTimer(name, delayMs, fire),
      },
      random: new SeededRandom(1),
      network: nodeRuntime().network,
      events: silentEvents,
    };
  }

  async start(only?: readonly string[]): Promise<void> {
    const { runtime } = this;
    const onEvent = (connection: ConnectionRecord, event: TimelineEvent): void =>
      void this.events.push({ connection, event });
    this.#tests = await TestServer.start({ address: "127.0.0.1", portBase: 0, only, onEvent }, runtime);
  }

  get tests(): TestServer {
    if (this.#tests === undefined) throw new Error("not started");
    return this.#tests;
  }

  async close(): Promise<void> {
    await this.#tests?.close();
  }

  portOf(fixture: string, transport: Transport): number {
    const place = this.tests.fixture(fixture)?.places.find((one) => one.transport === transport);
    assert.ok(place !== undefined, `${fixture} is not served over ${transport}`);
    return place.port;
  }

  /** Waits for the world; lets time pass only for pauses between segments, so that nothing grows idle. */
  async until(what: string, isReached: () => boolean): Promise<void> {
    for (let turns = 0; !isReached(); turns++) {
      if (turns > TURNS_MAX) throw new Error(`never came: ${what}`);
      const isPause = this.clock.pendingTimers.some((name) => PAUSES.has(name));
      if (isPause) await this.clock.advance(1);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Waits for an event on the timeline of the fixture's connections. */
  async untilEvent(fixture: string, what: RegExp, count = 1): Promise<void> {
    const { events } = this;
    await this.until(`${what} of ${fixture}`, () => {
      const found = events.filter(
        ({ connection, event }) => connection.fixture === fixture && what.test(event.what),
      );
      return found.length >= count;
    });
  }

  /** To the TLS port, without TLS. */
  async connectClear(fixture: string): Promise<RawClient> {
    const client = new RawClient(this.portOf(fixture, "tls"), "tcp", {}, this);
    await this.until("connected", () => client.isOpen);
    return client;
  }

  async connect(fixture: string, transport: "tcp" | "tls", tls: ConnectionOptions = {}): Promise<RawClient> {
    const client = this.begin(fixture, transport, tls);
    await this.until(
      "connected or failed",
      () => client.isOpen || client.isClosed || client.error !== undefined,
    );
    return client;
  }

  /** Without waiting for anything. */
  begin(fixture: string, transport: "tcp" | "tls", tls: ConnectionOptions = {}): RawClient {
    this.events.length = 0;
    const port = this.portOf(fixture, transport);
    const usual = {
      ca: this.tests.credentials.authorityPem,
      servername: "resolver.sotto.test",
      ALPNProtocols: ["dot"],
    };
    return new RawClient(port, transport, { ...usual, ...tls }, this);
  }

  /** Sends queries at once, waits until the server has dealt with them, and gives all it said until the end. */
  async ask(fixture: string, transport: Transport, ...queries: Uint8Array[]): Promise<Uint8Array[]> {
    if (transport === "udp") return await this.#askUdp(fixture, queries);
    const client = await this.connect(fixture, transport);
    client.send(...queries);
    await this.untilEvent(fixture, DEALT_WITH, queries.length);
    return await client.finish();
  }

  async #askUdp(fixture: string, queries: readonly Uint8Array[]): Promise<Uint8Array[]> {
    this.events.length = 0;
    const socket = createSocket("udp4");
    const replies: Uint8Array[] = [];
    socket.on("message", (octets) => void replies.push(octets));
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    for (const query of queries) socket.send(query, this.portOf(fixture, "udp"), "127.0.0.1");
    await this.untilEvent(fixture, DEALT_WITH, queries.length);
    const sent = this.events.filter(({ event }) => event.what === "reply").length;
    await this.until("the replies", () => replies.length >= sent);
    socket.close();
    return replies;
  }
}

const DEALT_WITH = /^(?:reply|no reply|ignored.*|end: .*)$/;
const PAUSES = new Set(["testserver-segment", "testserver-batch", "testserver-hold"]);
/** Some seconds of a busy loop. */
const TURNS_MAX = 200_000;

/** A connection and all that came over it. */
export class RawClient {
  readonly socket: Socket;
  readonly messages: Uint8Array[] = [];
  readonly chunks: Uint8Array[] = [];
  isOpen = false;
  isClosed = false;
  /** FIN, or close_notify on TLS. */
  hasEnded = false;
  error: string | undefined;
  /** RST of TCP, which Node's errors do not tell from an end before the handshake. */
  isReset = false;
  readonly #tcp: Socket;
  readonly #world: TestWorld;
  readonly #frames = new FrameReader();
  #records: Buffer = Buffer.alloc(0);
  /** FIN of TCP. */
  hasTcpEnded = false;

  constructor(port: number, transport: "tcp" | "tls", tls: ConnectionOptions, world: TestWorld) {
    this.#world = world;
    this.#tcp = connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    this.#tcp.on("end", () => {
      this.hasTcpEnded = true;
    });
    this.#tcp.on("error", (error: NodeJS.ErrnoException) => {
      this.isReset ||= error.code === "ECONNRESET";
      this.error ??= error.code ?? error.message;
    });
    this.#tcp.on("close", () => {
      this.isClosed = true;
    });
    this.socket = transport === "tcp" ? this.#tcp : connectTls({ ...tls, socket: relayOf(this.#tcp) });
    this.socket.on(transport === "tcp" ? "connect" : "secureConnect", () => {
      this.isOpen = true;
    });
    this.socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error ??= error.code ?? error.message;
    });
    // Node calls it an end, too, when TLS ends without close_notify.
    if (transport === "tcp")
      this.#tcp.on("end", () => {
        this.hasEnded = true;
      });
    else this.#tcp.on("data", (octets: Buffer) => this.#watchRecords(octets));
    this.socket.on("data", (octets: Buffer) => {
      this.chunks.push(octets);
      this.#frames.push(octets, (message) => this.messages.push(message.slice()) > 0);
    });
  }

  get sentOctets(): number {
    return this.#tcp.bytesWritten;
  }

  get tls(): TLSSocket {
    // Callers ask clients that they opened with "tls".
    return this.socket as TLSSocket;
  }

  /** All in one write. */
  send(...messages: Uint8Array[]): void {
    this.socket.write(Buffer.concat(messages.map((message) => frameMessage(message))));
  }

  /** close_notify is an alert of two octets: in TLS 1.3 it looks like data, but nothing else is as short. */
  #watchRecords(octets: Buffer): void {
    this.#records = Buffer.concat([this.#records, octets]);
    for (;;) {
      const next = 5 + (this.#records.length < 5 ? 0 : this.#records.readUInt16BE(3));
      if (this.#records.length < Math.max(5, next)) return;
      if (this.isOpen && next === 5 + CLOSE_NOTIFY_OCTETS) this.hasEnded = true;
      this.#records = this.#records.subarray(next);
    }
  }

  /** Octets of a frame that is not complete. */
  get partialOctets(): number {
    return this.#frames.bufferedOctets;
  }

  /** Ends, waits for the end of the other side, and gives all messages. */
  async finish(): Promise<Uint8Array[]> {
    if (!this.socket.destroyed) this.socket.end();
    await this.#world.until("the end", () => this.isClosed || this.hasTcpEnded);
    this.#tcp.destroy();
    return this.messages;
  }

  /** What became of the connection, without a word of ours. */
  async outcome(): Promise<"fin" | "rst" | "close_notify" | "fin without close_notify"> {
    await this.#world.until("the end", () => this.isClosed || this.hasEnded || this.hasTcpEnded);
    // FIN comes right behind close_notify, if it comes.
    let turns = 0;
    await this.#world.until("what follows", () => this.isClosed || this.hasTcpEnded || ++turns > 50);
    if (this.isReset) return "rst";
    if (!this.hasTcpEnded) return "close_notify";
    return this.hasEnded ? "fin" : "fin without close_notify";
  }

  /** RST of TCP. */
  reset(): void {
    this.#tcp.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
    this.#tcp.destroy();
  }
}

/** Level, description, the inner type, and the tag of the usual ciphers. */
const CLOSE_NOTIFY_OCTETS = 2 + 1 + 16;

/** TLS takes a socket over; this leaves it visible. */
function relayOf(tcp: Socket): Duplex {
  const [inner, outer] = duplexPair();
  tcp.on("data", (octets: Buffer) => void outer.write(octets));
  tcp.on("end", () => void outer.end());
  tcp.on("close", () => void inner.destroy());
  outer.on("data", (octets: Buffer) => void tcp.write(octets));
  outer.on("end", () => void tcp.end());
  return inner;
}

/** A query with OPT and these options; `false`: without OPT. */
export function query(text: string, options: readonly EdnsOption[] | false = [], id = 0x1234): Uint8Array {
  const [name = "", type = "A"] = text.split(" ");
  return encodeMessage(
    makeMessage({
      id,
      recursionDesired: true,
      questions: [{ name: parseName(name), type: rrTypeFromText(type) ?? 1, class: RRClass.IN }],
      edns: options === false ? undefined : makeEdns({ options, dnssecOk: true }),
    }),
  );
}

/** The message, which has to be readable. */
export function decoded(octets: Uint8Array | undefined): Message {
  assert.ok(octets !== undefined, "a reply");
  const message = tryDecodeMessage(octets);
  assert.ok(message.ok, message.ok ? "" : message.problem);
  return message.value;
}
