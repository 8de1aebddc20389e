import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError, type Network } from "@sotto/dns/runtime";
import { FAKE_SYSTEM_ANCHOR, fakeAnchorPem, fakePin, type SimWorld, simRuntime } from "@sotto/dns/testing";
import { EdnsOptionCode, type Message, makeKeepalive, makePadding } from "@sotto/dns/wire";
import type { TlsPolicy } from "./authentication.ts";
import {
  CLIENT_ADDRESSES,
  exchangerWorld,
  FakeStreamServer,
  FakeUdpServer,
  IDENTITY,
  questionOf,
  replyTo,
  requestOf,
  SERVER,
} from "./client-fakes.test-support.ts";
import { Exchanger } from "./exchanger.ts";

const STRICT: TlsPolicy = {
  serverName: "dns.example",
  authName: "dns.example",
  pins: [],
  trustAnchorsPem: undefined,
  authenticate: "required",
};

/** Closing leaves no connection, no socket but those of the servers, and no timer. */
async function assertCleansUp(world: SimWorld, exchanger: Exchanger): Promise<void> {
  await world.clock.runUntil(exchanger.close());
  await world.clock.advance(5000);
  assert.equal(exchanger.connectionCount, 0);
  assert.equal(world.network.use.streams, 0);
  assert.ok(world.network.boundDatagramEndpoints.every(({ port }) => port === 53));
  assert.deepEqual(world.clock.pendingTimers, []);
}

test("asks over UDP and over TCP alike [7766-5-a]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)));
  for (const transport of ["udp", "tcp"] as const) {
    const { message, facts } = await world.clock.runUntil(
      exchanger.exchange(requestOf(world, { transport })),
    );
    assert.equal(message.answers.length, 1);
    assert.equal(facts.transport, transport);
    assert.equal(facts.protection, "clear");
    assert.equal(facts.exchangeMs, 10);
    assert.equal(facts.connectMs, transport === "tcp" ? 10 : 0);
  }
  await assertCleansUp(world, exchanger);
});

test("a truncated reply over UDP is fetched over TCP, and TCP needs no UDP before it [7766-5-b]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  await FakeUdpServer.open(serverHost, (query) => [replyTo(query, { isTruncated: true, answers: [] })]);
  const server = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)));
  const first = await world.clock.runUntil(exchanger.exchange(requestOf(world)));
  assert.equal(first.facts.retriedOverTcp, true);
  assert.equal(first.facts.transport, "tcp");
  assert.equal(first.message.answers.length, 1);
  const direct = await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tcp" })));
  assert.equal(direct.facts.connectionReused, true);
  assert.equal(server.streams.length, 1);
  await assertCleansUp(world, exchanger);
});

test("a caller may take the truncated reply itself", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  await FakeUdpServer.open(serverHost, (query) => [
    // Cut in the middle of the answer, as some servers do.
    replyTo(query, { isTruncated: true }).subarray(0, -7),
  ]);
  const { message } = await world.clock.runUntil(
    exchanger.exchange(requestOf(world, { ignoreTruncation: true })),
  );
  assert.equal(message.isTruncated, true);
  assert.equal(message.answers.length, 0);
  assert.ok(message.questions[0]?.name.equals(questionOf("www.example.").name));
  await assertCleansUp(world, exchanger);
});

test("queries that come while connecting share the connection and leave in one turn, over TCP in one write [7766-5-c 7766-6.2.1.1-a 7766-6.2.2-a 7766-6.2.2-b 7766-8-a 7858-3.3-c 7858-3.4-a]", async () => {
  for (const transport of ["tcp", "tls"] as const) {
    const { world, exchanger, serverHost } = exchangerWorld();
    const server = await FakeStreamServer.open(
      serverHost,
      (query, stream) => stream.reply(replyTo(query)),
      transport === "tls" ? {} : undefined,
    );
    const names = Array.from({ length: 20 }, (_, i) => `n${i}.example.`);
    const results = await world.clock.runUntil(
      Promise.all(
        names.map((name) => exchanger.exchange(requestOf(world, { transport, question: questionOf(name) }))),
      ),
    );
    assert.deepEqual(
      results.map(({ message }) => message.questions[0]?.name.toString()),
      names,
    );
    assert.equal(server.streams.length, 1);
    // Over TLS each query is a record of its own, because some servers take one message per record.
    assert.equal(server.streams[0]?.chunks, transport === "tls" ? 20 : 1);
    assert.equal(new Set(server.streams[0]?.queries.map(({ id }) => id)).size, 20);
    await assertCleansUp(world, exchanger);
  }
});

