/** Rules of RFC 7766, 7858, 8310 and 9210 that show only on the wire: octets of TLS records, defaults, transports. */
import "reflect-metadata";
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { X509CertificateGenerator } from "@peculiar/x509";
import { DnsError } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { SimNetwork, simRuntime } from "@sotto/dns/testing";
import {
  CONNECTION_LIMITS_DEFAULT,
  type ExchangeRequest,
  Exchanger,
  SERVER_LIMITS_DEFAULT,
} from "@sotto/dns/transport";
import {
  encodeMessage,
  FrameReader,
  frameMessage,
  makeEdns,
  makeMessage,
  parseName,
  RRClass,
  RRType,
  tryDecodeMessage,
  uint16At,
} from "@sotto/dns/wire";
import { type RunningServer, startRecursor } from "../../packages/sotto/src/compose/index.ts";
import { loadConfig } from "../../packages/sotto/src/config/index.ts";

async function serve(
  context: TestContext,
  settings = "",
  tlsListener = "transport: tls, address: 127.0.0.1, port: 0",
): Promise<RunningServer> {
  const loaded = loadConfig(
    `listen:
  - { transport: tcp, address: 127.0.0.1, port: 0 }
  - { ${tlsListener} }
local-zones: { data: ["www.corp.example. 300 IN A 192.0.2.80"] }
${settings}
`,
    join(import.meta.dirname, "sotto.yaml"),
  );
  assert.ok(loaded.ok);
  const server = await startRecursor(loaded.config, nodeRuntime());
  context.after(() => server.close());
  return server;
}

function portOf(server: RunningServer, transport: "tcp" | "tls"): number {
  return server.listeners.find((one) => one.transport === transport)?.local.port ?? 0;
}

function queryOctets(id: number, name = "www.corp.example.", rrClass: number = RRClass.IN): Uint8Array {
  return encodeMessage(
    makeMessage({
      id,
      recursionDesired: true,
      questions: [{ name: parseName(name), type: RRType.A, class: rrClass }],
      edns: makeEdns(),
    }),
  );
}

/** Listens on loopback for as long as the test runs. */
async function listen(context: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Content types of whole TLS records in a stream. */
function recordTypes(octets: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at + 5 <= octets.length; at += 5 + octets.readUInt16BE(at + 3))
    types.push(octets[at] ?? 0);
  return types;
}

/** A class that is not resolved. */
const HESIOD = 4;
const HANDSHAKE = 22;
const ALERT = 21;

test("a client's first octets on a TLS connection are a ClientHello, and nothing follows until the server answers [7858-3.1-d 7858-3.1-e 7858-3.4-tfo 7413-2-a]", async (context) => {
  const seen: Buffer[] = [];
  const port = await listen(context, (socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      seen.push(chunk);
      // Whoever gets no ServerHello must not go on in clear.
      socket.end("not TLS at all");
    });
  });
  const exchanger = new Exchanger({}, nodeRuntime());
  const request: ExchangeRequest = {
    question: { name: parseName("www.corp.example."), type: RRType.A, class: RRClass.IN },
    server: { address: "127.0.0.1", port },
    transport: "tls",
    recursionDesired: true,
    checkingDisabled: false,
    authenticData: false,
    edns: makeEdns(),
    deadlineMs: nodeRuntime().clock.nowMs() + 5000,
  };
  await assert.rejects(exchanger.exchange(request), (error) => DnsError.is(error, "ERR_TLS_HANDSHAKE"));
  await exchanger.close();
  const types = recordTypes(Buffer.concat(seen));
  assert.equal(types[0], HANDSHAKE);
  assert.ok(
    types.every((type) => type === HANDSHAKE || type === ALERT),
    types.join(" "),
  );
});

