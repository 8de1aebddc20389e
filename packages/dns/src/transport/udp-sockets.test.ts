import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import {
  CLIENT_ADDRESSES,
  exchangerWorld,
  FakeUdpServer,
  questionOf,
  replyTo,
  requestOf,
  SERVER,
} from "./client-fakes.test-support.ts";
import type { Exchanger } from "./exchanger.ts";
import { UdpSocket, type UdpWaiter, WRONG_REPLIES_MAX } from "./udp-socket.ts";
import { UdpSockets } from "./udp-sockets.ts";

const SHARED = { sharesUdpSockets: true } as const;
const SOCKETS = 8;
const QUERIES_PER_SOCKET = 128;
const LIFE_MS = 5000;
/** Of those that share only towards servers that are asked much. */
const OWN_PER_SECOND = 16;
const BUSY_SOCKETS = 16;
const BUSY_QUERIES_PER_SOCKET = 64;
const BUSY_LIFE_MS = 1000;

function portsOf(server: FakeUdpServer): number[] {
  return server.sources.map(({ port }) => port);
}

async function ask(world: SimWorld, exchanger: Exchanger, count: number): Promise<void> {
  for (let i = 0; i < count; i++)
    await world.clock.runUntil(
      exchanger.exchange(requestOf(world, { question: questionOf(`n${i}.example.`) })),
    );
}

async function passMs(world: SimWorld, delayMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  world.clock.startTimer("test", delayMs, resolve);
  await world.clock.runUntil(promise);
}

test("whoever asks much shares a few ports, and none carries more than its share", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, SHARED);
  const server = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  const isFew: boolean[] = [];
  for (let i = 0; i < 12; i++) {
    await ask(world, exchanger, 25);
    isFew.push(world.network.use.datagramSockets <= SOCKETS + 1);
  }
  assert.ok(isFew.every(Boolean));
  const ports = portsOf(server);
  // 300 queries in 3 s of virtual time.
  assert.equal(new Set(ports).size, SOCKETS);
  // All are used: the next one is drawn.
  for (const port of new Set(ports)) assert.ok(ports.filter((one) => one === port).length > 10);
  await world.clock.runUntil(exchanger.close());
});

test("a port is given up after so many queries", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, SHARED, { latencyMs: 0 });
  const server = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  await ask(world, exchanger, SOCKETS * QUERIES_PER_SOCKET);
  const uses = new Map<number, number>();
  for (const port of portsOf(server)) uses.set(port, (uses.get(port) ?? 0) + 1);
  assert.equal(Math.max(...uses.values()), QUERIES_PER_SOCKET);
  assert.ok(uses.size > SOCKETS);
  assert.ok(world.network.use.datagramSockets <= SOCKETS + 1);
  await world.clock.runUntil(exchanger.close());
});

test("whoever asks seldom has a fresh port each time, and no socket in between", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, SHARED);
  const server = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  for (let i = 0; i < 20; i++) {
    await ask(world, exchanger, 1);
    await passMs(world, LIFE_MS);
    assert.equal(world.network.use.datagramSockets, 1);
  }
  assert.equal(new Set(portsOf(server)).size, 20);
  assert.deepEqual(world.clock.pendingTimers, []);
});

test("several queries at once leave from several ports", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, SHARED);
  const server = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  const asked = Array.from({ length: 40 }, (_, i) =>
    exchanger.exchange(requestOf(world, { question: questionOf(`n${i}.example.`) })),
  );
  const results = await world.clock.runUntil(Promise.all(asked));
  assert.equal(new Set(portsOf(server)).size, SOCKETS);
  for (const [i, { message }] of results.entries())
    assert.equal(message.questions[0]?.name.toString(), `n${i}.example.`);
  await world.clock.runUntil(exchanger.close());
});

test("a refused port ends all that wait on its socket, and who comes later is served", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, SHARED);
  const asked = Array.from({ length: 20 }, () => exchanger.exchange(requestOf(world)));
  const outcomes = await world.clock.runUntil(Promise.allSettled(asked));
  for (const outcome of outcomes)
    assert.ok(outcome.status === "rejected" && DnsError.is(outcome.reason, "ERR_CONNECT_REFUSED"));
  assert.equal(world.network.use.datagramSockets, 0);
  await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  await ask(world, exchanger, 3);
  await world.clock.runUntil(exchanger.close());
});

