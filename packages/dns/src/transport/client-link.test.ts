import assert from "node:assert/strict";
import { test } from "node:test";
import type { ByteStream, ConnectOptions, Network, StreamHandlers } from "@sotto/dns/runtime";
import { simRuntime } from "@sotto/dns/testing";
import { encodeMessage, frameMessage, makeMessage, uint16At } from "@sotto/dns/wire";
import { CLIENT_ADDRESSES, decode, questionOf, replyTo, SERVER } from "./client-fakes.test-support.ts";
import { ClientLink } from "./client-link.ts";
import type { ConnectionQuery } from "./connection-query.ts";

/** A stream whose peer is the test. */
class StreamByHand implements ByteStream {
  readonly local = { address: "192.0.2.1", port: 40_000 };
  readonly remote = SERVER;
  readonly security = undefined;
  readonly bufferedOctets = 0;
  readonly written: Uint8Array[] = [];
  acknowledged = 0;
  handlers: StreamHandlers | undefined;

  setHandlers(handlers: StreamHandlers): void {
    this.handlers = handlers;
  }
  write(octets: Uint8Array): boolean {
    this.written.push(octets);
    return true;
  }
  acknowledge(): void {
    this.acknowledged++;
  }
  end(): void {
    this.handlers?.onClose(undefined);
  }
  reset(): void {
    this.handlers?.onClose(undefined);
  }
  pause(): void {}
  resume(): void {}

  /** Answers the nth query that was written. */
  answer(nth: number): void {
    const all = Buffer.concat(this.written);
    let at = 0;
    for (let i = 0; i < nth; i++) at += 2 + uint16At(all, at);
    const query = decode(new Uint8Array(all.subarray(at + 2, at + 2 + uint16At(all, at))));
    this.handlers?.onData(frameMessage(replyTo(query)));
  }
}

async function linked(acknowledges: boolean | undefined) {
  const stream = new StreamByHand();
  const world = simRuntime(1);
  const asked: ConnectOptions[] = [];
  const network: Network = {
    ...world.network.host(CLIENT_ADDRESSES),
    connect: (options) => {
      asked.push(options);
      return Promise.resolve(stream);
    },
  };
  const link = new ClientLink(
    {
      target: { remote: SERVER, localAddress: undefined, tls: undefined },
      ticket: undefined,
      limits: {},
      connectTimeoutMs: 1000,
      handshakeTimeoutMs: 1000,
      fastOpen: false,
      acknowledges,
      onTicket: () => undefined,
      onFailed: () => assert.fail("it has connected"),
      onGone: () => undefined,
      onSleep: () => undefined,
    },
    { ...world.runtimeOf(CLIENT_ADDRESSES), network },
  );
  const settled: string[] = [];
  const send = (name: string): void => {
    const question = questionOf(name);
    const query: ConnectionQuery = {
      octets: encodeMessage(makeMessage({ questions: [question] })),
      question,
      deadlineMs: world.clock.nowMs() + 5000,
      asksKeepalive: false,
      settle: ({ kind }) => settled.push(kind),
    };
    link.send(query);
  };
  return {
    stream,
    asked,
    link,
    send,
    settled,
    advance: (ms: number) => world.clock.advance(ms),
    turn: () => new Promise<void>((resolve) => setImmediate(resolve)),
  };
}

test("while another query waits, what has arrived is acknowledged at the end of the turn, once", async () => {
  // Unbound has sent the first answer and keeps the second until that one is acknowledged: 42 ms for whoever asked second.
  const { stream, asked, link, send, settled, turn } = await linked(true);
  send("a.example.");
  send("b.example.");
  send("c.example.");
  await turn();
  assert.equal(asked[0]?.acknowledges, true);
  stream.answer(0);
  stream.answer(1);
  assert.equal(stream.acknowledged, 0);
  await turn();
  assert.equal(stream.acknowledged, 1);
  stream.answer(2);
  await turn();
  assert.equal(stream.acknowledged, 1, "nobody waits any more");
  assert.deepEqual(settled, ["reply", "reply", "reply"]);
  await link.close();
});

// Unbound sends tickets before its first answer, and that one waited 42 ms for their acknowledgement on each new connection.
test("tickets that came before the first answer are acknowledged at once", async () => {
  const { stream, link, send, turn } = await linked(true);
  send("a.example.");
  await turn();
  stream.handlers?.onSession?.(new Uint8Array(9));
  await turn();
  assert.equal(stream.acknowledged, 1);
  await link.close();
});

test("a query that leaves in the same turn carries the acknowledgement", async () => {
  const { stream, link, send, turn } = await linked(true);
  send("a.example.");
  send("b.example.");
  await turn();
  stream.answer(0);
  send("c.example.");
  await turn();
  assert.equal(stream.written.length, 2);
  assert.equal(stream.acknowledged, 0);
  await link.close();
});

test("where many wait the next query carries the acknowledgement, or it goes a millisecond later", async () => {
  const { stream, link, send, turn, advance } = await linked(true);
  for (let i = 0; i < 10; i++) send(`n${i}.example.`);
  await turn();
  stream.answer(0);
  await turn();
  assert.equal(stream.acknowledged, 0);
  send("carries.example.");
  await advance(1);
  assert.equal(stream.written.length, 2);
  assert.equal(stream.acknowledged, 0);
  stream.answer(1);
  stream.answer(2);
  await turn();
  assert.equal(stream.acknowledged, 0);
  await advance(1);
  assert.equal(stream.acknowledged, 1);
  // Eight are left: the next one leaves few.
  stream.answer(3);
  await turn();
  assert.equal(stream.acknowledged, 2);
  await link.close();
});

test("who did not ask for it leaves acknowledgements to the system", async () => {
  const { stream, asked, link, send, turn } = await linked(undefined);
  send("a.example.");
  send("b.example.");
  await turn();
  stream.answer(0);
  await turn();
  assert.equal(asked[0]?.acknowledges, undefined);
  assert.equal(stream.acknowledged, 0);
  await link.close();
});
