/** The end of a thread with open sockets of the native engine: the process lives on, and nobody holds its sockets any more. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { Worker } from "node:worker_threads";
import { makeAuthority } from "../../../../sotto/src/operations/index.ts";
import { nodeRuntime } from "../node/index.ts";
import { nativeLoop } from "./native-loop.ts";
import { nativeRuntime } from "./native-runtime.ts";

/** The thread does nothing any more, and does not hear of anything. */
async function hang(worker: Worker): Promise<void> {
  worker.postMessage("hang");
  await once(worker, "message");
}

const skip = nativeRuntime().engineProblem ?? false;

/** Open, in the middle of a handshake, and with data both ways. */
async function clientsOf(clearPort: number, tlsPort: number): Promise<Socket[]> {
  const idle = connect(clearPort, "127.0.0.1");
  const shaking = connect(tlsPort, "127.0.0.1");
  await Promise.all([once(idle, "connect"), once(shaking, "connect")]);
  shaking.write(Buffer.of(22, 3, 1));
  const secure = connectTls({ port: tlsPort, host: "127.0.0.1", rejectUnauthorized: false });
  await once(secure, "secureConnect");
  for (const socket of [idle, secure]) {
    socket.write("question");
    await once(socket, "data");
  }
  return [idle, shaking, secure];
}

for (const end of ["terminated", "by an exception"] as const) {
  test(`a thread that ends ${end} closes its connections and frees its ports`, { skip }, async () => {
    const authority = await makeAuthority("thread authority", Date.now());
    const pair = await authority.issue(["dns.example"], Date.now());
    const worker = new Worker(new URL("./thread.test-support.ts", import.meta.url), {
      workerData: { ...pair, alpn: ["dot"], ticketKeys: undefined },
    });
    worker.on("error", () => undefined);
    const [ports]: unknown[] = await once(worker, "message");
    assert.ok(Array.isArray(ports));
    const [clearPort, tlsPort, ...udpPorts] = ports.map(Number);
    const clients = await clientsOf(clearPort ?? 0, tlsPort ?? 0);
    const closed = clients.map((client) => {
      client.on("error", () => undefined);
      client.resume();
      return new Promise((resolve) => client.once("close", resolve));
    });
    if (end === "terminated") await worker.terminate();
    else {
      const exit = new Promise((resolve) => worker.once("exit", resolve));
      worker.postMessage("fail");
      await exit;
    }
    await Promise.all(closed);
    const { network } = nodeRuntime();
    const nothing = (): undefined => undefined;
    for (const port of [clearPort, tlsPort]) {
      const local = { address: "127.0.0.1", port: port ?? 0 };
      const options = { local, tls: undefined, handshakeTimeoutMs: 1000, reusePort: false };
      await (await network.listen(options, { onStream: nothing, onFailure: nothing })).close();
    }
    assert.equal(udpPorts.length, 2);
    for (const port of udpPorts) {
      const options = { local: { address: "127.0.0.1", port }, connectTo: undefined, reusePort: false };
      await (await network.bindDatagram(options, { onMessage: nothing, onError: nothing })).close();
    }
  });
}

test("a thread that is ended closes what it has connected, and what it is connecting", {
  skip,
}, async (context) => {
  const authority = await makeAuthority("thread authority", Date.now());
  const pair = await authority.issue(["dns.example"], Date.now());
  const server = createServer().listen(0, "127.0.0.1");
  context.after(() => server.close());
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const full = fullPort();
  context.after(full.close);
  const connection = once(server, "connection");
  const before = descriptors();
  const worker = new Worker(new URL("./thread.test-support.ts", import.meta.url), {
    workerData: { ...pair, alpn: ["dot"], ticketKeys: undefined, ports: [address.port, full.port] },
  });
  await once(worker, "message");
  const [peer]: Socket[] = await connection;
  assert.ok(peer);
  peer.resume();
  const closed = once(peer, "close");
  await worker.terminate();
  await closed;
  assert.equal(descriptors(), before);
});

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** A port whose queue is full, and where nobody accepts. */
function fullPort(): { readonly port: number; close(): void } {
  const loop = nativeLoop();
  if (typeof loop === "string") throw new Error(loop);
  const { sockets } = loop;
  const fd = sockets.open("tcp", { local: { address: "127.0.0.1", port: 0 }, reusePort: false });
  assert.ok(sockets.listen(fd, 0));
  const local = sockets.localOf(fd);
  assert.ok(local);
  const waiting = sockets.openUnbound("tcp", false);
  assert.ok(sockets.connect(waiting, local));
  return { port: local.port, close: () => void [fd, waiting].map((one) => sockets.close(one)) };
}

// Libuv called JavaScript when the set had events, also in a thread that was being ended, which Node answers with the end of the process:
// whoever ended a worker that hung ended all of them.
test("a thread that hangs while clients come can be ended, and nothing else ends", { skip }, async () => {
  const authority = await makeAuthority("thread authority", Date.now());
  const pair = await authority.issue(["dns.example"], Date.now());
  const worker = new Worker(new URL("./thread.test-support.ts", import.meta.url), {
    workerData: { ...pair, alpn: ["dot"], ticketKeys: undefined },
  });
  const [ports]: unknown[] = await once(worker, "message");
  assert.ok(Array.isArray(ports));
  await hang(worker);
  const client = connect(Number(ports[0]), "127.0.0.1");
  client.on("error", () => undefined);
  await once(client, "connect");
  const closed = new Promise((resolve) => client.once("close", resolve));
  client.resume();
  await worker.terminate();
  await closed;
});