test("a flood of forged replies ends what waits on the flooded socket only", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, SHARED);
  let flooded: number | undefined;
  const server = await FakeUdpServer.open(serverHost, (query, nth) => {
    flooded ??= portsOf(server)[nth - 1];
    if (portsOf(server)[nth - 1] !== flooded) return [replyTo(query)];
    // One of them would be right, were it the first.
    return Array.from({ length: WRONG_REPLIES_MAX + 1 }, (_, i) =>
      replyTo({ ...query, questions: [questionOf(`forged${i}.example.`)] }),
    );
  });
  const asked = Array.from({ length: 40 }, () => exchanger.exchange(requestOf(world)));
  const outcomes = await world.clock.runUntil(Promise.allSettled(asked));
  const failed = outcomes.filter(({ status }) => status === "rejected");
  assert.ok(failed.length > 0 && failed.length < 20);
  for (const outcome of failed)
    assert.ok(outcome.status === "rejected" && DnsError.is(outcome.reason, "ERR_REPLY_UNUSABLE"));
  const before = server.sources.length;
  await ask(world, exchanger, 20);
  assert.ok(
    !portsOf(server)
      .slice(before)
      .includes(flooded ?? 0),
  );
  await world.clock.runUntil(exchanger.close());
});

test("on another network queries leave from fresh sockets, and those under way are answered on theirs", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, SHARED);
  const server = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  await ask(world, exchanger, 20);
  const before = new Set(portsOf(server));
  const underWay = exchanger.exchange(requestOf(world));
  await passMs(world, 1);
  exchanger.networkChanged();
  await world.clock.runUntil(underWay);
  assert.equal(world.network.use.datagramSockets, 1);
  const sent = server.sources.length;
  await ask(world, exchanger, 20);
  for (const port of portsOf(server).slice(sent)) assert.ok(!before.has(port));
  await world.clock.runUntil(exchanger.close());
});

test("closing ends what is under way and leaves neither sockets nor timers", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, SHARED);
  await FakeUdpServer.open(serverHost, () => []);
  const asked = Array.from({ length: 10 }, () => exchanger.exchange(requestOf(world)));
  const outcomes = Promise.allSettled(asked);
  await passMs(world, 10);
  await world.clock.runUntil(exchanger.close());
  for (const outcome of await outcomes)
    assert.ok(outcome.status === "rejected" && DnsError.is(outcome.reason, "ERR_ABORTED"));
  assert.equal(world.network.use.datagramSockets, 1);
  assert.deepEqual(world.clock.pendingTimers, []);
});

test("with too many servers at once the later ones are asked from a socket for each query", async () => {
  const world = simRuntime(1);
  const sockets = new UdpSockets("always", world.runtimeOf(CLIENT_ADDRESSES));
  const take = (last: number): UdpSocket =>
    sockets.take({ address: `198.51.100.${last}`, port: 53 }, `198.51.100.${last}|53`, undefined);
  const isKept = (last: number): boolean => {
    const first = new Set(Array.from({ length: SOCKETS }, () => take(last)));
    return first.has(take(last));
  };
  for (let i = 1; i <= 32; i++) assert.ok(isKept(i));
  assert.ok(!isKept(33));
  await passMs(world, LIFE_MS);
  assert.ok(isKept(33));
  await world.clock.runUntil(sockets.close());
});

function oneSocket(runtime: Runtime, queriesMax: number): UdpSocket {
  return new UdpSocket({ server: SERVER, localAddress: undefined, queriesMax, lifeMs: undefined }, runtime);
}

class RecordingWaiter implements UdpWaiter {
  readonly received: number[] = [];
  failures = 0;

  start(): void {}

  receive(octets: Uint8Array): boolean {
    this.received.push(octets[0] ?? 0);
    return true;
  }

  fail(): void {
    this.failures++;
  }
}

