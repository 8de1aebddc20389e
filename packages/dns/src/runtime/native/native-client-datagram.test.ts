/** Datagram sockets of the engine where something fails, or comes from somebody else. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { DnsError } from "../dns-error.ts";
import type { DatagramHandlers, DatagramSocket, Endpoint } from "../network.ts";
import { nativeLoop } from "./native-loop.ts";
import { nativeRuntime } from "./native-runtime.ts";
import { Blocked, type Sockets } from "./unsafe/sockets.ts";

const { network, engineProblem } = nativeRuntime();
const skip = engineProblem ?? false;
const LOCAL: Endpoint = { address: "127.0.0.1", port: 0 };
/** More than any datagram has. */
const TOO_LARGE = new Uint8Array(65_535);

/** Bound, and connected when there is a peer. */
async function open(
  context: TestContext,
  connectTo: Endpoint | undefined,
  handlers: Partial<DatagramHandlers> = {},
): Promise<DatagramSocket> {
  const nothing = (): undefined => undefined;
  const opened = await network.bindDatagram(
    { local: LOCAL, connectTo, reusePort: false },
    { onMessage: nothing, onError: nothing, ...handlers },
  );
  context.after(() => opened.close());
  return opened;
}

/** A socket that remembers the first octet of all it hears, and when it has heard the one that ends a test. */
async function openEar(
  context: TestContext,
): Promise<{ readonly socket: DatagramSocket; readonly heard: number[]; readonly end: Promise<void> }> {
  const heard: number[] = [];
  const end = Promise.withResolvers<void>();
  const socket = await open(context, undefined, {
    onMessage: ([octet = 0]) => (octet === END ? end.resolve() : void heard.push(octet)),
  });
  return { socket, heard, end: end.promise };
}

const END = 255;

/** Puts another call in the place of one of the engine's, until the test is over. */
function replace<Name extends "connect" | "drop" | "writeOutput">(
  context: TestContext,
  name: Name,
  by: (original: Sockets[Name]) => Sockets[Name],
): void {
  const loop = nativeLoop();
  assert.ok(typeof loop !== "string");
  const { sockets } = loop;
  const original: Sockets[Name] = sockets[name].bind(sockets) as Sockets[Name]; // The same call, bound.
  Object.defineProperty(sockets, name, { value: by(original), configurable: true });
  context.after(() => Reflect.deleteProperty(sockets, name));
}

// Closing sent all that waited once more, what had failed among it, which was told again: where a firewall refuses what leaves, a query
// over UDP was the end of the process.
for (const isConnected of [true, false])
  test(`who closes a ${isConnected ? "connected" : "bound"} socket when told of a failure sends nothing twice`, {
    skip,
  }, async (context) => {
    const { socket: ear, heard, end } = await openEar(context);
    const told: string[] = [];
    const socket = await open(context, isConnected ? ear.local : undefined, {
      onError: ({ message }) => {
        told.push(message);
        void socket.close();
      },
    });
    socket.send(Uint8Array.of(1), ear.local);
    // Neither can be sent, as often as it is tried.
    if (isConnected) socket.send(TOO_LARGE, ear.local);
    else socket.send(Uint8Array.of(3), { ...ear.local, port: 0 });
    socket.send(Uint8Array.of(2), ear.local);
    const last = await open(context, ear.local);
    await Promise.resolve();
    last.send(Uint8Array.of(END), ear.local);
    await end;
    assert.deepEqual(heard, [1, 2]);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? "", isConnected ? /EMSGSIZE/ : /EINVAL/);
  });

test("what is longer than any datagram is told, not thrown", { skip }, async (context) => {
  const told = Promise.withResolvers<Error>();
  const { socket: ear } = await openEar(context);
  const socket = await open(context, ear.local, { onError: told.resolve });
  socket.send(new Uint8Array(70_000), ear.local);
  assert.match((await told.promise).message, /EMSGSIZE/);
});