test("the first exchange pays for connecting, the next are told as reused [7858-3.4-b 7858-3.4-c 8310-5-d]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)), {});
  const ask = () =>
    world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tls", tls: STRICT })));
  const first = await ask();
  assert.deepEqual(
    [first.facts.connectMs, first.facts.handshakeMs, first.facts.exchangeMs, first.facts.connectionReused],
    [10, 10, 10, false],
  );
  assert.equal(first.facts.protection, "authenticated");
  assert.equal(first.facts.authenticatedBy, "name dns.example");
  const second = await ask();
  assert.deepEqual(
    [second.facts.connectMs, second.facts.handshakeMs, second.facts.connectionReused],
    [0, 0, true],
  );
  assert.equal(second.facts.authenticatedBy, "name dns.example");
  await assertCleansUp(world, exchanger);
});

test("an idle connection is closed by the client and the next resumes the session, authenticated as before [7766-6.2.3-a 7766-6.2.3-b 7858-3.4-g 8446-C.4-a]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, { connection: { idleTimeoutMs: 2000 } });
  const server = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)), {});
  const ask = () =>
    world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tls", tls: STRICT })));
  await ask();
  await world.clock.advance(1900);
  assert.equal(server.streams[0]?.isEnded, false);
  await world.clock.advance(200);
  assert.equal(server.streams[0]?.isEnded, true);
  const resumed = await ask();
  assert.equal(server.streams.length, 2);
  assert.equal(resumed.facts.sessionResumed, true);
  assert.equal(resumed.facts.connectionReused, false);
  assert.equal(resumed.facts.authenticatedBy, "name dns.example");
  await assertCleansUp(world, exchanger);
});

test("every connection uses a ticket of its own [8446-C.4-a]", async () => {
  const world = simRuntime(1);
  await FakeStreamServer.open(
    world.network.host([SERVER.address]),
    (query, stream) => stream.reply(replyTo(query)),
    {},
  );
  const runtime = world.runtimeOf(CLIENT_ADDRESSES);
  const sessions: (string | undefined)[] = [];
  const network: Network = {
    listen: (options, handlers) => runtime.network.listen(options, handlers),
    bindDatagram: (options, handlers) => runtime.network.bindDatagram(options, handlers),
    connect: (options) => {
      sessions.push(options.tls?.session?.join("."));
      return runtime.network.connect(options);
    },
  };
  const exchanger = new Exchanger({ connection: { idleTimeoutMs: 100 } }, { ...runtime, network });
  for (let i = 0; i < 5; i++) {
    await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tls", tls: STRICT })));
    await world.clock.advance(1000);
  }
  assert.equal(sessions.length, 5);
  assert.equal(sessions[0], undefined);
  assert.equal(new Set(sessions).size, 5);
  await assertCleansUp(world, exchanger);
});

test("connections are not shared between different claims about the same server", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const server = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)), {});
  const policies: TlsPolicy[] = [
    STRICT,
    { ...STRICT, authName: "DNS.example" },
    { ...STRICT, trustAnchorsPem: [fakeAnchorPem(FAKE_SYSTEM_ANCHOR)] },
    { ...STRICT, pins: [fakePin(IDENTITY)] },
    { ...STRICT, authenticate: "no" },
  ];
  const means: (string | undefined)[] = [];
  for (const tls of policies) {
    const { facts } = await world.clock.runUntil(
      exchanger.exchange(requestOf(world, { transport: "tls", tls })),
    );
    assert.equal(facts.sessionResumed, false);
    means.push(facts.authenticatedBy);
  }
  assert.deepEqual(means, [
    "name dns.example",
    "name DNS.example",
    "name dns.example",
    `name dns.example and pin sha256:${fakePin(IDENTITY)}`,
    undefined,
  ]);
  assert.equal(server.streams.length, policies.length);
  await assertCleansUp(world, exchanger);
});

