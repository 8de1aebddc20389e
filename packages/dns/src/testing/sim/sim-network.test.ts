import assert from "node:assert/strict";
import { test } from "node:test";
import type { ByteStream, DatagramHandlers, StreamHandlers } from "@sotto/dns/runtime";
import { DnsError, type DnsErrorCode } from "@sotto/dns/runtime";
import { fakeAnchorPem, fakeCertificatePem, fakePin } from "./sim-identity.ts";
import { type SimWorld, simRuntime } from "./sim-runtime.ts";

const CLIENT = ["192.0.2.1", "2001:db8::1"];
const SERVER = "198.51.100.1";
const REMOTE = { address: SERVER, port: 53 };

function recordingHandlers(log: string[]): StreamHandlers {
  return {
    onData: (octets) => log.push(`data ${octets.join(",")}`),
    onEnd: () => log.push("end"),
    onClose: (problem) => log.push(DnsError.is(problem) ? `close ${problem.code}` : "close"),
    onDrain: () => log.push("drain"),
    onSession: (ticket) => log.push(`session ${ticket.length}`),
  };
}

const LISTEN = { local: REMOTE, tls: undefined, handshakeTimeoutMs: 1000, reusePort: false };
const CONNECT = {
  remote: REMOTE,
  localAddress: undefined,
  tls: undefined,
  connectTimeoutMs: 3000,
  handshakeTimeoutMs: 2000,
  signal: undefined,
};

async function openPair(world: SimWorld): Promise<{
  client: ByteStream;
  server: ByteStream;
  clientLog: string[];
  serverLog: string[];
}> {
  const serverLog: string[] = [];
  const clientLog: string[] = [];
  let server: ByteStream | undefined;
  await world.network.host([SERVER]).listen(LISTEN, {
    onStream: (stream) => {
      server = stream;
      stream.setHandlers(recordingHandlers(serverLog));
    },
    onFailure: () => undefined,
  });
  const client = await world.clock.runUntil(world.network.host(CLIENT).connect(CONNECT));
  client.setHandlers(recordingHandlers(clientLog));
  await world.clock.advance(100);
  assert.ok(server !== undefined);
  return { client, server, clientLog, serverLog };
}

test("timers fire in order of time, then of starting, and cancelled ones never", async () => {
  const { clock } = simRuntime(1);
  const log: string[] = [];
  clock.startTimer("b", 20, () => log.push("b"));
  clock.startTimer("a", 10, () => log.push("a"));
  clock.startTimer("c", 20, () => log.push("c"));
  clock.startTimer("never", 15, () => log.push("never")).cancel();
  assert.deepEqual(clock.pendingTimers, ["a", "b", "c"]);
  await clock.advance(20);
  assert.deepEqual(log, ["a", "b", "c"]);
  assert.deepEqual(clock.pendingTimers, []);
});

test("running until something that never happens tells which timers are pending", async () => {
  const { clock } = simRuntime(1);
  clock.startTimer("patience", 100, () => undefined);
  await assert.rejects(
    clock.runUntil(() => false, 50),
    /pending are patience/,
  );
});

test("the same seed gives the same chance, another seed another", () => {
  const draw = (seed: number): string => simRuntime(seed).random.octets(16).join(".");
  assert.equal(draw(7), draw(7));
  assert.notEqual(draw(7), draw(8));
});

test("a stream keeps order however it is sliced", async () => {
  const world = simRuntime(3, { sliceOctetsMax: 3, jitterMs: 20, lossRate: 0.2 });
  const { client, serverLog } = await openPair(world);
  const sent = Array.from({ length: 200 }, (_, i) => i);
  client.write(Uint8Array.from(sent));
  await world.clock.advance(60_000);
  const received = serverLog.flatMap((line) => line.slice("data ".length).split(",").map(Number));
  assert.deepEqual(received, sent);
  assert.ok(serverLog.length > 60);
  await world.network.close();
});

test("a half-closed stream still carries octets the other way", async () => {
  const world = simRuntime(1);
  const { client, server, clientLog, serverLog } = await openPair(world);
  client.end();
  await world.clock.advance(100);
  assert.deepEqual(serverLog, ["end"]);
  server.write(Uint8Array.of(1));
  server.end();
  await world.clock.advance(100);
  assert.deepEqual(clientLog, ["data 1", "end", "close"]);
  assert.deepEqual(serverLog, ["end", "close"]);
  assert.equal(world.network.use.streams, 0);
});

test("a reset reaches the peer as a lost connection, paused or not", async () => {
  for (const isPaused of [false, true]) {
    const world = simRuntime(1);
    const { client, server, clientLog, serverLog } = await openPair(world);
    if (isPaused) server.pause();
    client.write(Uint8Array.of(1));
    client.reset();
    await world.clock.advance(100);
    assert.deepEqual(clientLog, ["close"]);
    assert.deepEqual(
      serverLog,
      isPaused ? ["close ERR_CONNECTION_LOST"] : ["data 1", "close ERR_CONNECTION_LOST"],
    );
    assert.deepEqual(world.clock.pendingTimers, []);
  }
});

test("a reader that pauses fills the sender's window, and reading drains it", async () => {
  const world = simRuntime(1, { windowOctets: 10 });
  const { client, server, clientLog, serverLog } = await openPair(world);
  server.pause();
  assert.equal(client.write(new Uint8Array(10)), true);
  assert.equal(client.write(new Uint8Array(5)), false);
  await world.clock.advance(1000);
  assert.equal(client.bufferedOctets, 5);
  assert.deepEqual(serverLog, []);
  server.resume();
  await world.clock.advance(1000);
  assert.equal(client.bufferedOctets, 0);
  assert.deepEqual(clientLog, ["drain"]);
  await world.network.close();
});

