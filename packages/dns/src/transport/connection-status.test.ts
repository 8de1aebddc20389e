import assert from "node:assert/strict";
import { test } from "node:test";
import { makeEdns, makeKeepalive } from "@sotto/dns/wire";
import {
  exchangerWorld,
  FakeStreamServer,
  replyTo,
  requestOf,
  SERVER,
  TLS_SERVER,
} from "./client-fakes.test-support.ts";

test("the status of a connection tells what the server promised, when it is closed, and what is under way", async () => {
  const { world, exchanger, serverHost } = exchangerWorld();
  let hasStalled = false;
  await FakeStreamServer.open(
    serverHost,
    (query, stream) => {
      const edns = makeEdns({ options: [makeKeepalive(80)] });
      if (!hasStalled) stream.reply(replyTo(query, { edns }));
    },
    {},
  );
  const request = requestOf(world, { transport: "tls" });
  const status = () => exchanger.connectionStatus(request);
  assert.equal(exchanger.connectionStatus({ ...request, transport: "udp" }), undefined);
  assert.deepEqual([status()?.state, status()?.idleTimeoutMs, status()?.tickets], ["none", 10_000, 0]);
  const first = exchanger.exchange(request);
  await Promise.resolve();
  assert.deepEqual([status()?.state, status()?.inFlight], ["connecting", 1]);
  await world.clock.runUntil(first);
  await world.clock.advance(1000);
  const open = status();
  assert.deepEqual(
    [open?.state, open?.inFlight, open?.served, open?.promisedIdleMs, open?.idleTimeoutMs],
    ["open", 0, 1, 8000, 7000],
  );
  assert.match(open?.security ?? "", /^TLSv1\.3/);
  assert.ok((open?.idleClosesInMs ?? 0) <= 6000 && (open?.idleClosesInMs ?? 0) > 5900);
  assert.ok((open?.tickets ?? 0) > 0);
  hasStalled = true;
  const second = exchanger.exchange(requestOf(world, { transport: "tls" })).catch(() => undefined);
  await world.clock.advance(10);
  assert.deepEqual([status()?.inFlight, status()?.idleClosesInMs], [1, undefined]);
  await world.clock.runUntil(second);
  await world.clock.runUntil(exchanger.close());
});

test("the status tells learnt idle times, and for how long a dead server is left alone", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, { connectTimeoutMs: 1000 });
  await FakeStreamServer.open(serverHost, (query, stream) => {
    stream.reply(replyTo(query));
    world.clock.startTimer("server closes", 4000, () => stream.stream.end());
  });
  const request = () => requestOf(world, { transport: "tcp" });
  for (let i = 0; i < 3; i++) {
    assert.equal(exchanger.connectionStatus(request())?.learntIdleMs, undefined);
    await world.clock.runUntil(exchanger.exchange(request()));
    await world.clock.advance(5000);
  }
  const learnt = exchanger.connectionStatus(request())?.learntIdleMs ?? 0;
  assert.ok(learnt > 3000 && learnt < 4000, `${learnt} ms`);
  // Longer than a reply in clear speaks against TLS there.
  await world.clock.advance(60_000);
  world.network.setReachability(SERVER.address, "silent");
  const other = requestOf(world, { transport: "tls", server: TLS_SERVER });
  await world.clock.runUntil(exchanger.exchange(other).catch(() => undefined));
  const { backOff } = exchanger.connectionStatus(other) ?? {};
  assert.deepEqual([backOff?.failureClass, backOff?.failuresInARow], ["timeout", 1]);
  const leftMs = backOff?.leftMs ?? 0;
  assert.ok(leftMs > 0 && leftMs <= 2000, `${leftMs} ms`);
  await world.clock.advance(leftMs);
  assert.equal(exchanger.connectionStatus(other)?.backOff, undefined);
  await world.clock.runUntil(exchanger.close());
});
