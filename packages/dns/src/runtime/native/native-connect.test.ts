import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { DnsError } from "../dns-error.ts";
import type { ConnectOptions, Endpoint } from "../network.ts";
import { openNativeStream } from "./native-connect.ts";
import { type NativeLoop, nativeLoop } from "./native-loop.ts";

const engine = nativeLoop();
const skip = typeof engine === "string" ? engine : false;
const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ family }) => family === "IPv6"),
);

function loop(): NativeLoop {
  if (typeof engine === "string") throw new Error(engine);
  return engine;
}

function to(remote: Endpoint, parts: Partial<ConnectOptions> = {}): ConnectOptions {
  return {
    remote,
    localAddress: undefined,
    tls: undefined,
    connectTimeoutMs: 5000,
    handshakeTimeoutMs: 5000,
    signal: undefined,
    ...parts,
  };
}

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** A port that takes no further connection and refuses none: its queue is full, and nobody accepts. */
async function fullPort(): Promise<{ readonly remote: Endpoint; close(): void }> {
  const { sockets } = loop();
  const fd = sockets.open("tcp", { local: { address: "127.0.0.1", port: 0 }, reusePort: false });
  assert.ok(sockets.listen(fd, 0));
  const remote = sockets.localOf(fd);
  assert.ok(remote);
  const waiting = await openNativeStream(loop(), to(remote));
  return {
    remote,
    close: () => {
      waiting.reset();
      sockets.close(fd);
    },
  };
}

/** A listener of Node that reads nothing, the first connection with it, and our end of that. */
async function pair(options: (remote: Endpoint) => ConnectOptions, host: string) {
  const server = createServer({ pauseOnConnect: true }).listen(0, host);
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const arrived = once(server, "connection");
  const stream = await openNativeStream(loop(), options({ address: host, port: address.port }));
  const [peer]: Socket[] = await arrived;
  assert.ok(peer);
  server.close();
  return { stream, peer };
}

test("a connection comes from the address that was asked for", { skip }, async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const seen = new Promise((resolve) =>
    server.once("connection", (peer) => {
      resolve(peer.remoteAddress);
      peer.destroy();
    }),
  );
  const remote = { address: "127.0.0.1", port: address.port };
  const stream = await openNativeStream(loop(), to(remote, { localAddress: "127.0.0.9" }));
  assert.equal(stream.local.address, "127.0.0.9");
  assert.deepEqual(stream.remote, remote);
  assert.equal(await seen, "127.0.0.9");
  stream.reset();
  server.close();
});

// It was bound to IPv6 alone, as a listener is.
test("a mapped IPv4 address is connected to from a mapped one, and from any", {
  skip: skip || !hasIpv6,
}, async (context) => {
  const server = createServer((peer) => peer.destroy()).listen(0, "127.0.0.1");
  context.after(() => server.close());
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  for (const [localAddress, seen] of [
    ["::ffff:127.0.0.9", "127.0.0.9"],
    ["::", "127.0.0.1"],
  ] as const) {
    const remote = { address: "::ffff:127.0.0.1", port: address.port };
    const stream = await openNativeStream(loop(), to(remote, { localAddress }));
    assert.equal(stream.local.address, seen);
    stream.reset();
  }
});

test("who neither answers nor refuses is given up after its time, and at a signal, and no descriptor stays", {
  skip,
}, async () => {
  const port = await fullPort();
  const before = descriptors();
  await assert.rejects(openNativeStream(loop(), to(port.remote, { connectTimeoutMs: 1 })), (problem) => {
    assert.ok(DnsError.is(problem, "ERR_CONNECT_TIMEOUT"));
    assert.equal(problem.stage, "connect");
    return true;
  });
  const controller = new AbortController();
  const opening = openNativeStream(loop(), to(port.remote, { signal: controller.signal }));
  controller.abort();
  await assert.rejects(opening, (problem) => DnsError.is(problem, "ERR_ABORTED"));
  assert.equal(descriptors(), before);
  port.close();
});

test("an address that is not ours, and one that is none, are told and leave nothing open", {
  skip,
}, async () => {
  const before = descriptors();
  const remote = { address: "127.0.0.1", port: 9 };
  const isTold = (problem: unknown): boolean => DnsError.is(problem) && problem.stage === "connect";
  await assert.rejects(openNativeStream(loop(), to(remote, { localAddress: "192.0.2.1" })), isTold);
  await assert.rejects(openNativeStream(loop(), to(remote, { localAddress: "::1" })), isTold);
  assert.equal(descriptors(), before);
});

// What waited to be sent failed first, and with it went the answers that had arrived. The portable engine reads first.
test("what has arrived before a reset is read, although more waits to be sent", { skip }, async () => {
  const { stream, peer } = await pair(to, "127.0.0.1");
  const received: number[] = [];
  const closed = Promise.withResolvers<Error | undefined>();
  stream.setHandlers({
    onData: (octets) => received.push(...octets),
    onEnd: () => undefined,
    onDrain: () => undefined,
    onClose: closed.resolve,
  });
  stream.write(new Uint8Array(16 * 1024 * 1024));
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(stream.bufferedOctets > 0);
  peer.write(Uint8Array.of(1, 2, 3));
  peer.resetAndDestroy();
  assert.ok(DnsError.is(await closed.promise, "ERR_CONNECTION_LOST"));
  assert.deepEqual(received, [1, 2, 3]);
});

test("what was sent before there is anybody to be told is kept, and so is a reset", { skip }, async () => {
  const controller = new AbortController();
  const { stream, peer } = await pair((remote) => to(remote, { signal: controller.signal }), "127.0.0.1");
  // It has come about: nobody can give it up any more.
  controller.abort();
  peer.write("early");
  peer.resetAndDestroy();
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  await turns();
  const log: string[] = [];
  const closed = Promise.withResolvers<Error | undefined>();
  stream.setHandlers({
    onData: (octets) => log.push(Buffer.from(octets).toString()),
    onEnd: () => log.push("end"),
    onDrain: () => undefined,
    onClose: closed.resolve,
  });
  assert.deepEqual(log, []);
  assert.ok(DnsError.is(await closed.promise, "ERR_CONNECTION_LOST"));
  assert.deepEqual(log, ["early"]);
});

test("where the system watches no more descriptors, connecting fails, and so does a stream that would be read", {
  skip,
}, async (context) => {
  const { stream, peer } = await pair(to, "127.0.0.1");
  const before = descriptors();
  const { events } = loop();
  Object.defineProperty(events, "add", { value: () => false, configurable: true });
  context.after(() => Reflect.deleteProperty(events, "add"));
  const port = await new Promise<Endpoint>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      server.close(() => resolve({ address: "127.0.0.1", port: address.port }));
    });
  });
  await assert.rejects(openNativeStream(loop(), to(port)), (problem) => DnsError.is(problem, "ERR_SYSTEM"));
  assert.equal(descriptors(), before);
  const closed = Promise.withResolvers<Error | undefined>();
  stream.setHandlers({
    onData: () => undefined,
    onEnd: () => undefined,
    onDrain: () => undefined,
    onClose: closed.resolve,
  });
  assert.ok(DnsError.is(await closed.promise, "ERR_CONNECTION_LOST"));
  assert.equal(descriptors(), before - 1);
  peer.destroy();
});
