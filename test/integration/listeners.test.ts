/** Listeners over real sockets: certificates by name and their renewal, tickets, groups, client certificates, PROXY headers, limits. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import type { Events } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import {
  EdnsOptionCode,
  encodeMessage,
  FrameReader,
  frameMessage,
  type Message,
  makeEdns,
  makeKeepalive,
  makeMessage,
  parseName,
  Rcode,
  RRClass,
  RRType,
  tryDecodeMessage,
  uint16At,
} from "@sotto/dns/wire";
import { type RunningServer, startRecursor } from "../../packages/sotto/src/compose/index.ts";
import { loadConfig, problemToText } from "../../packages/sotto/src/config/index.ts";
import {
  type CertificateAuthority,
  makeAuthority,
  spkiPin,
} from "../../packages/sotto/src/operations/index.ts";

const RECORD = 'local-zones: { data: ["www.corp.example. 300 IN A 192.0.2.80"] }';
const authority: Promise<CertificateAuthority> = makeAuthority("Listeners Test CA", Date.now());

/** A folder for files and everything that the server has told. */
class World {
  readonly folder = mkdtempSync(join(tmpdir(), "sotto-listeners-"));
  readonly told: { name: string; details: Readonly<Record<string, unknown>> }[] = [];
  #wake: () => void = () => undefined;
  server: RunningServer | undefined;

  readonly events: Events = {
    wants: () => true,
    publish: (name, details) => {
      this.told.push({ name, details });
      this.#wake();
    },
  };

  constructor(context: TestContext) {
    context.after(async () => {
      await this.server?.close();
      rmSync(this.folder, { recursive: true });
    });
  }

  async start(text: string): Promise<RunningServer> {
    this.server = await startRecursor(this.config(text), nodeRuntime(this.events));
    return this.server;
  }

  config(text: string): Parameters<typeof startRecursor>[0] {
    const loaded = loadConfig(text, join(this.folder, "sotto.yaml"));
    if (!loaded.ok) throw new Error(loaded.problems.map(problemToText).join("\n"));
    return loaded.config;
  }

  /** Writes NAME.pem and NAME.key. */
  async writePair(name: string, subjects: readonly string[]): Promise<string> {
    const pair = await (await authority).issue(subjects, Date.now());
    writeFileSync(join(this.folder, `${name}.pem`), pair.certificatePem);
    writeFileSync(join(this.folder, `${name}.key`), pair.keyPem);
    return spkiPin(pair.certificatePem);
  }

  async event(name: string): Promise<Readonly<Record<string, unknown>>> {
    for (;;) {
      const found = this.told.find((one) => one.name === name);
      if (found !== undefined) return found.details;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function portOf(server: RunningServer, transport: string): number {
  return server.listeners.find((one) => one.transport === transport)?.local.port ?? 0;
}

function queryOctets(): Uint8Array {
  return encodeMessage(
    makeMessage({
      id: 7,
      recursionDesired: true,
      questions: [{ name: parseName("www.corp.example."), type: RRType.A, class: RRClass.IN }],
      edns: makeEdns({ options: [makeKeepalive(undefined)] }),
    }),
  );
}

/** A client that writes octets and waits for whole replies. */
class Client {
  readonly socket: Socket;
  readonly ended: Promise<void>;
  readonly #replies: Message[] = [];
  readonly #frames = new FrameReader();
  #wake: () => void = () => undefined;
  hasEnded = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#frames.push(chunk, (octets) => {
        const message = tryDecodeMessage(octets.slice());
        assert.ok(message.ok);
        this.#replies.push(message.value);
        return true;
      });
      this.#wake();
    });
    socket.on("error", () => undefined);
    this.ended = new Promise((resolve) => {
      socket.on("close", () => {
        this.hasEnded = true;
        resolve();
        this.#wake();
      });
    });
  }

  async ask(before: Uint8Array = new Uint8Array(0)): Promise<Message> {
    this.socket.write(Buffer.concat([before, frameMessage(queryOctets())]));
    for (;;) {
      const reply = this.#replies.shift();
      if (reply !== undefined) return reply;
      if (this.hasEnded) throw new Error("the connection ended without a reply");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): Promise<void> {
    this.socket.destroy();
    return this.ended;
  }
}