test("a server that does not prove itself gets no query and leaves no ticket [7858-3.1-e 8310-6.6-c 8310-6.6-d]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const server = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)), {});
  const tls = { ...STRICT, authName: "other.example" };
  for (let i = 0; i < 2; i++) {
    await assert.rejects(
      world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tls", tls }))),
      (error) => DnsError.is(error, "ERR_TLS_NOT_AUTHENTICATED") && error.stage === "authenticate",
    );
    await world.clock.advance(100);
  }
  assert.ok(server.streams.every(({ queries }) => queries.length === 0));
  assert.ok(server.streams.every(({ stream }) => stream.security?.resumed === false));
  await assertCleansUp(world, exchanger);
});

test("an opportunistic exchange tells that it was only encrypted [7858-4.1-a 8310-5-d]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)), {});
  const tls = { ...STRICT, authName: "other.example", authenticate: "if possible" } as const;
  const { facts } = await world.clock.runUntil(
    exchanger.exchange(requestOf(world, { transport: "tls", tls })),
  );
  assert.equal(facts.protection, "encrypted");
  assert.equal(facts.authenticatedBy, undefined);
  await assertCleansUp(world, exchanger);
});

test("keepalive is asked for over TCP and TLS, without a timeout, and never over UDP [7828-3.2.1-a 7828-3.2.1-b 7828-3.2.1-c 7828-3.4-a 9210-4.2-e]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const udp = await FakeUdpServer.open(serverHost, (query) => [
    // A server that sends the option over UDP is not heard (RFC 7828 §3.2.2).
    replyTo(query, { edns: query.edns && { ...query.edns, options: [makeKeepalive(0)] } }),
  ]);
  const tcp = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)));
  await world.clock.runUntil(exchanger.exchange(requestOf(world)));
  for (let i = 0; i < 3; i++)
    await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tcp" })));
  assert.deepEqual(udp.queries[0]?.edns?.options, []);
  for (const query of tcp.streams[0]?.queries ?? [])
    assert.deepEqual(query.edns?.options, [{ code: EdnsOptionCode.TcpKeepalive, data: new Uint8Array(0) }]);
  assert.equal(tcp.streams[0]?.queries.length, 3);
  await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tcp", edns: undefined })));
  assert.equal(tcp.streams[0]?.queries.at(-1)?.edns, undefined);
  await assertCleansUp(world, exchanger);
});

test("a keepalive option over UDP means nothing, not even for an open TCP connection [7828-3.2.2-a]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  await FakeUdpServer.open(serverHost, (query) => [
    replyTo(query, { edns: query.edns && { ...query.edns, options: [makeKeepalive(0)] } }),
  ]);
  const tcp = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)));
  for (const transport of ["tcp", "udp", "tcp"] as const)
    await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport, mayUseOpenTcp: false })));
  assert.equal(tcp.streams.length, 1);
  assert.equal(tcp.streams[0]?.queries.length, 2);
  await assertCleansUp(world, exchanger);
});

test("queries leave at once over an open connection as they do over UDP [7766-6.2.1.1-b]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const arrivals: string[] = [];
  await FakeUdpServer.open(serverHost, () => {
    arrivals.push(`udp ${world.clock.nowMs()}`);
    return [];
  });
  await FakeStreamServer.open(serverHost, (query, stream) => {
    if (query.questions[0]?.name.toString() === "first.example.") stream.reply(replyTo(query));
    else arrivals.push(`tcp ${world.clock.nowMs()}`);
  });
  const ask = (transport: "udp" | "tcp", name: string) =>
    exchanger.exchange(requestOf(world, { transport, question: questionOf(name) }));
  await world.clock.runUntil(ask("tcp", "first.example."));
  const askedAtMs = world.clock.nowMs();
  const asked = (["tcp", "udp"] as const).flatMap((transport) => [
    ask(transport, "a.example."),
    ask(transport, "b.example."),
  ]);
  const outcome = Promise.allSettled(asked);
  await world.clock.advance(100);
  const at = askedAtMs + 5;
  assert.deepEqual(arrivals.sort(), [`tcp ${at}`, `tcp ${at}`, `udp ${at}`, `udp ${at}`]);
  await world.clock.runUntil(exchanger.close());
  await outcome;
  await assertCleansUp(world, exchanger);
});

