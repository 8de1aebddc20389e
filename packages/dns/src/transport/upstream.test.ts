import assert from "node:assert/strict";
import { test } from "node:test";
import type { SimWorld } from "@sotto/dns/testing";
import {
  encodeMessage,
  makeEdns,
  makeExtendedError,
  makeMessage,
  Rcode,
  tryViewMessage,
} from "@sotto/dns/wire";
import {
  CLIENT_ADDRESSES,
  exchangerWorld,
  FakeStreamServer,
  FakeUdpServer,
  questionOf,
  replyTo,
  SERVER,
  TLS_SERVER,
} from "./client-fakes.test-support.ts";
import type { Query, QueryContext } from "./responder.ts";
import { Upstream, upstreamTlsPolicy } from "./upstream.ts";
import { tryParseUpstreamAddress } from "./upstream-address.ts";

function queryOf(parts: Parameters<typeof makeMessage>[0] = {}): Query {
  const octets = encodeMessage(makeMessage({ id: 1, questions: [questionOf("www.example.")], ...parts }));
  const view = tryViewMessage(octets);
  if (!view.ok) throw new RangeError(view.problem);
  const origin = { transport: "internal" as const, remote: undefined, local: undefined, security: undefined };
  return { octets, view: view.value, origin };
}

function contextOf(world: SimWorld, withinMs = 10_000): QueryContext {
  return { signal: new AbortController().signal, deadlineMs: world.clock.nowMs() + withinMs };
}

test("an upstream is asked with the client's RD, AD, CD and DO and with nothing else of its EDNS", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const server = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  const upstream = new Upstream(
    { transport: "udp", endpoint: SERVER },
    exchanger,
    world.runtimeOf(CLIENT_ADDRESSES),
  );
  const flags = { recursionDesired: true, authenticData: true, checkingDisabled: true };
  const edns = makeEdns({ dnssecOk: true, options: [{ code: 8, data: new Uint8Array(4) }] });
  await world.clock.runUntil(upstream.respond(queryOf({ ...flags, edns }), contextOf(world)));
  await world.clock.runUntil(upstream.respond(queryOf(), contextOf(world)));
  const seen = server.queries.map((query) => [
    query.recursionDesired,
    query.authenticData,
    query.checkingDisabled,
    query.edns?.dnssecOk,
    // A cookie of our own is all.
    query.edns?.options.map(({ code, data }) => `${code} of ${data.length}`).join(),
  ]);
  assert.deepEqual(seen, [
    [true, true, true, true, "10 of 8"],
    [false, false, false, false, "10 of 8"],
  ]);
});

test("a reply tells what protected it and which extended errors the upstream gave", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const error = { code: 15, text: "blocked" };
  await FakeStreamServer.open(
    serverHost,
    (query, stream) =>
      stream.reply(replyTo(query, { rcode: 3, edns: makeEdns({ options: [makeExtendedError(error)] }) })),
    {},
  );
  const address = tryParseUpstreamAddress(`tls://dns.example?ip=${TLS_SERVER.address}`);
  assert.ok(address.ok);
  const upstream = new Upstream(
    { ...address.value, tls: upstreamTlsPolicy(address.value) },
    exchanger,
    world.runtimeOf(CLIENT_ADDRESSES),
  );
  const reply = await world.clock.runUntil(upstream.respond(queryOf(), contextOf(world)));
  assert.equal(reply.protection, "authenticated");
  assert.equal(reply.exchange?.authenticatedBy, "name dns.example");
  assert.deepEqual(reply.extendedErrors, [error]);
  await world.clock.runUntil(exchanger.close());
});

test("an upstream address with a name or a pin is strict, one without encrypts only [8310-6.6-a]", () => {
  const policyOf = (text: string) => {
    const address = tryParseUpstreamAddress(text);
    assert.ok(address.ok, text);
    const policy = upstreamTlsPolicy(address.value);
    return policy && [policy.authenticate, policy.authName, policy.serverName];
  };
  assert.deepEqual(policyOf("tls://dns.example?ip=192.0.2.1"), ["required", "dns.example", "dns.example"]);
  const pin = `${"A".repeat(43)}=`;
  assert.deepEqual(policyOf(`tls://192.0.2.1?pin=sha256:${pin}`), ["required", undefined, undefined]);
  assert.deepEqual(policyOf("tls://192.0.2.1"), ["no", undefined, undefined]);
  assert.deepEqual(policyOf("192.0.2.1@853#192.0.2.1"), ["required", "192.0.2.1", undefined]);
  assert.equal(policyOf("udp://192.0.2.1"), undefined);
});

test("an upstream over TLS is on port 853 unless another is given, and never on 53 [7858-3.1-b 7858-3.1-c]", () => {
  const portOf = (text: string) => {
    const address = tryParseUpstreamAddress(text);
    return address.ok ? address.value.endpoint.port : undefined;
  };
  assert.equal(portOf("tls://192.0.2.1"), 853);
  assert.equal(portOf("192.0.2.1#dns.example"), 853);
  assert.equal(portOf("tls://192.0.2.1:8853"), 8853);
  assert.equal(portOf("tls://192.0.2.1:53"), undefined);
});

test("who looks for the port among the parameters is told where it is", () => {
  const address = tryParseUpstreamAddress("tls://dns.example?ip=192.0.2.1&port=8853");
  assert.ok(!address.ok);
  assert.match(address.problem, /tls:\/\/NAME:PORT/);
});

test("an upstream that does not know EDNS is asked without it, and so for a while [7828-3.5-a]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  const server = await FakeUdpServer.open(serverHost, (query) => [
    query.edns === undefined
      ? replyTo(query)
      : replyTo(query, { rcode: Rcode.FormErr, answers: [], edns: undefined }),
  ]);
  const upstream = new Upstream(
    { transport: "udp", endpoint: SERVER },
    exchanger,
    world.runtimeOf(CLIENT_ADDRESSES),
  );
  const hasEdns = () => server.queries.splice(0).map((query) => query.edns !== undefined);
  const ask = () => world.clock.runUntil(upstream.respond(queryOf(), contextOf(world)));
  assert.equal((await ask()).message.rcode, Rcode.NoError);
  assert.deepEqual(hasEdns(), [true, false]);
  await ask();
  assert.deepEqual(hasEdns(), [false]);
  await world.clock.advance(900_000);
  await ask();
  assert.deepEqual(hasEdns(), [true, false]);
});