test("connecting times out, is refused or is unreachable as the address is", async () => {
  const cases: { name: string; expected: DnsErrorCode; prepare: (world: SimWorld) => unknown }[] = [
    { name: "no such address", expected: "ERR_CONNECT_TIMEOUT", prepare: () => undefined },
    {
      name: "closed port",
      expected: "ERR_CONNECT_REFUSED",
      prepare: (world: SimWorld) => world.network.host([SERVER]),
    },
    {
      name: "unreachable",
      expected: "ERR_UNREACHABLE",
      prepare: (world: SimWorld) => world.network.setReachability(SERVER, "unreachable"),
    },
  ];
  for (const { name, expected, prepare } of cases) {
    const world = simRuntime(1);
    prepare(world);
    const connecting = world.network.host(CLIENT).connect(CONNECT);
    await assert.rejects(world.clock.runUntil(connecting), (error) => DnsError.is(error, expected), name);
    assert.deepEqual(world.clock.pendingTimers, [], name);
  }
});

test("TLS shows the identity once, gives tickets, and a resumed session shows no chain", async () => {
  const world = simRuntime(1);
  const identity = { subjectAltNames: ["DNS:dns.example"], issuer: "test authority" };
  const tls = {
    certificatePem: fakeCertificatePem(identity),
    keyPem: "",
    alpn: ["dot"],
    ticketKeys: undefined,
  };
  await world.network
    .host([SERVER])
    .listen(
      { ...LISTEN, tls },
      { onStream: (stream) => stream.setHandlers(recordingHandlers([])), onFailure: () => undefined },
    );
  const client = world.network.host(CLIENT);
  const tickets: Uint8Array[] = [];
  const open = async (session: Uint8Array | undefined, anchors: readonly string[]): Promise<ByteStream> => {
    const stream = await world.clock.runUntil(
      client.connect({
        ...CONNECT,
        tls: { serverName: "dns.example", alpn: ["dot"], trustAnchorsPem: anchors, session },
      }),
    );
    stream.setHandlers({ ...recordingHandlers([]), onSession: (ticket) => tickets.push(ticket.slice()) });
    await world.clock.advance(100);
    return stream;
  };
  const first = await open(undefined, [fakeAnchorPem("test authority")]);
  assert.equal(first.security?.alpn, "dot");
  assert.equal(first.security?.chainProblem, undefined);
  assert.equal(first.security?.peerChain[0]?.spkiSha256, fakePin(identity));
  assert.equal(tickets.length, 2);
  const second = await open(tickets[0], []);
  assert.equal(second.security?.resumed, true);
  assert.deepEqual(second.security?.peerChain, []);
  const third = await open(undefined, []);
  assert.equal(third.security?.chainProblem, "unable to get local issuer certificate");
  await assert.rejects(
    world.clock.runUntil(
      client.connect({
        ...CONNECT,
        tls: { serverName: undefined, alpn: ["h2"], trustAnchorsPem: undefined, session: undefined },
      }),
    ),
    (error) => DnsError.is(error, "ERR_TLS_HANDSHAKE"),
  );
  await world.network.close();
});

test("datagrams are lost, doubled and reordered as often as the weather says", async () => {
  const world = simRuntime(5, { lossRate: 0.25, duplicateRate: 0.25, jitterMs: 50 });
  const received: number[] = [];
  const handlers: DatagramHandlers = {
    onMessage: (octets) => received.push(octets[0] ?? -1),
    onError: () => undefined,
  };
  const server = world.network.host([SERVER]);
  await server.bindDatagram({ local: REMOTE, connectTo: undefined, reusePort: false }, handlers);
  const client = await world.network
    .host(CLIENT)
    .bindDatagram({ local: { address: "0.0.0.0", port: 0 }, connectTo: REMOTE, reusePort: false }, handlers);
  for (let i = 0; i < 200; i++) client.send(Uint8Array.of(i), REMOTE);
  await world.clock.advance(1000);
  const distinct = new Set(received);
  assert.ok(distinct.size > 140 && distinct.size < 190, `${distinct.size} arrived`);
  assert.ok(received.length > distinct.size + 20, `${received.length} with duplicates`);
  assert.notDeepEqual(
    received,
    received.toSorted((a, b) => a - b),
  );
  await client.close();
  assert.equal(world.network.use.datagramSockets, 1);
});

test("a connected socket hears its peer only, and of ports that are closed", async () => {
  const world = simRuntime(1);
  const log: string[] = [];
  const socket = await world.network.host(CLIENT).bindDatagram(
    { local: { address: "0.0.0.0", port: 0 }, connectTo: REMOTE, reusePort: false },
    {
      onMessage: (octets, from) => log.push(`${octets[0]} from ${from.address}`),
      onError: (problem) => log.push(DnsError.is(problem) ? problem.code : String(problem)),
    },
  );
  assert.equal(socket.local.address, "192.0.2.1");
  world.network.inject(Uint8Array.of(1), { address: "203.0.113.9", port: 53 }, socket.local);
  world.network.inject(Uint8Array.of(2), REMOTE, socket.local);
  world.network.host([SERVER]);
  socket.send(Uint8Array.of(3), REMOTE);
  await world.clock.advance(100);
  assert.deepEqual(log, ["2 from 198.51.100.1", "ERR_CONNECT_REFUSED"]);
  await socket.close();
});