async function tlsClient(
  port: number,
  options: ConnectionOptions = {},
): Promise<Client & { tls: TLSSocket }> {
  const socket = connectTls({
    ...(options.socket === undefined ? { host: "127.0.0.1", port } : {}),
    ca: (await authority).certificatePem,
    ALPNProtocols: ["dot"],
    checkServerIdentity: () => undefined,
    rejectUnauthorized: false,
    ...options,
  });
  const client = Object.assign(new Client(socket), { tls: socket });
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("close", () => reject(new Error("no handshake")));
  });
  return client;
}

function subjectOf(client: { tls: TLSSocket }): string {
  return client.tls.getPeerX509Certificate()?.subjectAltName ?? "";
}

/** REFUSED with extended error 18, Prohibited (RFC 8914 §4.19). */
function assertProhibited(reply: Message): void {
  assert.equal(reply.rcode, Rcode.Refused);
  const error = reply.edns?.options.find(({ code }) => code === EdnsOptionCode.ExtendedError);
  assert.equal(error && uint16At(error.data, 0), 18);
}

function proxyHeader(source: string, version: 1 | 2): Uint8Array {
  if (version === 1) return Buffer.from(`PROXY TCP4 ${source} 198.51.100.1 40000 853\r\n`, "ascii");
  const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
  const addresses = [...source.split(".").map(Number), 198, 51, 100, 1, 0x9c, 0x40, 0x03, 0x55];
  return Uint8Array.of(...signature, 0x21, 0x11, 0, addresses.length, ...addresses);
}

test("the name that a client asks for chooses the certificate [9325-3.7-a]", async (context) => {
  const world = new World(context);
  for (const [name, subject] of [
    ["first", "first.example"],
    ["exact", "dns.example"],
    ["wild", "*.sites.example"],
  ] as const)
    await world.writePair(name, [subject]);
  const server = await world.start(`listen:
  - transport: tls
    address: 127.0.0.1
    port: 0
    certificate: first.pem
    key: first.key
    more-certificates: [{ certificate: exact.pem, key: exact.key }, { certificate: wild.pem, key: wild.key }]
${RECORD}`);
  for (const [servername, expected] of [
    ["dns.example", "DNS:dns.example"],
    ["DNS.example", "DNS:dns.example"],
    ["one.sites.example", "DNS:*.sites.example"],
    ["deep.one.sites.example", "DNS:first.example"],
    ["other.example", "DNS:first.example"],
    [undefined, "DNS:first.example"],
  ] as const) {
    const client = await tlsClient(portOf(server, "tls"), servername === undefined ? {} : { servername });
    assert.equal(subjectOf(client), expected, String(servername));
    assert.equal(client.tls.authorized, true);
    assert.equal((await client.ask()).rcode, Rcode.NoError);
    await client.close();
  }
});

test("a new certificate file is taken while connections stay, and a broken one is refused loudly", async (context) => {
  const world = new World(context);
  await world.writePair("server", ["old.example"]);
  const server = await world.start(`listen:
  - { transport: tls, address: 127.0.0.1, port: 0, certificate: server.pem, key: server.key }
tls: { watch-certificates: 100ms }
${RECORD}`);
  const port = portOf(server, "tls");
  const old = await tlsClient(port);
  assert.equal((await old.ask()).rcode, Rcode.NoError);
  writeFileSync(join(world.folder, "server.pem"), "no certificate at all");
  const refused = await world.event("certificate.refused");
  assert.match(String(refused["problem"]), /server\.pem: no certificate in PEM form/);
  const meanwhile = await tlsClient(port);
  assert.equal(subjectOf(meanwhile), "DNS:old.example");
  await meanwhile.close();
  const pin = await world.writePair("server", ["new.example"]);
  const renewed = await world.event("certificate.renewed");
  assert.equal(renewed["pin"], pin);
  const later = await tlsClient(port);
  assert.equal(subjectOf(later), "DNS:new.example");
  assert.equal((await old.ask()).rcode, Rcode.NoError, "the old connection lives on");
  await later.close();
  await old.close();
});