// A front end asks one backend for all its clients, and more than waited had become of a turn's queries: all that stood on the socket failed.
test("as many as are sent in a turn leave", { skip }, async (context) => {
  const { socket: ear, heard, end } = await openEar(context);
  const told: Error[] = [];
  const socket = await open(context, ear.local, { onError: (problem) => told.push(problem) });
  for (let i = 0; i < 600; i++) socket.send(Uint8Array.of(1), ear.local);
  socket.send(Uint8Array.of(END), ear.local);
  await end;
  assert.deepEqual([heard.length, told], [600, []]);
});

// Whoever sends is in the middle of something, and the portable engine never tells in the call.
test("what cannot be sent is told after the call that sent it", { skip }, async (context) => {
  const { socket: ear } = await openEar(context);
  let isInCall = false;
  const inCall: boolean[] = [];
  const all = Promise.withResolvers<void>();
  const socket = await open(context, ear.local, {
    onError() {
      inCall.push(isInCall);
      if (inCall.length === 300) all.resolve();
    },
  });
  isInCall = true;
  for (let i = 0; i < 300; i++) socket.send(TOO_LARGE, ear.local);
  isInCall = false;
  await all.promise;
  assert.ok(!inCall.includes(true));
});

test("what waits for room leaves as it was when it was sent", { skip }, async (context) => {
  const { socket: ear, heard, end } = await openEar(context);
  let hasRoom = false;
  const socket = await open(context, ear.local);
  replace(context, "writeOutput", (original) => (fd, octets) => (hasRoom ? original(fd, octets) : Blocked));
  const octets = Uint8Array.of(7);
  socket.send(octets, ear.local);
  await Promise.resolve();
  octets.fill(8);
  hasRoom = true;
  socket.send(Uint8Array.of(END), ear.local);
  await end;
  assert.deepEqual(heard, [7]);
});

/** As many datagrams come from a stranger between binding and connecting as a system keeps. */
async function sendStrangely(context: TestContext): Promise<void> {
  const stranger = await open(context, undefined);
  replace(context, "connect", (original) => (fd, to) => {
    const loop = nativeLoop();
    assert.ok(typeof loop !== "string");
    const fresh = loop.sockets.localOf(fd);
    const { port = 0 } = fresh ?? {};
    for (let i = 0; i < STRANGE; i++) stranger.send(Uint8Array.of(66, 66, 66), { ...LOCAL, port });
    // Now, not at the end of the turn.
    void stranger.close();
    return original(fd, to);
  });
}

const STRANGE = 200;

test("what strangers have sent to a port before it was connected nobody hears", { skip }, async (context) => {
  const peer = await open(context, undefined);
  await sendStrangely(context);
  const heard: number[][] = [];
  const end = Promise.withResolvers<void>();
  const socket = await open(context, peer.local, {
    onMessage: (octets) => {
      heard.push([...octets]);
      if (octets[0] === END) end.resolve();
    },
  });
  peer.send(Uint8Array.of(END), socket.local);
  await end.promise;
  assert.deepEqual(heard, [[END]]);
});

// Replies are read from the memory that all share. Whoever asked somebody else in that call opened a socket, and what strangers
// had sent there stood in the place of the reply.
test("a socket that is opened while another one is heard touches nothing of what it heard", {
  skip,
}, async (context) => {
  const peer = await open(context, undefined);
  const seen = Promise.withResolvers<number[]>();
  const socket = await open(context, peer.local, {
    onMessage(octets) {
      const another = open(context, peer.local);
      seen.resolve([...octets]);
      void another.catch(seen.reject);
    },
  });
  await sendStrangely(context);
  peer.send(Uint8Array.of(1, 2, 3), socket.local);
  assert.deepEqual(await seen.promise, [1, 2, 3]);
});

test("a socket that cannot be opened leaves no descriptor behind", { skip }, async (context) => {
  const before = readdirSync("/proc/self/fd").length;
  // Another family than its own; and strangers without end.
  await assert.rejects(open(context, { address: "2001:db8::1", port: 53 }), DnsError.is);
  replace(context, "drop", () => () => 1);
  await assert.rejects(open(context, { ...LOCAL, port: 53 }), (error) =>
    DnsError.is(error, "ERR_QUOTA_EXCEEDED"),
  );
  assert.equal(readdirSync("/proc/self/fd").length, before);
});