test("padding in a reply may hold anything [7830-3-c]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const padding = { code: EdnsOptionCode.Padding, data: Uint8Array.from({ length: 40 }, (_, i) => 255 - i) };
  await FakeStreamServer.open(
    serverHost,
    (query, stream) =>
      stream.reply(replyTo(query, { edns: query.edns && { ...query.edns, options: [padding] } })),
    {},
  );
  const { message } = await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tls" })));
  assert.deepEqual(message.edns?.options, [padding]);
  await assertCleansUp(world, exchanger);
});

test("TLS on port 53 is refused [7858-3.1-c]", async () => {
  const { world, exchanger } = exchangerWorld();
  const request = requestOf(world, { transport: "tls", server: { address: "198.51.100.53", port: 53 } });
  await assert.rejects(exchanger.exchange(request), (error) => DnsError.is(error, "ERR_CONFIG"));
  assert.equal(exchanger.connectionCount, 0);
});

test("queries are padded to 128 octets with zeros over TLS and nowhere else [7830-3-a 7830-3-b 7830-6-a 8467-3-a 8467-3-b 8467-4.1-a]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const udp = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  const tcp = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)));
  const tls = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)), {});
  for (const transport of ["udp", "tcp", "tls"] as const) {
    for (const label of ["a", "a".repeat(60)])
      await world.clock.runUntil(
        exchanger.exchange(
          requestOf(world, { transport, question: questionOf(`${label}.${label}.example.`) }),
        ),
      );
  }
  const isPadding = ({ code }: { code: number }): boolean => code === EdnsOptionCode.Padding;
  for (const query of [...udp.queries, ...(tcp.streams[0]?.queries ?? [])])
    assert.equal(query.edns?.options.some(isPadding), false);
  assert.deepEqual(
    tls.streams[0]?.octets.map(({ length }) => length),
    [128, 256],
  );
  for (const query of tls.streams[0]?.queries ?? []) {
    assert.equal(query.edns?.options.filter(isPadding).length, 1);
    const last = query.edns?.options.at(-1);
    assert.ok(last !== undefined && isPadding(last) && last.data.every((octet) => octet === 0));
  }
  await assertCleansUp(world, exchanger);
});

test("padding tells nothing but the length in blocks, and the same each time [8467-4.2-a]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const server = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)), {});
  const names = ["a.example.", "a.longer.name.example.", `${"x".repeat(60)}.${"y".repeat(60)}.example.`];
  for (let i = 0; i < 30; i++) {
    const question = questionOf(names[i % names.length] ?? ".");
    await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tls", question })));
  }
  const sizes = server.streams.flatMap(({ octets }) => octets.map(({ length }) => length));
  assert.deepEqual(
    sizes,
    sizes.map((_, i) => (i % 3 === 2 ? 256 : 128)),
  );
  await world.clock.runUntil(exchanger.close());
});

test("options that the caller gives are sent as they are and not doubled", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const tls = await FakeStreamServer.open(serverHost, (query, stream) => stream.reply(replyTo(query)), {});
  const options = [makeKeepalive(7), makePadding(3)];
  const edns = { udpPayloadOctets: 1232, version: 0, dnssecOk: true, reservedFlags: 0, options };
  await world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tls", edns })));
  assert.deepEqual(tls.streams[0]?.queries[0]?.edns?.options, options);
  await world.clock.runUntil(
    exchanger.exchange(requestOf(world, { transport: "tls", keepalive: false, padBlockOctets: 0 })),
  );
  assert.deepEqual(tls.streams[0]?.queries[1]?.edns?.options, []);
  await assertCleansUp(world, exchanger);
});

test("a query that meets the end of a reused connection is asked again once on a fresh one [7766-6.2.4-a 7828-3.4-c 7858-3.4-d 7858-3.4-e]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const server = await FakeStreamServer.open(serverHost, (query, stream) => {
    if (server.streams.length === 1 && stream.queries.length === 2) stream.stream.reset();
    else stream.reply(replyTo(query));
  });
  const ask = () => world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tcp" })));
  await ask();
  const second = await ask();
  assert.equal(second.facts.connectionReused, false);
  assert.equal(server.streams.length, 2);
  await assertCleansUp(world, exchanger);
});