test("servers with one ticket secret take each other's tickets, and not those of other secrets [8310-9-c 7858-3.4-f]", async (context) => {
  const world = new World(context);
  await world.writePair("server", ["dns.example"]);
  writeFileSync(join(world.folder, "secret"), Buffer.alloc(64, 5));
  writeFileSync(join(world.folder, "other"), Buffer.alloc(64, 6));
  const text = (secret: string): string => `listen:
  - { transport: tls, address: 127.0.0.1, port: 0, certificate: server.pem, key: server.key }
tls: { ticket-secret: ${secret} }
${RECORD}`;
  const first = await world.start(text("secret"));
  const second = await startRecursor(world.config(text("secret")), nodeRuntime());
  const stranger = await startRecursor(world.config(text("other")), nodeRuntime());
  context.after(() => Promise.all([second.close(), stranger.close()]));
  const client = await tlsClient(portOf(first, "tls"));
  const session = new Promise<Buffer>((resolve) => client.tls.once("session", resolve));
  await client.ask();
  const ticket = await session;
  await client.close();
  for (const [server, isResumed] of [
    [second, true],
    [stranger, false],
    [first, true],
  ] as const) {
    const again = await tlsClient(portOf(server, "tls"), { session: ticket });
    assert.equal(again.tls.isSessionReused(), isResumed);
    assert.equal((await again.ask()).rcode, Rcode.NoError);
    await again.close();
  }
});

test("the post-quantum hybrid is preferred, and groups can be configured", async (context) => {
  const world = new World(context);
  const listen = "listen: [{ transport: tls, address: 127.0.0.1, port: 0 }]";
  const server = await world.start(`${listen}\n${RECORD}`);
  /** The group that a client with this offer gets. */
  const groupFor = async (ecdhCurve: string): Promise<unknown> => {
    const client = await tlsClient(portOf(server, "tls"), { ecdhCurve });
    const info: object = client.tls.getEphemeralKeyInfo() ?? {};
    await client.close();
    return "name" in info ? info.name : undefined;
  };
  assert.equal(await groupFor("X25519MLKEM768:X25519:P-256"), "X25519MLKEM768");
  assert.equal(await groupFor("X25519"), "X25519");
  assert.equal(await groupFor("P-256"), "prime256v1");
  await server.reload(world.config(`${listen}\ntls: { groups: [P-256] }\n${RECORD}`));
  await assert.rejects(groupFor("X25519"));
  await assert.rejects(
    server.reload(world.config(`${listen}\ntls: { groups: [no-such-group] }\n${RECORD}`)),
    /no-such-group/,
  );
  assert.equal(await groupFor("P-256"), "prime256v1");
});

test("client certificates are required, by authority and name, also on resumed sessions [9210-4.1-c]", async (context) => {
  const world = new World(context);
  const ca = await authority;
  writeFileSync(join(world.folder, "ca.pem"), ca.certificatePem);
  const good = await ca.issue(["client.example"], Date.now(), "client");
  const otherName = await ca.issue(["other.example"], Date.now(), "client");
  const forged = await (await makeAuthority("Somebody else", Date.now())).issue(
    ["client.example"],
    Date.now(),
    "client",
  );
  const server = await world.start(`listen:
  - transport: tls
    address: 127.0.0.1
    port: 0
    client-certificates: { authorities: ca.pem, names: [client.example] }
${RECORD}`);
  const port = portOf(server, "tls");
  const as = (pair: typeof good | undefined, session?: Buffer): Promise<Client & { tls: TLSSocket }> =>
    tlsClient(port, {
      ...(pair === undefined ? {} : { cert: pair.certificatePem, key: pair.keyPem }),
      ...(session === undefined ? {} : { session }),
    });
  for (const pair of [undefined, otherName, forged]) {
    const client = await as(pair);
    assertProhibited(await client.ask());
    await client.close();
  }
  const client = await as(good);
  const session = new Promise<Buffer>((resolve) => client.tls.once("session", resolve));
  assert.equal((await client.ask()).rcode, Rcode.NoError);
  const ticket = await session;
  await client.close();
  const resumed = await as(good, ticket);
  assert.equal(resumed.tls.isSessionReused(), true);
  assert.equal((await resumed.ask()).rcode, Rcode.NoError);
  await resumed.close();
});

test("a good client certificate is sufficient where its address is not allowed", async (context) => {
  const world = new World(context);
  const ca = await authority;
  writeFileSync(join(world.folder, "ca.pem"), ca.certificatePem);
  const good = await ca.issue(["client.example"], Date.now(), "client");
  const server = await world.start(`listen:
  - transport: tls
    address: 127.0.0.1
    port: 0
    client-certificates: { authorities: ca.pem, pins: ["sha256:${spkiPin(good.certificatePem)}"], effect: sufficient }
access: { allow: [192.0.2.0/24] }
${RECORD}`);
  const stranger = await tlsClient(portOf(server, "tls"));
  assertProhibited(await stranger.ask());
  await stranger.close();
  const client = await tlsClient(portOf(server, "tls"), { cert: good.certificatePem, key: good.keyPem });
  assert.equal((await client.ask()).rcode, Rcode.NoError);
  await client.close();
});