test("a server ends TLS with close_notify, by its idle timer and when it drains [7858-3.4-h 9210-4.3-a]", async (context) => {
  for (const end of ["idle", "drain"] as const) {
    const server = await serve(context, end === "idle" ? "limits: { idle-timeout: 200ms }" : "");
    // A relay writes down the records; with TLS 1.2 their types are in clear.
    const toClient: Buffer[] = [];
    const port = await listen(context, (socket) => {
      const up = connectTcp({ port: portOf(server, "tls"), host: "127.0.0.1", allowHalfOpen: true });
      up.on("data", (chunk: Buffer) => toClient.push(chunk));
      socket.pipe(up).pipe(socket);
      socket.once("close", () => up.destroy());
      for (const one of [socket, up]) one.on("error", () => undefined);
    });
    const client = connectTls({ port, host: "127.0.0.1", maxVersion: "TLSv1.2", rejectUnauthorized: false });
    client.on("error", () => undefined);
    await new Promise((resolve) => client.once("secureConnect", resolve));
    client.write(frameMessage(queryOctets(1)));
    await new Promise((resolve) => client.once("data", resolve));
    const ended = new Promise((resolve) => client.once("end", resolve));
    client.resume();
    if (end === "drain") void server.drain();
    await ended;
    assert.equal(recordTypes(Buffer.concat(toClient)).at(-1), ALERT, end);
    client.destroy();
  }
});

/** The protocol and suite that a handshake with these options ends with. */
function tryHandshake(port: number, options: object): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
    socket.once("secureConnect", () => {
      resolve(`${socket.getProtocol() ?? "?"} ${socket.getCipher().name}`);
      socket.destroy();
    });
    socket.once("error", () => resolve("refused"));
  });
}

test("TLS takes neither old versions nor weak ciphers [7858-3.2-a 9325-3.1-a]", async (context) => {
  const server = await serve(context);
  const port = portOf(server, "tls");
  const all = { ciphers: "ALL:@SECLEVEL=0" };
  assert.equal(await tryHandshake(port, { minVersion: "TLSv1", maxVersion: "TLSv1", ...all }), "refused");
  assert.equal(await tryHandshake(port, { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ...all }), "refused");
  for (const ciphers of ["aNULL:eNULL", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"])
    assert.equal(
      await tryHandshake(port, { maxVersion: "TLSv1.2", ciphers: `${ciphers}:@SECLEVEL=0` }),
      "refused",
      ciphers,
    );
  assert.match(await tryHandshake(port, { maxVersion: "TLSv1.2" }), /^TLSv1\.2 ECDHE-ECDSA-AES128-GCM/);
  assert.match(await tryHandshake(port, {}), /^TLSv1\.3 /);
});

test("with an RSA certificate neither static RSA nor CBC is negotiated [7858-3.2-a 9325-4.1-a]", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-rsa-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const algorithm = {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
  };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=dns.example",
    signingAlgorithm: algorithm,
    keys,
  });
  writeFileSync(join(folder, "rsa.pem"), certificate.toString("pem"));
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  writeFileSync(join(folder, "rsa.key"), `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`);
  const listener = `transport: tls, address: 127.0.0.1, port: 0, certificate: ${folder}/rsa.pem, key: ${folder}/rsa.key`;
  const server = await serve(context, "", listener);
  const port = portOf(server, "tls");
  for (const ciphers of ["AES128-GCM-SHA256", "AES256-SHA", "ECDHE-RSA-AES128-SHA", "DHE-RSA-AES128-SHA"])
    assert.equal(
      await tryHandshake(port, { maxVersion: "TLSv1.2", ciphers: `${ciphers}:@SECLEVEL=0` }),
      "refused",
      ciphers,
    );
  for (const name of ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"])
    assert.equal(await tryHandshake(port, { maxVersion: "TLSv1.2", ciphers: name }), `TLSv1.2 ${name}`);
});

/** A TLS client over a TCP socket that the test can also write to. */
function tlsOver(tcp: Socket, options: object): Promise<TLSSocket> {
  const duplex = new Duplex({
    read: () => undefined,
    write: (chunk: Uint8Array, _encoding, done) => tcp.write(chunk, done),
    final: (done) => done(),
  });
  tcp.on("data", (chunk: Buffer) => duplex.push(chunk));
  return new Promise((resolve, reject) => {
    const socket = connectTls({ socket: duplex, rejectUnauthorized: false, ...options });
    socket.on("error", reject);
    socket.once("secureConnect", () => resolve(socket));
  });
}

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`a record that cannot be read is answered with an alert and the end of the connection, ${version} [8446-6.2-a]`, {
    timeout: 10_000,
  }, async (context) => {
    // Node tells of the error and leaves the connection open, so that it held its place until the idle timer.
    const server = await serve(context, "limits: { idle-timeout: 1h }");
    const tcp = connectTcp(portOf(server, "tls"), "127.0.0.1");
    tcp.on("error", () => undefined);
    await tlsOver(tcp, { maxVersion: version });
    const ended = new Promise<void>((resolve) => tcp.once("end", resolve).once("close", () => resolve()));
    const alerts: Buffer[] = [];
    tcp.on("data", (chunk: Buffer) => alerts.push(chunk));
    // A record of application data, with a length that fits and nothing in it that was ever encrypted.
    tcp.write(Buffer.concat([Buffer.of(23, 3, 3, 0, 40), Buffer.alloc(40, 7)]));
    await ended;
    assert.ok(alerts.length > 0, "the alert comes first");
    tcp.destroy();
  });
}

