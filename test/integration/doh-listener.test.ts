/** Listeners with transport https as a configuration opens them: certificates, proxies, access, padding, reload. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { ClientHttp2Session, SecureClientSessionOptions } from "node:http2";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { EdnsOptionCode, type Message, Rcode, tryDecodeMessage, uint16At } from "@sotto/dns/wire";
import { type RunningServer, startRecursor } from "../../packages/sotto/src/compose/index.ts";
import { loadConfig, problemToText } from "../../packages/sotto/src/config/index.ts";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";
import {
  dohQuery,
  get,
  getText,
  Http1Client,
  type HttpReply,
  openHttp2,
  post,
} from "./doh-clients.test-support.ts";

const RECORD = `local-zones: { data: [
  "www.corp.example. 300 IN A 192.0.2.80",
  "corp.example. 300 IN SOA ns.corp.example. host.corp.example. 1 3600 600 86400 40"],
  zones: [{ name: corp.example., type: static }] }`;
const authority = makeAuthority("DoH Listener CA", Date.now());
const QUERY = dohQuery("www.corp.example.", 0);

class World {
  readonly folder = mkdtempSync(join(tmpdir(), "sotto-doh-"));
  readonly #context: TestContext;

  constructor(context: TestContext) {
    this.#context = context;
    context.after(() => rmSync(this.folder, { recursive: true }));
  }

  config(text: string): Parameters<typeof startRecursor>[0] {
    const loaded = loadConfig(text, join(this.folder, "sotto.yaml"));
    if (!loaded.ok) throw new Error(loaded.problems.map(problemToText).join("\n"));
    return loaded.config;
  }

  async start(text: string): Promise<RunningServer> {
    const server = await startRecursor(this.config(text), nodeRuntime());
    this.#context.after(() => server.close());
    return server;
  }

  async writePair(name: string, subject: string): Promise<void> {
    const pair = await (await authority).issue([subject], Date.now());
    writeFileSync(join(this.folder, `${name}.pem`), pair.certificatePem);
    writeFileSync(join(this.folder, `${name}.key`), pair.keyPem);
  }

  async http2(
    server: RunningServer,
    options: SecureClientSessionOptions & { inClear?: boolean } = {},
    nth = 0,
  ): Promise<ClientHttp2Session> {
    const { address, port } = server.listeners[nth]?.local ?? { address: "", port: 0 };
    const session = await openHttp2(port, { address, ...options });
    this.#context.after(() => session.destroy());
    return session;
  }
}

function decode(reply: HttpReply): Message {
  assert.equal(reply.status, 200);
  const message = tryDecodeMessage(reply.body);
  assert.ok(message.ok);
  return message.value;
}

function rcodeOf(reply: HttpReply): number {
  return decode(reply).rcode;
}

function subjectOf(session: ClientHttp2Session): string | undefined {
  // The socket of an HTTP/2 session over TLS is a TLS socket.
  return (session.socket as TLSSocket).getPeerX509Certificate()?.subjectAltName;
}

test("answers have the id of their query, are as fresh as their records, and padded when the query was [8484-4.1-b 8484-9-a 8467-4.1-b]", async (context) => {
  const world = new World(context);
  const server = await world.start(`listen: [{ transport: https, address: 127.0.0.1, port: 0 }]\n${RECORD}`);
  const session = await world.http2(server);
  const reply = await get(session, dohQuery("www.corp.example.", 0xabcd));
  assert.equal(decode(reply).id, 0xabcd);
  assert.equal(decode(await post(session, QUERY)).id, 0);
  assert.equal(reply.fields["cache-control"], "max-age=300");
  const nothing = await get(session, dohQuery("nothing.corp.example."));
  assert.equal(rcodeOf(nothing), Rcode.NXDomain);
  assert.equal(nothing.fields["cache-control"], "max-age=40");
  const padded = await post(session, dohQuery("www.corp.example.", 0, 60));
  assert.equal(padded.body.length, 468);
  const options = decode(padded).edns?.options.map(({ code }) => code);
  assert.deepEqual(options, [EdnsOptionCode.Padding], "and no keepalive");
  assert.equal((await post(session, dohQuery("www.corp.example."))).body.length < 100, true);
  const { https } = server.status.queries;
  assert.equal(https.answered + https["answered from cache"], 5);
  assert.equal(server.status.queries.tls.answered, 0);
  assert.equal((await get(session, QUERY, { ":path": "/" })).status, 404);
  const [listener] = server.listeners;
  assert.deepEqual(listener && Reflect.get(listener.counters, "refusals"), { 404: 1 });
});

test("whoever may not ask gets REFUSED with status 200, and nothing but a reset when queries are dropped [8484-4.2.1-a]", async (context) => {
  const world = new World(context);
  for (const action of ["refuse", "drop"] as const) {
    const server = await world.start(
      `listen: [{ transport: https, address: 127.0.0.1, port: 0 }]\naccess: { allow: [192.0.2.1], action: ${action} }\n${RECORD}`,
    );
    const session = await world.http2(server);
    if (action === "refuse") {
      const reply = await get(session, QUERY);
      assert.equal(rcodeOf(reply), Rcode.Refused);
      assert.equal(reply.fields["cache-control"], "no-store");
    } else await assert.rejects(get(session, QUERY), /ended with 8/, "CANCEL");
  }
});

test("ALPN decides between HTTP/2 and HTTP/1.1, and a client that offers neither is refused", async (context) => {
  const world = new World(context);
  const server = await world.start(`listen: [{ transport: https, address: 127.0.0.1, port: 0 }]\n${RECORD}`);
  const port = server.listeners[0]?.local.port ?? 0;
  for (const [offer, chosen] of [
    [["h2", "http/1.1"], "h2"],
    [["http/1.1"], "http/1.1"],
    [undefined, false],
  ] as const) {
    const socket = connectTls({
      port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      ...(offer === undefined ? {} : { ALPNProtocols: [...offer] }),
    });
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    assert.equal(socket.alpnProtocol, chosen);
    if (chosen !== "h2") {
      const client = new Http1Client(socket);
      client.write(getText(QUERY));
      assert.deepEqual(await client.statuses(1), [200]);
    }
    socket.destroy();
  }
  const other = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["dot"] });
  const problem = await new Promise<Error>((resolve) => other.once("error", resolve));
  assert.match(problem.message, /no application protocol|alert/i);
});

test("the name chooses the certificate, and a new file is taken while connections stay", async (context) => {
  const world = new World(context);
  await world.writePair("first", "first.example");
  await world.writePair("exact", "dns.example");
  const text = `listen:
  - transport: https
    address: 127.0.0.1
    port: 0
    certificate: first.pem
    key: first.key
    more-certificates: [{ certificate: exact.pem, key: exact.key }]
${RECORD}`;
  const server = await world.start(text);
  const session = await world.http2(server, { servername: "other.example" });
  assert.equal(subjectOf(session), "DNS:first.example");
  assert.equal(subjectOf(await world.http2(server, { servername: "dns.example" })), "DNS:dns.example");
  await world.writePair("first", "new.example");
  await server.reload(world.config(text));
  assert.equal(subjectOf(await world.http2(server, { servername: "other.example" })), "DNS:new.example");
  assert.equal(rcodeOf(await get(session, QUERY)), Rcode.NoError, "the old connection lives on");
});

test("servers with one ticket secret take each other's tickets", async (context) => {
  const world = new World(context);
  await world.writePair("server", "dns.example");
  writeFileSync(join(world.folder, "secret"), Buffer.alloc(64, 5));
  const text = `listen: [{ transport: https, address: 127.0.0.1, port: 0, certificate: server.pem, key: server.key }]
tls: { ticket-secret: secret }
${RECORD}`;
  const [first, second] = [await world.start(text), await world.start(text)];
  const session = await world.http2(first);
  const ticket = new Promise<Buffer>((resolve) => session.socket.once("session", resolve));
  await get(session, QUERY);
  const resumed = await world.http2(second, { session: await ticket });
  assert.equal((resumed.socket as TLSSocket).isSessionReused(), true);
  assert.equal(rcodeOf(await get(resumed, QUERY)), Rcode.NoError);
});

test("client certificates are required as on tls listeners", async (context) => {
  const world = new World(context);
  const ca = await authority;
  writeFileSync(join(world.folder, "ca.pem"), ca.certificatePem);
  const good = await ca.issue(["client.example"], Date.now(), "client");
  const server = await world.start(`listen:
  - transport: https
    address: 127.0.0.1
    port: 0
    client-certificates: { authorities: ca.pem, names: [client.example] }
${RECORD}`);
  assert.equal(rcodeOf(await get(await world.http2(server), QUERY)), Rcode.Refused);
  const session = await world.http2(server, { cert: good.certificatePem, key: good.keyPem });
  assert.equal(rcodeOf(await get(session, QUERY)), Rcode.NoError);
});

function proxyHeader(source: string): string {
  return `PROXY TCP4 ${source} 198.51.100.1 40000 443\r\n`;
}

test("a PROXY header stands before TLS, inside it, or before HTTP in clear, for both versions of HTTP", async (context) => {
  const world = new World(context);
  const server = await world.start(`listen:
  - { transport: https, address: 127.0.0.1, port: 0, proxy: { from: [127.0.0.1] } }
  - { transport: https, address: 127.0.0.2, port: 0, proxy: { from: [127.0.0.1], place: inside-tls } }
  - { transport: https, address: 127.0.0.3, port: 0, tls: off, proxy: { from: [127.0.0.1] } }
access: { allow: [192.0.2.1/32] }
${RECORD}`);
  for (const [source, rcode] of [
    ["192.0.2.1", Rcode.NoError],
    ["192.0.2.2", Rcode.Refused],
  ] as const) {
    for (const [nth, version] of [0, 1, 2].flatMap(
      (one) =>
        [
          [one, "h2"],
          [one, "http/1.1"],
        ] as const,
    )) {
      const { address, port } = server.listeners[nth]?.local ?? { address: "", port: 0 };
      const tcp = connectTcp({ port, host: address, allowHalfOpen: true });
      context.after(() => tcp.destroy());
      // With HTTP/1.1 in one write with what follows, as proxies send it.
      const isApart = nth === 0 || version === "h2";
      if (nth !== 1 && isApart) tcp.write(proxyHeader(source));
      const tls =
        nth === 2
          ? undefined
          : connectTls({ socket: tcp, rejectUnauthorized: false, ALPNProtocols: [version] });
      if (tls !== undefined) await new Promise((resolve) => tls.once("secureConnect", resolve));
      // Node's HTTP/2 client must not begin while something else is being written.
      if (nth === 1 && isApart) await new Promise((resolve) => tls?.write(proxyHeader(source), resolve));
      const what = `listener ${nth}, ${version}, ${source}`;
      const over = tls ?? tcp;
      if (version === "h2") {
        const session = await openHttp2(port, { address, inClear: nth === 2, createConnection: () => over });
        assert.equal(rcodeOf(await get(session, QUERY)), rcode, what);
        session.destroy();
      } else {
        const client = new Http1Client(over);
        client.write(`${isApart ? "" : proxyHeader(source)}${getText(QUERY)}`);
        assert.deepEqual(await client.statuses(1), [200], what);
        const body = /\r\n\r\n([\s\S]*)/.exec(client.text)?.[1] ?? "";
        assert.equal(uint16At(Buffer.from(body, "latin1"), 2) & 0xf, rcode, what);
      }
    }
  }
});

test("behind a proxy that ends TLS each request names its client, and others are not believed", async (context) => {
  const world = new World(context);
  const server = await world.start(`listen:
  - { transport: https, address: 127.0.0.1, port: 0, tls: off, proxy: { from: [127.0.0.1], place: http-header } }
  - { transport: https, address: 127.0.0.2, port: 0, tls: off }
access: { allow: [198.51.100.7/32] }
${RECORD}`);
  const behind = await world.http2(server, { inClear: true });
  const direct = await world.http2(server, { inClear: true }, 1);
  for (const [session, fields, rcode] of [
    [behind, { "x-forwarded-for": "198.51.100.7" }, Rcode.NoError],
    [behind, { forwarded: "for=198.51.100.7;proto=https" }, Rcode.NoError],
    [behind, { "x-forwarded-for": "198.51.100.7, 203.0.113.1" }, Rcode.Refused],
    [behind, {}, Rcode.Refused],
    [direct, { "x-forwarded-for": "198.51.100.7" }, Rcode.Refused],
  ] as const)
    assert.equal(rcodeOf(await get(session, QUERY, fields)), rcode, JSON.stringify(fields));
  assert.equal((await get(behind, QUERY, { forwarded: "for=_hidden" })).status, 400);
  const padded = await get(behind, dohQuery("www.corp.example.", 0, 60), {
    "x-forwarded-for": "198.51.100.7",
  });
  assert.equal(padded.body.length, 468, "TLS is there, before the proxy");
});

test("a reload changes the path for open connections, and refuses to begin or end TLS on an open listener", async (context) => {
  const world = new World(context);
  const text = (more: string): string =>
    `listen: [{ transport: https, address: 127.0.0.1, port: 0${more} }]\n${RECORD}`;
  const server = await world.start(text(""));
  const session = await world.http2(server);
  await server.reload(world.config(text(", path: /other")));
  assert.equal((await get(session, QUERY)).status, 404);
  assert.equal(
    (await get(session, QUERY, { ":path": `/other?dns=${Buffer.from(QUERY).toString("base64url")}` })).status,
    200,
  );
  await assert.rejects(server.reload(world.config(text(", tls: off"))), /cannot begin or end TLS/);
  assert.equal((await get(session, QUERY)).status, 404, "all is as before");
});