test("a late reply finds nobody, whoever waits on the socket by then", async () => {
  const world = simRuntime(1, { latencyMs: 0 });
  const runtime = world.runtimeOf(CLIENT_ADDRESSES);
  const server = await FakeUdpServer.open(world.network.host([SERVER.address]), () => []);
  // A source that would give the same id again and again.
  const drawn = [0x0701, 0x0701, 0x0701, 0x0802];
  const random = {
    uint16: (): number => drawn.shift() ?? 0,
    below: world.random.below.bind(world.random),
    octets: world.random.octets.bind(world.random),
  };
  const socket = oneSocket({ ...runtime, random }, 3);
  const early = new RecordingWaiter();
  const later = new RecordingWaiter();
  const earlyId = socket.add(early);
  await passMs(world, 1);
  await socket.remove(earlyId);
  const laterId = socket.add(later);
  assert.deepEqual([earlyId, laterId], [0x0701, 0x0802]);
  const { local } = socket;
  assert.ok(local !== undefined);
  for (let i = 0; i < 2 * WRONG_REPLIES_MAX; i++) world.network.inject(Uint8Array.of(7, 1), SERVER, local);
  world.network.inject(Uint8Array.of(8, 2), SERVER, local);
  await passMs(world, 1);
  assert.deepEqual(later.received, [8]);
  assert.deepEqual(early.received, []);
  assert.equal(later.failures, 0);
  assert.equal(server.sources.length, 0);
  await socket.close();
});

test("a socket that cannot be opened fails who waits for it", async () => {
  const world = simRuntime(1);
  // No address of that family.
  const runtime = world.runtimeOf(["192.0.2.1"]);
  const socket = new UdpSocket(
    { server: { address: "2001:db8::53", port: 53 }, localAddress: undefined, queriesMax: 5, lifeMs: 1000 },
    runtime,
  );
  const waiter = new RecordingWaiter();
  const id = socket.add(waiter);
  await passMs(world, 1);
  assert.equal(waiter.failures, 1);
  assert.equal(socket.takesQueries, false);
  await socket.remove(id);
  assert.deepEqual(world.clock.pendingTimers, []);
});

test("a query that is given up while its socket opens leaves nothing behind", async () => {
  const world = simRuntime(1);
  const socket = oneSocket(world.runtimeOf(CLIENT_ADDRESSES), 1);
  await world.clock.runUntil(socket.remove(socket.add(new RecordingWaiter())) ?? Promise.resolve());
  assert.equal(world.network.use.datagramSockets, 0);
});

const WHEN_BUSY = { sharesUdpSockets: "when busy" } as const;

test("where servers that are asked much share ports, those that are not see a fresh one each time [rfc5452#9.2]", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, WHEN_BUSY);
  const server = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  for (let second = 0; second < 5; second++) {
    await ask(world, exchanger, OWN_PER_SECOND);
    // The server's own.
    assert.equal(world.network.use.datagramSockets, 1);
    await passMs(world, 1000);
  }
  assert.equal(new Set(portsOf(server)).size, 5 * OWN_PER_SECOND);
  await world.clock.runUntil(exchanger.close());
});

test("a server that is asked much is asked from sixteen ports, of which none carries more than its share", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, WHEN_BUSY, { latencyMs: 0 });
  const server = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  await ask(world, exchanger, OWN_PER_SECOND + BUSY_SOCKETS * BUSY_QUERIES_PER_SOCKET);
  assert.ok(world.network.use.datagramSockets <= BUSY_SOCKETS + 1);
  const uses = new Map<number, number>();
  for (const port of portsOf(server)) uses.set(port, (uses.get(port) ?? 0) + 1);
  assert.equal([...uses.values()].filter((count) => count === 1).length, OWN_PER_SECOND);
  assert.equal(Math.max(...uses.values()), BUSY_QUERIES_PER_SOCKET);
  // Those that were given up have others in their place.
  assert.ok(uses.size > OWN_PER_SECOND + BUSY_SOCKETS);
  await passMs(world, BUSY_LIFE_MS);
  assert.equal(world.network.use.datagramSockets, 1);
  await world.clock.runUntil(exchanger.close());
});

test("a burst shares one fresh port, and the next one has another", async () => {
  const { world, exchanger, serverHost } = exchangerWorld(1, SHARED, { latencyMs: 0 });
  const server = await FakeUdpServer.open(serverHost, (query) => [replyTo(query)]);
  const bursts: number[][] = [];
  for (let i = 0; i < 3; i++) {
    await passMs(world, LIFE_MS);
    const before = server.sources.length;
    // The first have a port each.
    await ask(world, exchanger, SOCKETS + 50);
    bursts.push(portsOf(server).slice(before + SOCKETS));
  }
  assert.deepEqual(
    bursts.map((ports) => new Set(ports).size),
    [1, 1, 1],
  );
  assert.equal(new Set(bursts.flat()).size, 3);
  await world.clock.runUntil(exchanger.close());
});
