/** A pool over real sockets, while its backends are killed, fall silent and answer garbage one after the other. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import type { Runtime } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { tryParseUpstreamAddress } from "@sotto/dns/transport";
import {
  encodeMessage,
  FrameReader,
  frameMessage,
  makeEdns,
  makeMessage,
  parseName,
  RRClass,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import {
  type BackendOptions,
  BackendPool,
  type ForwardOutcome,
} from "../../packages/sotto/src/front/backends/index.ts";
import { makeAuthority, spkiPin } from "../../packages/sotto/src/operations/index.ts";

const QUERIES_PER_PHASE = 600;
const AT_ONCE = 100;

type Mood = "answers" | "silent" | "garbage";

/** A server whose answers repeat the nonce of the name in their address. */
abstract class RealBackend {
  mood: Mood = "answers";
  #garbage = 0;

  /** What it sends for a query, if anything. */
  protected respond(octets: Uint8Array): Uint8Array | undefined {
    if (this.mood === "silent") return undefined;
    const query = tryDecodeMessage(octets.slice());
    assert.ok(query.ok);
    const { id, questions } = query.value;
    const owner = questions[0]?.name ?? parseName(".");
    const rdata = addressOf(Number(/^n(\d+)/.exec(owner.toString())?.[1] ?? 0));
    const record = { owner, type: RRType.A, class: RRClass.IN, ttl: 60, rdata };
    const reply = encodeMessage(
      makeMessage({ id, isResponse: true, questions, answers: [record], edns: makeEdns() }),
    );
    if (this.mood === "answers") return reply;
    switch (this.#garbage++ % 4) {
      case 0:
        return reply.with(0, (reply[0] ?? 0) ^ 0x80);
      case 1:
        return reply.with(13, (reply[13] ?? 0) ^ 0x01);
      case 2:
        return reply.subarray(0, reply.length - 9);
      default:
        return reply.fill(0xff, 2);
    }
  }

  abstract start(): Promise<void>;
  abstract kill(): Promise<void>;
}