test("TCP without any UDP before it is served, and each answer comes on the connection of its query [7766-5-d 9210-3-b 9210-4.1-d]", async (context) => {
  const server = await serve(context);
  const replies = await Promise.all(
    [11, 12, 13].map(
      (id) =>
        new Promise<number>((resolve) => {
          const socket = connectTcp(portOf(server, "tcp"), "127.0.0.1");
          socket.write(frameMessage(queryOctets(id)));
          socket.once("data", (chunk: Buffer) => {
            const message = tryDecodeMessage(chunk.subarray(2));
            resolve(message.ok ? message.value.id : -1);
            socket.destroy();
          });
        }),
    ),
  );
  assert.deepEqual(replies, [11, 12, 13]);
});

for (const transport of ["tcp", "tls"] as const) {
  test(`two thousand queries in one write get their answers, and FIN its FIN, ${transport} [7766-6.2.1.1-c 1035-4.2.2-a]`, {
    timeout: 10_000,
  }, async (context) => {
    // Refusals with a reason: made in the call, larger than their queries, and more than may stay unsent.
    const server = await serve(context, "limits: { idle-timeout: 1h }");
    const port = portOf(server, transport);
    const socket =
      transport === "tcp"
        ? connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true })
        : connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
    const ids: number[] = [];
    const frames = new FrameReader();
    socket.on("data", (chunk: Buffer) => {
      frames.push(chunk, (message) => ids.push(uint16At(message, 0)) >= 0);
    });
    const ended = new Promise<void>((resolve) => socket.once("end", resolve));
    const wanted = Array.from({ length: 2000 }, (_, id) => id);
    socket.end(Buffer.concat(wanted.map((id) => frameMessage(queryOctets(id, ".", HESIOD)))));
    await ended;
    assert.deepEqual(ids, wanted);
  });
}

test("defaults: seconds of idle time, many more connections than a client needs, thousands in all, TLS among the listeners [7766-6.2.3-c 7766-6.2.3-e 7766-6.2.2-d 9210-4.5-a 8310-5-b]", () => {
  const { idleTimeoutMs, connectionsPerAddressMax, connectionsMax } = SERVER_LIMITS_DEFAULT;
  assert.ok(idleTimeoutMs >= 3000 && idleTimeoutMs <= 30_000);
  assert.ok(connectionsPerAddressMax >= 25);
  assert.equal(connectionsMax, 5000);
  assert.ok(CONNECTION_LIMITS_DEFAULT.idleTimeoutMs <= 30_000);
  const loaded = loadConfig("", "(defaults)");
  assert.ok(loaded.ok && loaded.config.listeners.some(({ transport }) => transport === "tls"));
});

test("a client gives up connecting after seconds, not after the system's minutes [9210-4.1-b]", async () => {
  const world = simRuntime(1, {});
  assert.ok(world.network instanceof SimNetwork);
  const exchanger = new Exchanger({}, world.runtimeOf(["192.0.2.1"]));
  const startMs = world.clock.nowMs();
  const exchange = exchanger.exchange({
    question: { name: parseName("www.corp.example."), type: RRType.A, class: RRClass.IN },
    server: { address: "198.51.100.1", port: 53 },
    transport: "tcp",
    recursionDesired: true,
    checkingDisabled: false,
    authenticData: false,
    edns: undefined,
    deadlineMs: startMs + 120_000,
  });
  await assert.rejects(world.clock.runUntil(exchange), (error) => DnsError.is(error, "ERR_CONNECT_TIMEOUT"));
  assert.ok(world.clock.nowMs() - startMs <= 5000);
  await world.clock.runUntil(exchanger.close());
});
