import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { simRuntime } from "@sotto/dns/testing";
import type { Message } from "@sotto/dns/wire";
import {
  exchangerWorld,
  FakeStreamServer,
  FakeUdpServer,
  questionOf,
  replyTo,
  requestOf,
  SERVER,
} from "./client-fakes.test-support.ts";
import { Exchanger } from "./exchanger.ts";
import { WRONG_REPLIES_MAX } from "./udp-socket.ts";

test("every query has a fresh id and a fresh source port", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const server = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  for (let i = 0; i < 20; i++) await world.clock.runUntil(exchanger.exchange(requestOf(world)));
  assert.equal(new Set(server.sources.map(({ port }) => port)).size, 20);
  assert.ok(new Set(server.queries.map(({ id }) => id)).size > 15);
  assert.deepEqual(world.clock.pendingTimers, []);
  assert.equal(world.network.use.datagramSockets, 1);
});

test("wrong datagrams are ignored until the right one comes", async () => {
  const wrong: Record<string, (query: Message) => Uint8Array> = {
    "another id": (query) => replyTo({ ...query, id: query.id ^ 1 }),
    "another name": (query) => replyTo({ ...query, questions: [questionOf("wwx.example.")] }),
    "another type": (query) => replyTo({ ...query, questions: [questionOf("www.example.", 28)] }),
    "a query": (query) => replyTo(query, { isResponse: false }),
    "no question and no error": (query) => replyTo(query, { questions: [], answers: [] }),
    "cut off": (query) => replyTo(query).subarray(0, -1),
    empty: () => new Uint8Array(0),
  };
  for (const [name, make] of Object.entries(wrong)) {
    const { world, exchanger, serverHost } = exchangerWorld();
    await FakeUdpServer.open(serverHost, (query) => [make(query), replyTo(query)]);
    const { message } = await world.clock.runUntil(exchanger.exchange(requestOf(world)));
    assert.equal(message.answers.length, 1, name);
    assert.equal(message.isResponse, true, name);
  }
});

test("a reply from another address or port is not taken", async () => {
  for (const from of [
    { address: "203.0.113.66", port: 53 },
    { address: SERVER.address, port: 54 },
  ]) {
    const { world, exchanger, serverHost } = exchangerWorld();
    await FakeUdpServer.open(serverHost, (query) => {
      const [socket] = world.network.boundDatagramEndpoints.filter(
        ({ address }) => address !== SERVER.address,
      );
      assert.ok(socket !== undefined);
      world.network.inject(replyTo(query, { rcode: 3, answers: [] }), from, socket);
      return [replyTo(query)];
    });
    const { message } = await world.clock.runUntil(exchanger.exchange(requestOf(world)));
    assert.equal(message.rcode, 0);
  }
});

test("a flood of wrong datagrams ends the query", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  await FakeUdpServer.open(serverHost, (query) =>
    Array.from({ length: WRONG_REPLIES_MAX + 1 }, () => replyTo({ ...query, id: query.id ^ 1 })),
  );
  await assert.rejects(world.clock.runUntil(exchanger.exchange(requestOf(world))), (error) =>
    DnsError.is(error, "ERR_REPLY_UNUSABLE"),
  );
});

test("an error without a question is taken, because a server that cannot read ours answers so", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  await FakeUdpServer.open(serverHost, (query) => [replyTo(query, { rcode: 1, questions: [], answers: [] })]);
  const { message } = await world.clock.runUntil(exchanger.exchange(requestOf(world)));
  assert.equal(message.rcode, 1);
});

test("a lost query is sent again with growing patience, and the time of the last sending counts", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const sentAtMs: number[] = [];
  const startMs = world.clock.nowMs();
  const server = await FakeUdpServer.open(serverHost, (query, nth) => {
    sentAtMs.push(world.clock.nowMs() - 5 - startMs);
    return nth < 3 ? [] : [replyTo(query)];
  });
  const { facts } = await world.clock.runUntil(exchanger.exchange(requestOf(world)));
  assert.deepEqual(sentAtMs, [0, 1000, 3000]);
  assert.equal(facts.exchangeMs, 10);
  assert.equal(new Set(server.queries.map(({ id }) => id)).size, 1);
  assert.equal(new Set(server.sources.map(({ port }) => port)).size, 1);
});

test("without a reply the deadline ends the query, to the millisecond", async () => {
  for (const deadline of [1, 900, 1000, 2500, 8000]) {
    const { world, exchanger, serverHost } = exchangerWorld();
    await FakeUdpServer.open(serverHost, () => []);
    const startMs = world.clock.nowMs();
    await assert.rejects(
      world.clock.runUntil(exchanger.exchange(requestOf(world, { deadlineMs: startMs + deadline }))),
      (error) => DnsError.is(error, "ERR_TIMEOUT"),
    );
    assert.equal(world.clock.nowMs() - startMs, deadline);
    assert.deepEqual(
      world.clock.pendingTimers.filter((name) => name === "udp exchange"),
      [],
    );
  }
});

test("more queries than allowed at once are refused", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, { udpQueriesMax: 2 });
  await FakeUdpServer.open(serverHost, () => []);
  const waiting = [0, 1].map(() => exchanger.exchange(requestOf(world)));
  await assert.rejects(exchanger.exchange(requestOf(world)), (error) =>
    DnsError.is(error, "ERR_QUOTA_EXCEEDED"),
  );
  await world.clock.runUntil(Promise.allSettled(waiting));
  assert.equal(world.network.use.datagramSockets, 1);
});

test("the outgoing addresses are all used for UDP, each for its own family, and one of them for streams [7766-6.2.2-a]", async () => {
  const world = simRuntime(1);
  const addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
  const exchanger = new Exchanger({ localAddresses: addresses }, world.runtimeOf(addresses));
  const server = await FakeUdpServer.open(world.network.host([SERVER.address]), (query) => [replyTo(query)]);
  for (let i = 0; i < 20; i++) await world.clock.runUntil(exchanger.exchange(requestOf(world)));
  const used = new Set(server.sources.map(({ address }) => address));
  assert.deepEqual([...used].sort(), ["192.0.2.1", "192.0.2.2"]);
  const streams = await FakeStreamServer.open(world.network.host([SERVER.address]), (query, stream) =>
    stream.reply(replyTo(query)),
  );
  for (let i = 0; i < 20; i++)
    await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tcp" })));
  assert.equal(streams.streams.length, 1);
  await world.clock.runUntil(exchanger.close());
});