const PROXIED = `access: { allow: [192.0.2.1/32] }\n${RECORD}`;

test("a proxy tells on TCP whom it speaks for, whatever the segments [9210-4.1-c 8932-5.1.8]", async (context) => {
  const world = new World(context);
  const server = await world.start(
    `listen: [{ transport: tcp, address: 127.0.0.1, port: 0, proxy: { from: [127.0.0.1] } }]\n${PROXIED}`,
  );
  for (const version of [1, 2] as const) {
    const allowed = new Client(connectTcp(portOf(server, "tcp"), "127.0.0.1"));
    assert.equal((await allowed.ask(proxyHeader("192.0.2.1", version))).rcode, Rcode.NoError);
    assert.equal((await allowed.ask()).rcode, Rcode.NoError);
    await allowed.close();
    const denied = new Client(connectTcp(portOf(server, "tcp"), "127.0.0.1"));
    assertProhibited(await denied.ask(proxyHeader("192.0.2.2", version)));
    await denied.close();
  }
  const slow = new Client(connectTcp({ port: portOf(server, "tcp"), host: "127.0.0.1", noDelay: true }));
  const octets = Buffer.concat([proxyHeader("192.0.2.1", 2), frameMessage(queryOctets())]);
  for (const octet of octets.subarray(0, -1)) {
    slow.socket.write(Uint8Array.of(octet));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const reply = slow.ask(octets.subarray(-1));
  assert.equal((await reply).rcode, Rcode.NoError);
  await slow.close();
});

test("a trusted proxy without a header is an error with its own counter, others are direct clients", async (context) => {
  const world = new World(context);
  const server = await world.start(
    `listen:
  - { transport: tcp, address: 127.0.0.1, port: 0, proxy: { from: [127.0.0.2] } }
access: { allow: [127.0.0.1] }
${RECORD}`,
  );
  const port = portOf(server, "tcp");
  const direct = new Client(connectTcp(port, "127.0.0.1"));
  assert.equal((await direct.ask()).rcode, Rcode.NoError);
  await direct.close();
  const proxy = new Client(connectTcp({ port, host: "127.0.0.1", localAddress: "127.0.0.2" }));
  await assert.rejects(proxy.ask());
  const told = await world.event("stream.proxy-failed");
  assert.equal(told["remote"], "127.0.0.2");
  const [listener] = server.listeners;
  assert.equal(listener && "proxyFailures" in listener.counters && listener.counters.proxyFailures, 1);
});

test("a PROXY header stands before TLS or inside it", async (context) => {
  const world = new World(context);
  const server = await world.start(`listen:
  - { transport: tls, address: 127.0.0.1, port: 0, proxy: { from: [127.0.0.1] } }
  - { transport: tls, address: 127.0.0.2, port: 0, proxy: { from: [127.0.0.1], place: inside-tls } }
${PROXIED}`);
  const [before, inside] = server.listeners.map(({ local }) => local);
  assert.ok(before && inside);
  for (const [source, rcode] of [
    ["192.0.2.1", Rcode.NoError],
    ["192.0.2.2", Rcode.Refused],
  ] as const) {
    const tcp = connectTcp(before.port, before.address);
    tcp.write(proxyHeader(source, 2));
    const outer = await tlsClient(0, { socket: tcp });
    assert.equal((await outer.ask()).rcode, rcode);
    await outer.close();
    const inner = await tlsClient(inside.port, {
      host: inside.address,
      port: inside.port,
    });
    assert.equal((await inner.ask(proxyHeader(source, 2))).rcode, rcode);
    await inner.close();
  }
});

test("a proxy's datagrams begin with a header too", async (context) => {
  const world = new World(context);
  const server = await world.start(
    `listen: [{ transport: udp, address: 127.0.0.1, port: 0, proxy: { from: [127.0.0.1] } }]\n${PROXIED}`,
  );
  const socket = createSocket("udp4");
  context.after(() => socket.close());
  for (const [source, rcode] of [
    ["192.0.2.1", Rcode.NoError],
    ["192.0.2.2", Rcode.Refused],
  ] as const) {
    const reply = new Promise<Buffer>((resolve) => socket.once("message", resolve));
    socket.send(Buffer.concat([proxyHeader(source, 2), queryOctets()]), portOf(server, "udp"), "127.0.0.1");
    const message = tryDecodeMessage(await reply);
    assert.equal(message.ok && message.value.rcode, rcode);
  }
});

test("too many connections of one address are reset and counted, and a reload changes limits of open connections [9210-6-a]", async (context) => {
  const world = new World(context);
  const text = (perAddress: number, idle: string): string =>
    `listen: [{ transport: tcp, address: 127.0.0.1, port: 0 }]
limits: { connections-per-address: ${perAddress}, idle-timeout: ${idle} }
${RECORD}`;
  const server = await world.start(text(2, "60s"));
  const port = portOf(server, "tcp");
  const first = new Client(connectTcp(port, "127.0.0.1"));
  const second = new Client(connectTcp(port, "127.0.0.1"));
  await first.ask();
  await second.ask();
  const third = new Client(connectTcp(port, "127.0.0.1"));
  await third.ended;
  assert.equal(server.status.admission.refused["connections per address"], 1);
  assert.equal(server.status.connections, 2);
  await server.reload(world.config(text(3, "300ms")));
  const reply = await first.ask();
  const keepalive = reply.edns?.options.find(({ code }) => code === EdnsOptionCode.TcpKeepalive);
  assert.equal(keepalive && uint16At(keepalive.data, 0), 3);
  const fourth = new Client(connectTcp(port, "127.0.0.1"));
  await fourth.ask();
  await Promise.all([first.ended, fourth.ended]);
  assert.equal(second.hasEnded, false, "it was promised a minute");
  await second.close();
});

test("networks behind one address have so many times the connections, and others keep theirs [7766-6.2.2-c]", async (context) => {
  const world = new World(context);
  const server =
    await world.start(`listen: [{ transport: tcp, address: 127.0.0.1, port: 0, proxy: { from: [127.0.0.1] } }]
limits:
  connections-per-address: 1
  exceptions: [{ prefix: 203.0.113.0/24, factor: 3 }, { prefix: 100.64.0.0/10, bits: 24 }]
access: { allow: [0.0.0.0/0] }
${RECORD}`);
  const open: Client[] = [];
  const come = async (source: string): Promise<boolean> => {
    const client = new Client(connectTcp(portOf(server, "tcp"), "127.0.0.1"));
    open.push(client);
    const isAnswered = client.ask(proxyHeader(source, 2)).then(() => true);
    return Promise.race([isAnswered, client.ended.then(() => false)]);
  };
  const comeInTurn = async (...sources: string[]): Promise<boolean[]> => {
    const isIn: boolean[] = [];
    for (const source of sources) isIn.push(await come(source));
    return isIn;
  };
  assert.deepEqual(await comeInTurn("192.0.2.1", "192.0.2.1", "192.0.2.2"), [true, false, true]);
  const carrier = "203.0.113.9";
  assert.deepEqual(await comeInTurn(carrier, carrier, carrier, carrier), [true, true, true, false]);
  assert.deepEqual(await comeInTurn("100.64.1.1", "100.64.1.2", "100.64.2.1"), [true, false, true]);
  assert.equal(server.status.admission.refused["connections per address"], 3);
  await Promise.all(open.map((client) => (client.hasEnded ? undefined : client.close())));
});

test("Fast Open that cannot be had leaves an ordinary listener that says so [7413-6-a]", async (context) => {
  const world = new World(context);
  const server = await world.start(
    `listen:
  - { transport: tcp, address: 127.0.0.1, port: 0, fast-open: auto }
  - { transport: tcp, address: "::1", port: 0, fast-open: auto }
  - { transport: tls, address: 127.0.0.1, port: 0 }
${RECORD}`,
  );
  const [ipv4, ipv6, off] = server.listeners;
  assert.match(String(ipv4?.fastOpen), /^(on$|asked for|not supported|this Node)/);
  assert.equal(off?.fastOpen, undefined);
  for (const listener of [ipv4, ipv6]) {
    const client = new Client(connectTcp(listener?.local.port ?? 0, listener?.local.address));
    assert.equal((await client.ask()).rcode, Rcode.NoError);
    await client.close();
  }
});