test("a server that closes without ever answering is not asked again", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const server = await FakeStreamServer.open(serverHost, (_query, stream) => stream.stream.end());
  await assert.rejects(
    world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tcp" }))),
    (error) => DnsError.is(error, "ERR_CONNECTION_LOST") && error.stage === "query",
  );
  assert.equal(server.streams.length, 1);
  await assertCleansUp(world, exchanger);
});

test("a server that closes after each reply still answers a whole burst [7766-6.2.4-a]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const server = await FakeStreamServer.open(serverHost, (query, stream) => {
    if (stream.queries.length > 1) return;
    stream.reply(replyTo(query));
    stream.stream.end();
  });
  const results = await world.clock.runUntil(
    Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        exchanger.exchange(requestOf(world, { transport: "tcp", question: questionOf(`n${i}.example.`) })),
      ),
    ),
  );
  assert.equal(results.length, 6);
  // The first connection was sent everything; then one query each.
  assert.deepEqual(
    server.streams.map(({ queries }) => queries.length),
    [6, 1, 1, 1, 1, 1],
  );
  await assertCleansUp(world, exchanger);
});

test("what is known of a server that closes early is forgotten after a while", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  let closesEarly = true;
  const server = await FakeStreamServer.open(serverHost, (query, stream) => {
    if (closesEarly && stream.queries.length > 1) return;
    stream.reply(replyTo(query));
    if (closesEarly) stream.stream.end();
  });
  const burst = () =>
    world.clock.runUntil(
      Promise.all([0, 1, 2].map(() => exchanger.exchange(requestOf(world, { transport: "tcp" })))),
    );
  await burst();
  closesEarly = false;
  await burst();
  assert.equal(server.streams.splice(0).length, 3 + 3);
  await world.clock.advance(600_000);
  await burst();
  assert.equal(server.streams.length, 1);
  await assertCleansUp(world, exchanger);
});

test("a query that kills its connection is asked twice and no more", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const isDeadly = (query: Message): boolean => query.questions[0]?.name.toString() === "deadly.example.";
  const server = await FakeStreamServer.open(serverHost, (query, stream) => {
    // Others are answered first, so that the connection counts as one that works.
    if (isDeadly(query)) stream.stream.end();
    else stream.reply(replyTo(query));
  });
  const ask = (name: string) =>
    exchanger.exchange(requestOf(world, { transport: "tcp", question: questionOf(name) }));
  await world.clock.runUntil(ask("a.example."));
  const outcomes = Promise.allSettled([ask("deadly.example."), ask("b.example."), ask("c.example.")]);
  const [deadly] = await world.clock.runUntil(outcomes);
  assert.equal(deadly?.status, "rejected");
  const asked = server.streams.flatMap(({ queries }) => queries).filter(isDeadly);
  assert.equal(asked.length, 2);
  await assertCleansUp(world, exchanger);
});

test("a long burst at a server that closes after each reply ends, too", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const server = await FakeStreamServer.open(serverHost, (query, stream) => {
    if (stream.queries.length > 1) return;
    stream.reply(replyTo(query));
    stream.stream.end();
  });
  const deadlineMs = world.clock.nowMs() + 600_000;
  const outcomes = await world.clock.runUntil(
    Promise.allSettled(
      Array.from({ length: 110 }, () =>
        exchanger.exchange(requestOf(world, { transport: "tcp", deadlineMs })),
      ),
    ),
  );
  const answered = outcomes.filter(({ status }) => status === "fulfilled").length;
  assert.equal(answered, server.streams.length);
  assert.equal(answered, 102);
  await assertCleansUp(world, exchanger);
});

test("a timeout of 0 moves what comes later to a fresh connection [7828-3.2.2-c]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const server = await FakeStreamServer.open(serverHost, (query, stream) =>
    stream.reply(replyTo(query, { edns: query.edns && { ...query.edns, options: [makeKeepalive(0)] } })),
  );
  const ask = () => world.clock.runUntil(exchanger.exchange(requestOf(world, { transport: "tcp" })));
  await ask();
  await world.clock.advance(20);
  assert.equal(server.streams[0]?.isEnded, true);
  await ask();
  assert.equal(server.streams.length, 2);
  await assertCleansUp(world, exchanger);
});

