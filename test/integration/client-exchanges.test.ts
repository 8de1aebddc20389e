/** The client side over real sockets on loopback: UDP, TCP and TLS against our own listeners. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import {
  type ExchangeRequest,
  Exchanger,
  type MessageHandler,
  type QueryOrigin,
  StreamService,
  type TlsPolicy,
  UdpListener,
} from "@sotto/dns/transport";
import {
  encodeMessage,
  makeEdns,
  makeMessage,
  parseName,
  RRClass,
  RRType,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import { makeAuthority, spkiPin } from "../../packages/sotto/src/operations/index.ts";

const LOOPBACK = { address: "127.0.0.1", port: 0 };

interface Place {
  readonly runtime: Runtime;
  readonly exchanger: Exchanger;
  readonly ports: { readonly udp: number; readonly tcp: number; readonly tls: number };
  readonly anchorPem: string;
  readonly pin: string;
  /** Queries by transport, in order of arrival. */
  readonly seen: { transport: string; octets: number; resumed: boolean | undefined }[];
}

/** UDP and TCP on one port, which a connection of another test may have taken for TCP in the meantime. */
async function openBoth(handler: MessageHandler): Promise<{ udp: UdpListener; tcp: StreamService }> {
  const runtime = nodeRuntime();
  for (let tries = 1; ; tries++) {
    const udp = await UdpListener.open({ local: LOOPBACK }, handler, runtime);
    try {
      const local = { ...LOOPBACK, port: udp.local.port };
      return { udp, tcp: await StreamService.open({ local }, handler, runtime) };
    } catch (error) {
      await udp.close();
      if (!DnsError.is(error, "ERR_ADDRESS_IN_USE") || tries >= 20) throw error;
    }
  }
}

/** Opens listeners that answer `big.example.` truncated over UDP, and `slow.example.` last. */
async function withServers(run: (place: Place) => Promise<void>): Promise<void> {
  const runtime = nodeRuntime();
  const seen: Place["seen"] = [];
  const handler: MessageHandler = {
    answer: (octets, channel) => {
      const { transport, security } = channel.origin;
      seen.push({ transport, octets: octets.length, resumed: security?.resumed });
      const reply = replyTo(octets, channel.origin);
      return reply.name === "slow.example."
        ? new Promise((resolve) => runtime.clock.startTimer("slow answer", 50, () => resolve(reply.octets)))
        : reply.octets;
    },
  };
  const authority = await makeAuthority("test authority", runtime.clock.wallMs());
  const pair = await authority.issue(["dns.example", "127.0.0.1"], runtime.clock.wallMs());
  const { udp, tcp } = await openBoth(handler);
  const tls = await StreamService.open(
    { local: LOOPBACK, tls: { ...pair, alpn: ["dot"], ticketKeys: undefined } },
    handler,
    runtime,
  );
  const exchanger = new Exchanger({}, runtime);
  try {
    await run({
      runtime,
      exchanger,
      ports: { udp: udp.local.port, tcp: tcp.local.port, tls: tls.local.port },
      anchorPem: authority.certificatePem,
      pin: spkiPin(pair.certificatePem),
      seen,
    });
  } finally {
    await exchanger.close();
    assert.equal(exchanger.connectionCount, 0);
    await Promise.all([udp.close(), tcp.close(), tls.close()]);
  }
}

function replyTo(octets: Uint8Array, origin: QueryOrigin): { name: string; octets: Uint8Array } {
  const query = tryDecodeMessage(octets);
  if (!query.ok) throw new RangeError(query.problem);
  const { id, questions, edns } = query.value;
  const name = questions[0]?.name ?? parseName(".");
  const isTruncated = origin.transport === "udp" && name.toString() === "big.example.";
  const record = {
    owner: name,
    type: RRType.A,
    class: RRClass.IN,
    ttl: 60,
    rdata: Uint8Array.of(192, 0, 2, 1),
  };
  const answers = isTruncated ? [] : [record];
  const message = makeMessage({
    id,
    isResponse: true,
    isTruncated,
    questions,
    answers,
    edns: edns && makeEdns(),
  });
  return { name: name.toString(), octets: encodeMessage(message) };
}

function requestOf(
  place: Place,
  transport: "udp" | "tcp" | "tls",
  name = "www.example.",
  tls?: TlsPolicy,
): ExchangeRequest {
  return {
    question: { name: parseName(name), type: RRType.A, class: RRClass.IN },
    server: { address: "127.0.0.1", port: place.ports[transport] },
    transport,
    recursionDesired: true,
    checkingDisabled: false,
    authenticData: false,
    edns: makeEdns(),
    deadlineMs: place.runtime.clock.nowMs() + 5000,
    tls,
  };
}

function policyOf(place: Place, parts: Partial<TlsPolicy> = {}): TlsPolicy {
  return {
    serverName: "dns.example",
    authName: "dns.example",
    pins: [place.pin],
    trustAnchorsPem: [place.anchorPem],
    authenticate: "required",
    ...parts,
  };
}

