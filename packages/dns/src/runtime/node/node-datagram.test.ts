import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "../network.ts";
import { openDatagram } from "./node-datagram.ts";

const LOCAL = { local: { address: "127.0.0.1", port: 0 }, connectTo: undefined, reusePort: false };

test("a socket that is closed at once has sent all it was given, and tells each sender's address", async () => {
  const count = 200;
  const senders: Endpoint[] = [];
  const received = Promise.withResolvers<void>();
  const receiver = await openDatagram(LOCAL, {
    onMessage: (_octets, from) => {
      senders.push(from);
      if (senders.length === count) received.resolve();
    },
    onError: (problem) => received.reject(problem),
  });
  const sender = await openDatagram(LOCAL, { onMessage: () => undefined, onError: () => undefined });
  for (let i = 0; i < count; i++) sender.send(Uint8Array.of(i), receiver.local);
  await sender.close();
  await received.promise;
  for (const { address, port } of senders) assert.deepEqual({ address, port }, sender.local);
  await receiver.close();
});

test("what the system refuses to send is told for the first datagram of a socket", async () => {
  const problem = Promise.withResolvers<Error>();
  const socket = await openDatagram(LOCAL, {
    onMessage: () => undefined,
    onError: (error) => problem.resolve(error),
  });
  // Larger than any datagram.
  socket.send(new Uint8Array(70_000), socket.local);
  assert.match((await problem.promise).message, /listening on 127\.0\.0\.1/);
  await socket.close();
});