test("failures tell the stage at which they happened", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  await FakeStreamServer.open(serverHost, () => undefined, {});
  const cases = [
    { name: "closed TCP port", parts: { transport: "tcp" }, code: "ERR_CONNECT_REFUSED", stage: "connect" },
    { name: "closed UDP port", parts: { transport: "udp" }, code: "ERR_CONNECT_REFUSED", stage: "query" },
    {
      name: "no such host",
      parts: { transport: "tcp", server: { address: "203.0.113.7", port: 53 } },
      code: "ERR_CONNECT_TIMEOUT",
      stage: "connect",
    },
    { name: "silent server", parts: { transport: "tls" }, code: "ERR_TIMEOUT", stage: "query" },
    {
      name: "no address of that family",
      parts: { transport: "udp", localAddress: "192.0.2.99" },
      code: "ERR_UNREACHABLE",
      stage: "query",
    },
  ] as const;
  for (const { name, parts, code, stage } of cases) {
    await assert.rejects(world.clock.runUntil(exchanger.exchange(requestOf(world, parts))), (error) => {
      assert.ok(DnsError.is(error, code), `${name}: ${error}`);
      assert.equal(error.stage, stage, name);
      return true;
    });
  }
  await assertCleansUp(world, exchanger);
});

test("aborting and closing end queries at once, over every transport", async () => {
  for (const transport of ["udp", "tcp", "tls"] as const) {
    for (const how of ["abort", "close"] as const) {
      const { world, exchanger, serverHost } = exchangerWorld();
      await FakeUdpServer.open(serverHost, () => []);
      await FakeStreamServer.open(serverHost, () => undefined);
      await FakeStreamServer.open(serverHost, () => undefined, {});
      const abort = new AbortController();
      const asking = exchanger.exchange(requestOf(world, { transport, signal: abort.signal }));
      const outcome = assert.rejects(asking, (error) => DnsError.is(error, "ERR_ABORTED"));
      await world.clock.advance(500);
      const closing = how === "close" ? exchanger.close() : undefined;
      abort.abort();
      await world.clock.runUntil(outcome);
      if (closing !== undefined) await world.clock.runUntil(closing);
      await assertCleansUp(world, exchanger);
      await assert.rejects(exchanger.exchange(requestOf(world, { transport })), (error) =>
        DnsError.is(error, "ERR_CLOSED"),
      );
    }
  }
});

test("the table of servers is bounded: the oldest idle one leaves, and busy ones are not disturbed [9210-4.2-a]", async () => {
  const { world, exchanger } = exchangerWorld(1, { connectionsMax: 2 });
  const addresses = ["198.51.100.1", "198.51.100.2", "198.51.100.3"];
  const servers: FakeStreamServer[] = [];
  for (const address of addresses) {
    const host = world.network.host([address]);
    servers.push(
      await FakeStreamServer.open(
        host,
        (query, stream) => {
          if (query.questions[0]?.name.toString() !== "silent.example.") stream.reply(replyTo(query));
        },
        undefined,
        { address, port: 53 },
      ),
    );
  }
  const ask = (address: string, name = "www.example.") =>
    exchanger.exchange(
      requestOf(world, { transport: "tcp", server: { address, port: 53 }, question: questionOf(name) }),
    );
  for (const address of addresses) await world.clock.runUntil(ask(address));
  await world.clock.advance(50);
  assert.deepEqual(
    servers.map((server) => server.streams[0]?.isEnded),
    [true, false, false],
  );
  const silent = [ask("198.51.100.2", "silent.example."), ask("198.51.100.3", "silent.example.")];
  await assert.rejects(world.clock.runUntil(ask("198.51.100.1")), (error) =>
    DnsError.is(error, "ERR_QUOTA_EXCEEDED"),
  );
  await world.clock.runUntil(Promise.allSettled(silent));
  await assertCleansUp(world, exchanger);
});