test("the same question is answered over UDP, TCP and TLS on real sockets [7766-5-a]", () =>
  withServers(async (place) => {
    for (const transport of ["udp", "tcp", "tls"] as const) {
      const { message, facts } = await place.exchanger.exchange(
        requestOf(place, transport, "www.example.", policyOf(place)),
      );
      assert.equal(message.answers.length, 1);
      assert.equal(facts.transport, transport);
      assert.equal(facts.protection, transport === "tls" ? "authenticated" : "clear");
    }
    assert.deepEqual(
      place.seen.map(({ transport }) => transport),
      ["udp", "tcp", "tls"],
    );
    // Padded to a block over TLS only (RFC 8467 §4.1).
    assert.deepEqual(
      place.seen.map(({ octets }) => octets % 128 === 0),
      [false, false, true],
    );
  }));

test("a truncated reply is fetched over TCP", () =>
  withServers(async (place) => {
    const { facts, message } = await place.exchanger.exchange(requestOf(place, "udp", "big.example."));
    assert.equal(facts.retriedOverTcp, true);
    assert.equal(message.answers.length, 1);
  }));

test("a slow answer does not hold up those behind it on the same TLS connection [7766-6.2.1.1-a 7858-3.3-c 7858-3.3-d]", () =>
  withServers(async (place) => {
    const order: string[] = [];
    const ask = async (name: string): Promise<boolean> => {
      const { facts } = await place.exchanger.exchange(requestOf(place, "tls", name, policyOf(place)));
      order.push(name);
      return facts.connectionReused;
    };
    await ask("first.example.");
    const reused = await Promise.all(["slow.example.", "a.example.", "b.example."].map(ask));
    assert.deepEqual(order, ["first.example.", "a.example.", "b.example.", "slow.example."]);
    assert.deepEqual(reused, [true, true, true]);
    assert.equal(place.exchanger.connectionCount, 1);
  }));

test("a second connection resumes the session and is authenticated as the first [7858-3.4-g]", () =>
  withServers(async (place) => {
    const events: string[] = [];
    const exchanger = new Exchanger(
      { connection: { idleTimeoutMs: 20 } },
      { ...place.runtime, events: { wants: () => true, publish: (name) => events.push(name) } },
    );
    const ask = (name: string) => exchanger.exchange(requestOf(place, "tls", name, policyOf(place)));
    const first = await ask("www.example.");
    assert.equal(first.facts.sessionResumed, false);
    assert.ok(first.facts.handshakeMs > 0 && first.facts.connectMs > 0);
    // The slow answer is the clock here: by then the first connection has been idle for too long.
    await place.exchanger.exchange(requestOf(place, "udp", "slow.example."));
    await place.exchanger.exchange(requestOf(place, "udp", "slow.example."));
    const second = await ask("again.example.");
    assert.equal(second.facts.connectionReused, false);
    assert.equal(second.facts.sessionResumed, true);
    assert.equal(second.facts.authenticatedBy, `name dns.example and pin sha256:${place.pin}`);
    assert.equal(place.seen.at(-1)?.resumed, true);
    await exchanger.close();
    assert.equal(events.filter((name) => name === "transport.connection.opened").length, 2);
  }));

test("name, address, pin and anchor each decide over real certificates [8310-8.1-a 8310-8.1-b 8310-6.4-a 7858-4.2-b]", () =>
  withServers(async (place) => {
    const otherPin = `${"A".repeat(43)}=`;
    const cases: [string, Partial<TlsPolicy>, string | undefined][] = [
      ["name and pin", {}, `name dns.example and pin sha256:${place.pin}`],
      ["name", { pins: [] }, "name dns.example"],
      ["address", { pins: [], authName: "127.0.0.1" }, "name 127.0.0.1"],
      [
        "pin only, unknown authority",
        { authName: undefined, trustAnchorsPem: undefined },
        `pin sha256:${place.pin}`,
      ],
      ["wrong name", { authName: "other.example" }, undefined],
      ["wrong pin", { pins: [otherPin] }, undefined],
      ["unknown authority", { trustAnchorsPem: undefined }, undefined],
    ];
    for (const [name, parts, expected] of cases) {
      const asking = place.exchanger.exchange(
        requestOf(place, "tls", "www.example.", policyOf(place, parts)),
      );
      if (expected === undefined)
        await assert.rejects(asking, (error) => DnsError.is(error, "ERR_TLS_NOT_AUTHENTICATED"), name);
      else assert.equal((await asking).facts.authenticatedBy, expected, name);
    }
    assert.equal(place.seen.length, 4);
  }));