class StreamBackend extends RealBackend {
  port = 0;
  readonly #tls: { readonly cert: string; readonly key: string } | undefined;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(tls?: { readonly cert: string; readonly key: string }) {
    super();
    this.#tls = tls;
  }

  async start(): Promise<void> {
    const onSocket = (socket: Socket): void => this.#serve(socket);
    this.#server =
      this.#tls === undefined
        ? createServer(onSocket)
        : createTlsServer({ ...this.#tls, ALPNProtocols: ["dot"] }, onSocket);
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    assert.ok(address !== null && typeof address !== "string");
    this.port = address.port;
  }

  #serve(socket: Socket): void {
    const reader = new FrameReader();
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("data", (octets: Buffer) => {
      reader.push(octets, (message) => {
        const reply = this.respond(message);
        if (reply !== undefined) socket.write(frameMessage(reply));
        return true;
      });
    });
  }

  async kill(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

class UdpBackend extends RealBackend {
  port = 0;
  #socket = createSocket("udp4");

  async start(): Promise<void> {
    const socket = createSocket("udp4");
    this.#socket = socket;
    socket.on("message", (octets, from) => {
      const reply = this.respond(octets);
      if (reply !== undefined) socket.send(reply, from.port, from.address);
    });
    socket.bind(this.port, "127.0.0.1");
    await once(socket, "listening");
    this.port = socket.address().port;
  }

  async kill(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }
}

function addressOf(nonce: number): Uint8Array {
  return Uint8Array.of(10, nonce >>> 16, nonce >>> 8, nonce);
}

function optionsOf(name: string, text: string): BackendOptions {
  const address = tryParseUpstreamAddress(text);
  assert.ok(address.ok, text);
  return { name, address: address.value };
}

/** Asks so many questions, so many at once; every outcome must be the answer to its own question. */
async function ask(pool: BackendPool, firstNonce: number, runtime: Runtime): Promise<string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const backends: string[] = [];
  let begun = 0;
  let over = 0;
  const next = (): void => {
    const nonce = firstNonce + begun++;
    const name = `n${nonce}.example.`;
    const question = { name: parseName(name), type: RRType.A, class: RRClass.IN };
    let outcomes = 0;
    const settle = (outcome: ForwardOutcome): void => {
      try {
        assert.equal(++outcomes, 1, `${name} has two outcomes`);
        if (outcome.kind === "failed") throw outcome.problem;
        const reply = tryDecodeMessage(outcome.octets);
        assert.ok(reply.ok);
        assert.equal(reply.value.questions[0]?.name.toString(), name);
        assert.deepEqual(reply.value.answers[0]?.rdata, addressOf(nonce));
        backends.push(outcome.backend);
      } catch (problem) {
        reject(problem);
      }
      if (++over === QUERIES_PER_PHASE) resolve();
      else if (begun < QUERIES_PER_PHASE) next();
    };
    pool.forward({
      octets: encodeMessage(makeMessage({ recursionDesired: true, questions: [question], edns: makeEdns() })),
      question,
      deadlineMs: runtime.clock.nowMs() + 10_000,
      client: undefined,
      local: undefined,
      settle,
    });
  };
  for (let i = 0; i < AT_ONCE; i++) next();
  await promise;
  return backends;
}

test("backends over TCP, TLS and UDP are killed, stopped and garbled in turn: every query has its own answer", async () => {
  const plain = nodeRuntime();
  const waiting = new Map<string, () => void>();
  /** Resolves when that is published next. */
  const told = (event: string, backend: string): Promise<void> =>
    new Promise((resolve) => waiting.set(`${event} ${backend}`, resolve));
  const events = {
    wants: (name: string) => name.startsWith("front."),
    publish: (name: string, details: Readonly<Record<string, unknown>>) =>
      waiting.get(`${name} ${details["backend"]}`)?.(),
  };
  const runtime: Runtime = { ...plain, events };
  const authority = await makeAuthority("test authority", runtime.clock.wallMs());
  const pair = await authority.issue(["dns.example"], runtime.clock.wallMs());
  const tcp = new StreamBackend();
  const tls = new StreamBackend({ cert: pair.certificatePem, key: pair.keyPem });
  const udp = new UdpBackend();
  await Promise.all([tcp.start(), tls.start(), udp.start()]);
  const pin = encodeURIComponent(spkiPin(pair.certificatePem));
  const pool = new BackendPool(
    {
      name: "main",
      balancing: "round robin",
      backends: [
        optionsOf("tcp", `tcp://127.0.0.1:${tcp.port}`),
        optionsOf("tls", `tls://127.0.0.1:${tls.port}?pin=sha256:${pin}`),
        optionsOf("udp", `udp://127.0.0.1:${udp.port}`),
      ],
      health: { intervalMs: 200, downIntervalMs: 50, timeoutMs: 300, slowStartMs: 0 },
    },
    runtime,
  );
  let nonce = 0;
  const phase = (): Promise<string[]> => {
    nonce += QUERIES_PER_PHASE;
    return ask(pool, nonce, runtime);
  };
  try {
    const all = await phase();
    for (const name of ["tcp", "tls", "udp"])
      assert.ok(all.filter((one) => one === name).length > QUERIES_PER_PHASE / 5, name);
    for (const [name, backend] of [
      ["tcp", tcp],
      ["tls", tls],
      ["udp", udp],
    ] as const) {
      for (const mood of ["killed", "silent", "garbage"] as const) {
        const isDown = told("front.backend.down", name);
        const during = phase();
        if (mood === "killed") await backend.kill();
        else backend.mood = mood;
        await Promise.all([during, isDown]);
        assert.ok(!(await phase()).includes(name), `${name} is down`);
        const isUp = told("front.backend.up", name);
        if (mood === "killed") await backend.start();
        else backend.mood = "answers";
        await isUp;
      }
    }
    assert.ok(pool.status.backends.every(({ state, connections }) => state === "up" && connections <= 4));
  } finally {
    await pool.close();
    await Promise.all([tcp.kill(), tls.kill(), udp.kill()]);
  }
});
