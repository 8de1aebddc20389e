/** DNS over HTTPS over real sockets: both versions of HTTP, and clients that do not mean well. */
import assert from "node:assert/strict";
import { type ClientHttp2Session, constants } from "node:http2";
import { type TestContext, test } from "node:test";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { type MessageHandler, type ServerLimits, StreamService } from "@sotto/dns/transport";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";
import { DohProtocol } from "../../packages/sotto/src/server/index.ts";
import {
  closed,
  dohQuery,
  get,
  getText,
  Http1Client,
  openHttp2,
  PATH,
  POST,
  post,
  postText,
  replyOf,
  targetOf,
} from "./doh-clients.test-support.ts";

const pair = makeAuthority("DoH Test CA", Date.now()).then((ca) => ca.issue(["dns.example"], Date.now()));
const echo: MessageHandler = { answer: (octets) => octets };

/** Answers when it is told to. */
class Slow implements MessageHandler {
  readonly waiting: (() => void)[] = [];
  #wake: () => void = () => undefined;

  answer(octets: Uint8Array): Promise<Uint8Array> {
    const own = octets.slice();
    return new Promise((resolve) => {
      this.waiting.push(() => resolve(own));
      this.#wake();
    });
  }

  /** Resolves when so many wait. */
  async has(count: number): Promise<void> {
    while (this.waiting.length < count)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  answerAll(): void {
    for (const answer of this.waiting.splice(0)) answer();
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

async function open(
  context: TestContext,
  handler: MessageHandler,
  limits: Partial<ServerLimits> = {},
  usesTls = true,
): Promise<{ service: StreamService; port: number; protocol: DohProtocol }> {
  const tls = { ...(await pair), alpn: ["h2", "http/1.1"], ticketKeys: undefined };
  const local = { address: "127.0.0.1", port: 0 };
  const protocol = new DohProtocol(PATH);
  const service = await StreamService.openFor(
    protocol,
    { local, tls: usesTls ? tls : undefined, limits },
    handler,
    nodeRuntime(),
  );
  context.after(() => service.close());
  return { service, port: service.local.port, protocol };
}

async function http2(
  context: TestContext,
  port: number,
  options: Parameters<typeof openHttp2>[1] = {},
): Promise<ClientHttp2Session> {
  const session = await openHttp2(port, options);
  context.after(() => session.destroy());
  return session;
}

test("a hundred queries on one HTTP/2 connection, by GET and POST, each with its own answer [8484-5.2-a 8484-4.1-b]", async (context) => {
  const { port, service } = await open(context, echo);
  const session = await http2(context, port);
  const queries = Array.from({ length: 100 }, (_, i) => dohQuery(`n${i}.example.`, i % 3));
  const replies = await Promise.all(
    queries.map((query, i) => (i % 2 === 0 ? get(session, query) : post(session, query))),
  );
  for (const [i, { status, body, fields }] of replies.entries()) {
    assert.equal(status, 200);
    assert.deepEqual(body, Buffer.from(queries[i] ?? []));
    assert.equal(fields["content-type"], "application/dns-message");
    assert.equal(fields["set-cookie"], undefined);
    assert.equal(fields["alt-svc"], undefined);
  }
  assert.equal(service.counters.accepted, 1);
  assert.equal(service.admission.inFlight + service.admission.bufferedOctets, 0);
});

test("answers overtake each other on HTTP/2, and are put in order on HTTP/1.1", async (context) => {
  const slow = new Slow();
  const { port } = await open(context, slow);
  const session = await http2(context, port);
  const order: number[] = [];
  const both = [1, 2].map((id) =>
    get(session, dohQuery("a.example.", id)).then(({ body }) => order.push(body[1] ?? 0)),
  );
  await slow.has(2);
  slow.waiting.pop()?.();
  await both[1];
  slow.answerAll();
  await both[0];
  assert.deepEqual(order, [2, 1]);

  const client = Http1Client.overTls(port);
  client.write(getText(dohQuery("a.example.", 0x41)) + postText(dohQuery("a.example.", 0x42)));
  await slow.has(2);
  slow.waiting.pop()?.();
  slow.answerAll();
  assert.deepEqual(await client.statuses(2), [200, 200]);
  await until(() => client.text.endsWith("\x00\x01\x00\x01"));
  assert.ok(client.text.indexOf("\0A") < client.text.indexOf("\0B"), "in the order of the requests");
  client.socket.destroy();
  await client.ended;
});

test("HTTP/1.1 keeps its connection, with and without a declared length, in pieces and in chunks", async (context) => {
  const { port, service } = await open(context, echo, {}, false);
  const client = Http1Client.inClear(port);
  const query = dohQuery("www.example.");
  client.write(getText(query));
  await client.statuses(1);
  for (const octet of postText(query)) {
    client.write(octet);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await client.statuses(2), [200, 200]);
  client.write(
    `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/dns-message\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  for (const part of [query.subarray(0, 5), query.subarray(5)])
    client.write(`${part.length.toString(16)}\r\n${Buffer.from(part).toString("latin1")}\r\n`);
  client.write("0\r\n\r\n");
  assert.deepEqual(await client.statuses(3), [200, 200, 200]);
  client.write(`HEAD ${targetOf(query)} HTTP/1.1\r\nHost: x\r\n\r\n`);
  assert.deepEqual(await client.statuses(4), [200, 200, 200, 200]);
  assert.ok(client.text.endsWith("Connection: keep-alive\r\n\r\n"), "HEAD has no body");
  assert.equal(service.counters.accepted, 1);
  // Having sent all, it still gets what it asked.
  client.socket.end(getText(query), "latin1");
  assert.deepEqual(await client.statuses(5), [200, 200, 200, 200, 200]);
  await client.ended;
  await until(() => service.counters.closed["client closed"] === 1);
});

test("without TLS HTTP/2 comes with prior knowledge, octet by octet if need be", async (context) => {
  const { port } = await open(context, echo, {}, false);
  const session = await http2(context, port, { inClear: true });
  assert.equal((await get(session, dohQuery("www.example."))).status, 200);
  const client = Http1Client.inClear(port);
  const octets = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");
  for (const octet of octets) {
    client.socket.write(Uint8Array.of(octet));
    await new Promise((resolve) => setImmediate(resolve));
  }
  // A SETTINGS frame of the server, and not an answer of HTTP/1.1.
  await until(() => client.text.length >= 9);
  assert.equal(client.text.charCodeAt(3), 4);
  client.socket.destroy();
  await client.ended;
});

test("what is too long is refused: bodies by 413, targets by 414, header fields by the protocol", async (context) => {
  const { port, protocol, service } = await open(context, echo);
  const session = await http2(context, port);
  const largest = dohQuery("www.example.");
  const padded = new Uint8Array(65_535);
  padded.set(largest);
  assert.equal((await post(session, padded)).body.length, 65_535);
  const refused = await post(session, new Uint8Array(65_536));
  assert.equal(refused.status, 413);
  const undeclared = session.request(POST);
  undeclared.write(new Uint8Array(65_536));
  assert.equal((await replyOf(undeclared)).status, 413);
  const long = { ":path": `${PATH}?x=${"y".repeat(8200)}` };
  assert.equal((await replyOf(session.request(long, { endStream: true }))).status, 414);
  await assert.rejects(get(session, largest, { "x-long": "y".repeat(20_000) }), /no answer/);
  assert.equal((await get(session, largest)).status, 200, "the session lives on");

  const client = Http1Client.overTls(port);
  client.write(getText(largest, `X-Long: ${"y".repeat(20_000)}\r\n`));
  await client.ended;
  assert.match(client.text, /^HTTP\/1\.1 431 /);
  const body = Http1Client.overTls(port);
  body.write(postText(new Uint8Array(65_536)));
  await body.ended;
  assert.match(body.text, /^HTTP\/1\.1 413 [\s\S]*connection: close/i);
  assert.deepEqual(protocol.refusals, { 413: 3, 414: 1 });
  assert.equal(service.admission.bufferedOctets, 0);
  await until(() => service.counters.closed["malformed frame"] === 1);
});

test("no client has more streams than queries in flight, whatever it opens", async (context) => {
  const slow = new Slow();
  const { port, service } = await open(context, slow, { inFlightMax: 5 });
  const session = await http2(context, port);
  if (session.remoteSettings.maxConcurrentStreams !== 5)
    await new Promise((resolve) => session.once("remoteSettings", resolve));
  assert.equal(session.remoteSettings.maxConcurrentStreams, 5);
  const replies = Array.from({ length: 20 }, (_, i) => get(session, dohQuery("a.example.", i)));
  await slow.has(5);
  assert.equal(service.admission.inFlight, 5);
  const answering = setInterval(() => slow.answerAll(), 5);
  const statuses = (await Promise.all(replies)).map(({ status }) => status);
  clearInterval(answering);
  assert.deepEqual(
    statuses,
    Array.from({ length: 20 }, () => 200),
  );
});

test("a flood of streams that are reset at once ends its connection, and makes no more queries than the limit", async (context) => {
  const slow = new Slow();
  const { port, service } = await open(context, slow, { inFlightMax: 50 });
  const attacker = await http2(context, port);
  const good = await http2(context, port);
  let opened = 0;
  while (!attacker.destroyed && opened < 5000) {
    for (let i = 0; i < 20 && !attacker.destroyed; i++, opened++) {
      const stream = attacker.request({ ":path": targetOf(dohQuery("a.example.")) }, { endStream: true });
      stream.on("error", () => undefined);
      stream.close(constants.NGHTTP2_CANCEL);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await closed(attacker);
  assert.ok(opened < 1000, `${opened} streams were taken`);
  await until(() => service.counters.closed["malformed frame"] === 1);
  assert.ok(service.admission.inFlight <= 50);
  slow.answerAll();
  const reply = get(good, dohQuery("www.example."));
  await slow.has(1);
  slow.answerAll();
  assert.equal((await reply).status, 200);
});

test("whoever sends slowly, or nothing, ends in its time: header fields, bodies, and idle connections", async (context) => {
  const limits = { firstQueryTimeoutMs: 300, messageTimeoutMs: 300, idleTimeoutMs: 300 };
  const { port, service } = await open(context, echo, limits);
  const silent = Http1Client.overTls(port);
  const halfHeader = Http1Client.overTls(port);
  halfHeader.write(`GET ${PATH} HTTP/1.1\r\nHost: x\r\n`);
  const halfBody = Http1Client.overTls(port);
  halfBody.write(postText(dohQuery("www.example.")).slice(0, -3));
  const session = await http2(context, port);
  const stream = session.request(POST);
  stream.write(dohQuery("www.example.").subarray(0, 5));
  const idle = await http2(context, port);
  assert.equal((await get(idle, dohQuery("www.example."))).status, 200);
  assert.equal((await replyOf(stream)).status, 408);
  await Promise.all([silent.ended, halfHeader.ended, halfBody.ended, closed(session), closed(idle)]);
  assert.match(halfBody.text, /^HTTP\/1\.1 408 /);
  assert.deepEqual(service.counters.closed, {
    "first query timeout": 2,
    "message timeout": 2,
    "idle timeout": 1,
  });
  assert.equal(service.admission.connections, 0);
});

test("a client that opens all its streams and sends no bodies is the first to go when the buffers are full", async (context) => {
  const { port, service } = await open(context, echo, { bufferedOctetsMax: 200_000 });
  const [good, bad] = [await http2(context, port), await http2(context, port)];
  for (let i = 0; i < 100 && !bad.destroyed; i++) bad.request(POST).on("error", () => undefined);
  await closed(bad);
  assert.equal(service.counters.closed["buffers full"], 1);
  assert.equal(service.admission.bufferedOctets, 0);
  assert.equal((await get(good, dohQuery("www.example."))).status, 200);
});

test("a client that takes no answers is reset, over HTTP/2 by its window and over HTTP/1.1 by TCP's", async (context) => {
  const large: MessageHandler = { answer: () => new Uint8Array(60_000) };
  const { port, service } = await open(context, large, {
    writeStallTimeoutMs: 300,
    unsentOctetsMax: 100_000,
  });
  const session = await http2(context, port, { settings: { initialWindowSize: 0 } });
  await assert.rejects(
    get(session, dohQuery("www.example.")).then(({ body }) => assert.equal(body.length, 60_000)),
  );
  await closed(session);
  const client = Http1Client.overTls(port);
  client.socket.pause();
  client.socket.on("secureConnect", () => client.socket.pause());
  client.write(getText(dohQuery("www.example.")).repeat(300));
  await until(() => service.counters.closed["write stall"] === 2);
  assert.equal(service.admission.bufferedOctets, 0);
  client.socket.destroy();
  await client.ended;
});

// Node resumes a socket of HTTP/1.1 whenever it has read a request: a client that did not wait had all its requests held.
test("requests of HTTP/1.1 that have to wait are left with the system but for those of one read", async (context) => {
  for (const usesTls of [false, true]) {
    const slow = new Slow();
    const { port, service, protocol } = await open(context, slow, { inFlightMax: 2 }, usesTls);
    const client = usesTls ? Http1Client.overTls(port) : Http1Client.inClear(port);
    const other = usesTls ? Http1Client.overTls(port) : Http1Client.inClear(port);
    const request = getText(dohQuery("www.example."));
    for (let i = 0; i < 20; i++) {
      client.write(request.repeat(1000));
      other.write(getText(dohQuery("www.example.")).replace(PATH, "/nowhere"));
      await other.statuses(i + 1);
    }
    await slow.has(2);
    // Whoever waits is refused when the connection ends.
    const drained = service.drain(performance.now());
    await until(() => protocol.refusals[503] !== undefined);
    slow.answerAll();
    await drained;
    assert.ok((protocol.refusals[503] ?? 0) <= 65_536 / request.length, `${protocol.refusals[503]} waited`);
    client.socket.destroy();
    other.socket.destroy();
    await Promise.all([client.ended, other.ended]);
  }
});

test("a client of HTTP/1.1 that goes on asking after the end of its connection is reset", async (context) => {
  const { port, service } = await open(context, echo, { idleTimeoutMs: 150 }, false);
  const client = Http1Client.inClear(port);
  client.write(getText(dohQuery("www.example.")));
  await client.statuses(1);
  await until(() => service.counters.closed["idle timeout"] === 1);
  let asked = 0;
  // Who has seen the end of the other side learns of a reset by writing only.
  for (; !client.socket.destroyed; asked += 10) {
    client.write(getText(dohQuery("www.example.")).repeat(10));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(asked < 1000, `${asked} requests were taken`);
});

// It began with a 400, which the client could take for the answer to its first request.
test("what is no HTTP behind a query in flight ends the connection without a word", async (context) => {
  const slow = new Slow();
  const { port, service } = await open(context, slow);
  const client = Http1Client.overTls(port);
  client.write(getText(dohQuery("www.example.")));
  await slow.has(1);
  client.write("\x16\x03\x01\r\n\r\n");
  await client.ended;
  assert.equal(client.text, "");
  await until(() => service.counters.closed["malformed frame"] === 1);
  slow.answerAll();
});

// The time to take an answer began when it was made, although it had to wait for the one before it.
test("an answer of HTTP/1.1 that waits for the one before it is not one that its client does not take", async (context) => {
  const slow = new Slow();
  const { port } = await open(context, slow, { writeStallTimeoutMs: 200 });
  const client = Http1Client.overTls(port);
  client.write(getText(dohQuery("a.example.")) + getText(dohQuery("b.example.")));
  await slow.has(2);
  slow.waiting.pop()?.();
  const startMs = performance.now();
  await until(() => performance.now() > startMs + 400);
  slow.answerAll();
  assert.deepEqual(await client.statuses(2), [200, 200]);
  client.socket.destroy();
  await client.ended;
});

test("draining answers what is under way, lets clients repeat elsewhere what crosses the GOAWAY, and closes [9113-6.8-a]", async (context) => {
  const slow = new Slow();
  const { port, service } = await open(context, slow);
  const session = await http2(context, port);
  const quiet = await http2(context, port);
  const goaways: number[] = [];
  session.on("goaway", (_code, last) => goaways.push(Number(last)));
  const first = get(session, dohQuery("a.example."));
  const http1 = Http1Client.overTls(port);
  http1.write(getText(dohQuery("b.example.")));
  await slow.has(2);
  const drained = service.drain(performance.now() + 5000);
  // Sent before the client can know.
  await assert.rejects(get(session, dohQuery("c.example.")), /ended with 7/, "REFUSED_STREAM");
  assert.equal(slow.waiting.length, 2);
  slow.answerAll();
  assert.equal((await first).status, 200);
  await drained;
  await Promise.all([closed(session), closed(quiet), http1.ended]);
  assert.match(http1.text, /^HTTP\/1\.1 200 [\s\S]*connection: close/i);
  assert.equal(goaways[0], 1);
  assert.deepEqual(service.counters.closed, { drained: 3 });
});

test("connections of one address, and handshakes, are limited as on every listener", async (context) => {
  const { port, service } = await open(context, echo, { connectionsPerAddressMax: 2 });
  await http2(context, port);
  await http2(context, port);
  await assert.rejects(openHttp2(port));
  assert.equal(service.admission.counters.refused["connections per address"], 1);
});

test("the longest idle connection makes room for a new one", async (context) => {
  const { port, service } = await open(context, echo, { connectionsMax: 3 });
  const [first, second] = [await http2(context, port), await http2(context, port)];
  await get(first, dohQuery("www.example."));
  // Their moments differ by what the clock can tell.
  const startMs = performance.now();
  await until(() => performance.now() > startMs + 2);
  await get(second, dohQuery("www.example."));
  const third = await http2(context, port);
  const answer = get(third, dohQuery("www.example."));
  const fourth = await http2(context, port);
  assert.equal((await answer).status, 200);
  await closed(first);
  assert.equal((await get(second, dohQuery("www.example."))).status, 200);
  assert.equal(service.counters.closed.displaced, 1);
  assert.equal(service.counters.accepted, 4);
  await closed(fourth);
});

test("octets that are no HTTP end their connection and nothing else", async (context) => {
  const { port, service } = await open(context, echo);
  const good = await http2(context, port);
  const nonsense = Http1Client.overTls(port);
  nonsense.write("\x16\x03\x01\0\0GET / SIP\r\n\r\n");
  await nonsense.ended;
  assert.match(nonsense.text, /^HTTP\/1\.1 400 /);
  await until(() => service.counters.closed["malformed frame"] === 1);
  assert.equal((await get(good, dohQuery("www.example."))).status, 200);
});

/** A frame of HTTP/2 (RFC 9113 §4.1). */
function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

test("floods of frames that cost nothing to send end their connection, or are waited out, while others are served", async (context) => {
  const { port, service } = await open(context, echo, { firstQueryTimeoutMs: 1000 }, false);
  const good = await http2(context, port, { inClear: true });
  const [SETTINGS, HEADERS, PING, CONTINUATION, PRIORITY] = [4, 1, 6, 9, 2];
  const zeros = (count: number): Uint8Array => new Uint8Array(count);
  /** An indexed field of HPACK, many times: ":method: GET". */
  const fields = (count: number): Uint8Array => new Uint8Array(count).fill(0x82);
  const rows: readonly (readonly [string, Buffer])[] = [
    ["pings whose answers are not read", frame(PING, 0, 0, zeros(8))],
    ["settings whose answers are not read", frame(SETTINGS, 0, 0, zeros(0))],
    ["continuations without end", frame(CONTINUATION, 0, 1, fields(8))],
    ["priorities", frame(PRIORITY, 0, 1, zeros(5))],
    ["unknown frames", frame(0x55, 0, 0, zeros(100))],
  ];
  for (const [what, flood] of rows) {
    const client = Http1Client.inClear(port);
    client.socket.pause();
    client.socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.socket.write(frame(SETTINGS, 0, 0, zeros(0)));
    if (what.startsWith("continuations")) client.socket.write(frame(HEADERS, 0, 1, fields(8)));
    const many = Buffer.concat(Array.from({ length: 2000 }, () => flood));
    const before = Object.values(service.counters.closed).reduce((sum, count) => sum + count, 0);
    const isOver = (): boolean =>
      Object.values(service.counters.closed).reduce((sum, count) => sum + count, 0) > before;
    while (!isOver()) {
      if (client.socket.writable && client.socket.writableLength < 1_000_000) client.socket.write(many);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal((await get(good, dohQuery("www.example."))).status, 200, what);
    client.socket.destroy();
  }
  assert.equal(service.admission.inFlight, 0);
});