test("failures on real sockets tell the stage", () =>
  withServers(async (place) => {
    const closed = { address: "127.0.0.1", port: 1 };
    for (const transport of ["udp", "tcp", "tls"] as const)
      await assert.rejects(
        place.exchanger.exchange({ ...requestOf(place, transport), server: closed }),
        (error) =>
          DnsError.is(error, "ERR_CONNECT_REFUSED") &&
          error.stage === (transport === "udp" ? "query" : "connect"),
        transport,
      );
    const clearPort = { address: "127.0.0.1", port: place.ports.tcp };
    await assert.rejects(
      place.exchanger.exchange({
        ...requestOf(place, "tls"),
        server: clearPort,
        deadlineMs: place.runtime.clock.nowMs() + 200,
      }),
      (error) => DnsError.is(error),
    );
    assert.equal(place.seen.length, 0);
  }));

/** A server that keeps what the client says first, and then ends the connection. */
async function firstOctets(ask: (port: number) => Promise<unknown>): Promise<Buffer> {
  const heard = Promise.withResolvers<Buffer>();
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (octets: Buffer) => {
      heard.resolve(octets);
      socket.destroy();
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const place = server.address();
  assert.ok(typeof place === "object" && place !== null);
  await assert.rejects(ask(place.port));
  server.close();
  return heard.promise;
}

test("what a client says first on a TLS port is a ClientHello without compression, and over TCP a query, also with Fast Open [7413-2-a 7830-6-b 7858-3.1-d 7858-3.4-tfo 8310-9-b]", () =>
  withServers(async (place) => {
    for (const fastOpen of [false, true]) {
      const exchanger = new Exchanger({ fastOpen }, place.runtime);
      const askOver = (transport: "tcp" | "tls") =>
        firstOctets((port) =>
          exchanger.exchange({ ...requestOf(place, transport), server: { address: "127.0.0.1", port } }),
        );
      const hello = await askOver("tls");
      // RFC 8446 §5.1, §4.1.2: record type handshake, message type ClientHello, then version, random and session id.
      assert.deepEqual([hello[0], hello[1], hello[5]], [22, 3, 1]);
      const ciphersAt = 5 + 4 + 2 + 32 + 1 + hello.readUInt8(43);
      const compressionAt = ciphersAt + 2 + hello.readUInt16BE(ciphersAt);
      assert.deepEqual([...hello.subarray(compressionAt, compressionAt + 2)], [1, 0]);
      const query = await askOver("tcp");
      assert.equal(query.readUInt16BE(0), query.length - 2);
      // QR 0, opcode QUERY: it may come twice.
      assert.equal(query.readUInt8(4) >> 3, 0);
      await exchanger.close();
    }
  }));

/** What a server answers to octets until it closes or has said enough. */
async function answerToOctets(port: number, octets: Uint8Array, enough: number): Promise<Buffer> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(octets);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of socket) {
      assert.ok(Buffer.isBuffer(chunk));
      chunks.push(chunk);
      length += chunk.length;
      if (length >= enough) break;
    }
  } catch (error) {
    // A reset is an end as good as any.
    assert.ok(error instanceof Error && "code" in error && error.code === "ECONNRESET", String(error));
  }
  socket.destroy();
  return Buffer.concat(chunks);
}

function withLength(octets: Uint8Array, lengthOctets: number): Buffer {
  const length = Buffer.alloc(lengthOctets);
  length.writeUIntBE(octets.length, 0, lengthOctets);
  return Buffer.concat([length, octets]);
}

/** A ClientHello of TLS 1.2 that would like DEFLATE (RFC 3749). */
function compressingHello(): Buffer {
  // Groups x25519 and secp256r1; signatures of ECDSA and RSA with SHA-256 (RFC 8446 §4.2.3, §4.2.7).
  const extensions = Buffer.from("000a00060004001d0017" + "000d00080006040308040401", "hex");
  const hello = Buffer.concat([
    Buffer.from("0303", "hex"),
    Buffer.alloc(32, 7),
    withLength(new Uint8Array(0), 1),
    withLength(Buffer.from("c02fc02b", "hex"), 2),
    withLength(Uint8Array.of(1, 0), 1),
    withLength(extensions, 2),
  ]);
  const message = Buffer.concat([Uint8Array.of(1), withLength(hello, 3)]);
  return Buffer.concat([Buffer.from("160301", "hex"), withLength(message, 2)]);
}

test("a TLS listener compresses nothing, and answers no query in the clear [7830-6-b 7858-3.1-d 7858-3.1-e 8310-9-b]", () =>
  withServers(async (place) => {
    const reply = await answerToOctets(place.ports.tls, compressingHello(), 80);
    // ServerHello: version, random, session id, cipher, compression method.
    assert.deepEqual([reply[0], reply[5]], [22, 2], reply.toString("hex"));
    const cipherAt = 5 + 4 + 2 + 32 + 1 + reply.readUInt8(43);
    assert.equal(reply.readUInt8(cipherAt + 2), 0);
    const question = { name: parseName("www.example."), type: RRType.A, class: RRClass.IN };
    const query = withLength(encodeMessage(makeMessage({ id: 1, questions: [question] })), 2);
    const before = place.seen.length;
    const answer = await answerToOctets(place.ports.tls, query, 1000);
    assert.ok(answer.length === 0 || answer[0] === 21, "nothing but a TLS alert");
    assert.equal(place.seen.length, before);
  }));
