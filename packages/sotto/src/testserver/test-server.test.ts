import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { DnsError } from "@sotto/dns/runtime";
import { SeededRandom } from "@sotto/dns/testing";
import { makeKeepalive, makePadding } from "@sotto/dns/wire";
import type { ProgramIo } from "../operations/index.ts";
import { CATALOGUE } from "./catalogue.ts";
import { ControlApi } from "./control-api.ts";
import type { ServerJson } from "./describe.ts";
import { decoded, query, TestWorld } from "./raw-clients.test-support.ts";
import { runTestServer } from "./run-testserver.ts";
import { TestServer } from "./test-server.ts";

const world = new TestWorld();
let control: ControlApi;
before(async () => {
  await world.start();
  control = await ControlApi.open(0, world.tests);
});
after(async () => {
  await control.close();
  await world.close();
});

interface Response {
  readonly status: number;
  // Tests look into it by name.
  readonly body: Record<string, never> & { readonly error?: string };
}

function call(
  method: string,
  path: string,
  body?: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { address, port } = control.place;
    const sent = request({ host: address, port, method, path, headers, agent: false }, (response) => {
      let text = "";
      response.on("data", (piece: Buffer) => {
        text += piece.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

test("what clients did is kept: queries with their options, TLS with its offer, pipelining, the end", async () => {
  world.tests.reset();
  const client = await world.connect("good", "tls");
  const options = [
    makeKeepalive(undefined),
    makePadding(16),
    { code: 10, data: new Uint8Array(8) },
    { code: 8, data: Uint8Array.of(0, 1, 0, 0) },
  ];
  client.send(query("delay-5.test. A", options, 1), query("www.test. TXT", false, 2));
  await world.untilEvent("good", /^query/, 2);
  await world.clock.advance(5);
  await client.finish();
  await world.untilEvent("good", /^end: /);
  const [record] = world.tests.observations.connections();
  assert.ok(record !== undefined);
  const [first, second] = record.queries;
  assert.deepEqual(
    { ...first?.edns },
    {
      version: 0,
      udpPayloadOctets: 1232,
      dnssecOk: true,
      optionCodes: [11, 12, 10, 8],
      keepalive: "empty",
      paddingOctets: 16,
      cookieOctets: 8,
      clientSubnetBits: 0,
    },
  );
  assert.deepEqual(
    [first?.qname, first?.inFlightBefore, second?.qtype, second?.inFlightBefore, second?.edns],
    ["delay-5.test.", 0, "TXT", 1, undefined],
  );
  assert.deepEqual(
    [record.hello?.serverName, record.hello?.alpn, record.hello?.offersResumption],
    ["resolver.sotto.test", ["dot"], false],
  );
  assert.ok(record.hello?.versions.includes("TLSv1.3"));
  assert.deepEqual([record.tls?.version, record.tls?.alpn, record.tls?.isResumed], ["TLSv1.3", "dot", false]);
  assert.deepEqual([record.transport, record.answers, record.endedBy], ["tls", 2, "client-fin"]);
  const timeline = record.events.map(({ direction, what }) => `${direction} ${what}`);
  assert.equal(timeline[0], "own accepted");
  assert.ok(timeline.indexOf("in query delay-5.test. A") < timeline.indexOf("out reply"));
  assert.deepEqual(world.tests.observations.counters["good"], {
    connections: 1,
    queries: 2,
    answers: 2,
    handshakes: 1,
    handshakesFailed: 0,
  });
});

test("a client's RST, and a handshake that fails, are told as such", async () => {
  const client = await world.connect("good", "tcp");
  client.socket.resetAndDestroy();
  await world.untilEvent("good", /^end: client-rst$/);
  const failed = await world.connect("good", "tls", { ca: [] });
  await world.untilEvent("good", /^handshake failed|^end: /);
  assert.equal(failed.isOpen, false);
});

test("records are bounded, and what is not kept is counted", async () => {
  world.tests.reset();
  for (let i = 0; i < 505; i++) (await world.connect("refused", "tcp")).destroy();
  await world.until("all", () => world.tests.observations.connectionsLost === 5);
  assert.equal(world.tests.observations.connections().length, 500);
  const client = await world.connect("refused", "tcp");
  client.send(...Array.from({ length: 250 }, (_, id) => query("www.test. A", [], id)));
  await world.until("all replies", () => client.messages.length === 250);
  const record = world.tests.observations.connections().at(-1);
  assert.deepEqual([record?.queries.length, record?.queriesLost], [200, 50]);
  assert.deepEqual([record?.events.length, (record?.eventsLost ?? 0) > 0], [200, true]);
  client.destroy();
  world.tests.reset();
  assert.deepEqual(world.tests.observations.connections(), []);
});

test("a fixture is switched to behave as others, and back", async () => {
  const rcodeOf = async (): Promise<number> =>
    decoded((await world.ask("good", "tcp", query("www.test. A")))[0]).rcode;
  const switched = await call("POST", "/switch", '{"fixture": "good", "as": ["servfail", "size-200"]}');
  assert.deepEqual(switched, { status: 200, body: { good: ["servfail", "size-200"] } });
  assert.equal(await rcodeOf(), 2);
  assert.deepEqual((await call("GET", "/switches")).body, { good: ["servfail", "size-200"] });
  await call("POST", "/switch", '{"fixture": "good", "as": []}');
  assert.equal(await rcodeOf(), 0);
  // Also TLS, and how connections end.
  await call("POST", "/switch", '{"fixture": "good", "as": ["certificate-expired", "one-query"]}');
  const refused = await world.connect("good", "tls");
  assert.equal(refused.error, "CERT_HAS_EXPIRED");
  const client = await world.connect("good", "tcp");
  client.send(query("www.test. A"));
  assert.equal(await client.outcome(), "fin");
  client.destroy();
  await call("POST", "/reset");
  assert.deepEqual((await call("GET", "/switches")).body, {});
  (await world.connect("good", "tls")).destroy();
  assert.equal(await rcodeOf(), 0);
});

test("an open connection is ended by command", async () => {
  const client = await world.connect("good", "tls");
  await world.untilEvent("good", /^handshake done/);
  const id = world.tests.observations.connections().at(-1)?.id;
  assert.equal(
    (await call("POST", "/end", JSON.stringify({ connection: id, how: "fin-without-close-notify" }))).status,
    200,
  );
  assert.equal(await client.outcome(), "fin without close_notify");
  client.destroy();
  await world.until("gone", () => client.isClosed);
  assert.equal((await call("POST", "/end", '{"connection": 0}')).status, 404);
});

test("the control API lists fixtures, counters and connections, and refuses what it does not understand", async () => {
  const { body } = await call("GET", "/fixtures");
  assert.equal((body as unknown as readonly unknown[]).length, CATALOGUE.length);
  await world.ask("refused", "tcp", query("www.test. A"));
  const { body: found } = await call("GET", "/connections?fixture=refused&since=0");
  const { connections } = found as unknown as {
    connections: readonly { fixture: string; queries: readonly unknown[] }[];
  };
  assert.deepEqual([...new Set(connections.map(({ fixture }) => fixture))], ["refused"]);
  assert.equal(connections.at(-1)?.queries.length, 1);
  const counters = (await call("GET", "/counters")).body as unknown as Record<string, { queries: number }>;
  assert.equal(counters["refused"]?.queries, 1);
  const wrong: readonly (readonly [
    method: string,
    path: string,
    body: string | undefined,
    status: number,
  ])[] = [
    ["GET", "/nothing", undefined, 404],
    ["DELETE", "/fixtures", undefined, 404],
    ["GET", "/connections?since=-1", undefined, 400],
    ["POST", "/switch", "{", 400],
    ["POST", "/switch", "[]", 400],
    ["POST", "/switch", '{"fixture": 1}', 400],
    ["POST", "/switch", '{"fixture": "nobody", "as": []}', 404],
    ["POST", "/switch", '{"fixture": "good", "as": ["nothing"]}', 404],
    ["POST", "/switch", '{"fixture": "good", "as": ["drops-syn"]}', 404],
    ["POST", "/switch", `{"fixture": "${"x".repeat(70_000)}"}`, 413],
    ["POST", "/end", `{"fixture": "${"x".repeat(70_000)}"}`, 413],
    ["POST", "/end", '{"connection": "1"}', 400],
    ["POST", "/end", '{"connection": 1, "how": "loudly"}', 400],
  ];
  for (const [method, path, text, status] of wrong) {
    const response = await call(method, path, text);
    assert.equal(response.status, status, `${method} ${path} ${text}`);
    assert.equal(typeof response.body.error, "string");
  }
});

// What came after the sixteenth was left away without a word, and the switch was done.
test("a switch of too many words is refused, and changes nothing", async () => {
  const words = Array.from({ length: 16 }, (_, i) => `delay-${i}`);
  assert.ok(world.tests.switch("good", words).ok);
  assert.ok(world.tests.switch("good", []).ok);
  const { status, body } = await call(
    "POST",
    "/switch",
    JSON.stringify({ fixture: "good", as: [...words, "servfail"] }),
  );
  assert.deepEqual([status, body.error], [400, "a switch has at most 16 words, and this one has 17"]);
  assert.deepEqual(world.tests.switches, {});
});

// The connection was reset while the client still wrote, so that it never read why.
test("a body that is far too long is answered, too", async () => {
  const { status, body } = await call("POST", "/switch", "x".repeat(8_000_000));
  assert.deepEqual([status, body.error], [413, "a body has at most 65536 octets"]);
});

test("pages of a browser may not use the control API", async () => {
  assert.equal((await call("POST", "/reset", "", { origin: "http://example.test" })).status, 403);
  assert.equal((await call("GET", "/fixtures", undefined, { host: "attacker.example" })).status, 403);
});

test("hostile octets on every port crash nothing", async () => {
  const random = new SeededRandom(7);
  const payloads = [
    Buffer.alloc(0),
    Buffer.from([0, 0]),
    Buffer.from([0, 1, 0]),
    Buffer.from([255, 255, 1]),
    Buffer.from([0, 12, ...new Uint8Array(12)]),
    // A ClientHello that ends early, and one of no length.
    Buffer.from([22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3]),
    Buffer.from([22, 3, 1, 0, 0]),
    ...Array.from({ length: 4 }, () => Buffer.from(random.octets(600))),
  ];
  for (const { fixture, places } of world.tests.fixtures) {
    if (fixture.behaviour.connection?.port !== undefined) continue;
    for (const { transport, port } of places) {
      if (transport === "udp") continue;
      const payload = payloads[random.below(payloads.length)] ?? Buffer.alloc(0);
      await new Promise<void>((resolve) => {
        const socket = connect(port, "127.0.0.1", () => {
          socket.write(payload, () => {
            if (random.below(2) === 0) socket.resetAndDestroy();
            else socket.end(() => socket.destroy());
          });
        });
        socket.on("error", () => undefined);
        socket.on("close", () => resolve());
      });
    }
  }
  for (const payload of payloads.slice(1)) {
    const replies = await world.ask("good", "udp", payload);
    assert.ok(replies.length <= 1);
  }
  assert.equal(decoded((await world.ask("good", "tls", query("www.test. A")))[0]).answers.length, 1);
});

test("a client with too many queries in flight, or that does not read, is cut off", async () => {
  const greedy = await world.connect("good", "tcp");
  greedy.send(...Array.from({ length: 501 }, (_, id) => query("delay-60000.test. A", [], id)));
  assert.equal(await greedy.outcome(), "rst");
  const deaf = await world.connect("good", "tcp");
  deaf.socket.pause();
  for (let i = 0; i < 5; i++)
    deaf.send(...Array.from({ length: 100 }, (_, id) => query("size-65535.test. TXT", [], id)));
  await world.untilEvent("good", /does not read/);
  deaf.destroy();
});

// Replies that are written octet by octet left the count of queries in flight before they were written, so that nothing bounded
// what waited behind them.
test("a client that asks faster than its replies can be written is cut off", async () => {
  const names = [["octet-by-octet.size-600.test. TXT", 600] as const, ["size-65535.test. TXT", 100] as const];
  for (const [name, count] of names) {
    const hasty = await world.connect("octet-by-octet", "tcp");
    hasty.send(...Array.from({ length: count }, (_, id) => query(name, [], id)));
    assert.equal(await hasty.outcome(), "rst", name);
    await world.untilEvent("octet-by-octet", /faster than/);
  }
});

test("a response, and a message without a whole header, get no reply; a malformed one gets FORMERR, a DSO message NOTIMP", async () => {
  const response = query("www.test. A");
  response[2] = 0x80;
  assert.deepEqual(await world.ask("good", "tcp", response), []);
  assert.deepEqual(await world.ask("good", "tcp", Uint8Array.of(1, 2, 3)), []);
  const malformed = query("www.test. A").slice(0, -2);
  assert.equal(decoded((await world.ask("good", "tcp", malformed))[0]).rcode, 1);
  const dso = query("www.test. A");
  dso[2] = 6 << 3;
  assert.equal(decoded((await world.ask("good", "tcp", dso))[0]).rcode, 4);
});

/** Runs the command; ends it by a signal when it has told where everything is. */
async function run(
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string; meanwhile: unknown }> {
  let stdout = "";
  let stderr = "";
  let meanwhile: unknown;
  const heard: ((signal: NodeJS.Signals) => void)[] = [];
  const io: ProgramIo = {
    stdout: {
      write(text) {
        stdout += text;
        meanwhile =
          args.includes("--json") && !args.includes("--list")
            ? existsSync(JSON.parse(text).files.authority)
            : undefined;
        for (const one of heard) one("SIGTERM");
      },
    },
    stderr: {
      write(text) {
        stderr += text;
      },
    },
    onSignal: (_signals, one) => {
      heard.push(one);
      return () => undefined;
    },
  };
  const code = await runTestServer(args, io);
  return { code, stdout, stderr, meanwhile };
}

test("the command serves, tells where, and gives everything back at a signal", async () => {
  const result = await run("--port-base", "0", "--only", "refused", "--json");
  const json: ServerJson = JSON.parse(result.stdout);
  assert.equal(result.code, 0, result.stderr);
  assert.deepEqual(
    json.fixtures.filter(({ places }) => places.length > 0).map(({ name }) => name),
    ["good", "refused"],
  );
  assert.match(json.control ?? "", /^http:\/\/127\.0\.0\.1:[0-9]+$/);
  assert.equal(result.meanwhile, true);
  assert.equal(existsSync(json.files.folder), false);
  const text = await run("--port-base", "0", "--only", "refused");
  assert.match(text.stdout, /^refused +[0-9]+ tcp\+udp, [0-9]+ tls +REFUSED/m);
  assert.match(text.stdout, /kdig @127\.0\.0\.1 -p [0-9]+ \+tls-ca=\S+ \+tls-hostname=resolver\.sotto\.test/);
});

test("it serves on IPv6, too, with certificates for that address", async (context) => {
  if (!Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1")))
    return context.skip("this machine has no ::1");
  const tests = await TestServer.start({ address: "::1", portBase: 0, only: [] }, world.runtime);
  try {
    const [tls] = tests.fixtures.flatMap(({ places }) =>
      places.filter(({ transport }) => transport === "tls"),
    );
    const socket = connectTls({ host: "::1", port: tls?.port ?? 0, ca: tests.credentials.authorityPem });
    await once(socket, "secureConnect");
    socket.destroy();
    const [record] = tests.observations.connections();
    assert.match(record?.client ?? "", /^\[::1\]:[0-9]+$/);
  } finally {
    await tests.close();
  }
});

test("an address that others can reach is warned of", async () => {
  const { code, stderr } = await run("--port-base", "0", "--only", "good", "--address", "0.0.0.0");
  assert.equal(code, 0);
  assert.match(stderr, /0\.0\.0\.0 may be reached by others/);
  assert.equal((await run("--port-base", "0", "--only", "good")).stderr, "");
});

test("the catalogue is listed without a server", async () => {
  const { code, stdout } = await run("--list");
  assert.equal(code, 0);
  for (const { name } of CATALOGUE) assert.ok(stdout.includes(`\n${name} `), name);
  const json: readonly { name: string }[] = JSON.parse(
    (await run("--list", "--json", "--only", "refused")).stdout,
  );
  assert.deepEqual(
    json.map(({ name }) => name),
    ["refused"],
  );
  assert.match((await run("--help")).stdout, /--port-base/);
});

test("wrong arguments are told with the usage, and taken ports with what to do", async () => {
  for (const args of [
    ["--only", "nobody"],
    ["--port-base", "x"],
    ["--port-base", "65500"],
    ["--control", "70000"],
    ["--address", "here"],
    ["--what"],
  ]) {
    const { code, stderr } = await run(...args);
    assert.equal(code, 1, args.join(" "));
    assert.match(stderr, /^sotto testserver: .+\nusage: /);
  }
  const taken = world.portOf("good", "tcp");
  const { code, stderr } = await run("--port-base", String(taken), "--only", "good");
  assert.equal(code, 2);
  assert.match(
    stderr,
    new RegExp(
      `cannot listen on 127\\.0\\.0\\.1 port ${taken} .*EADDRINUSE; another range: --port-base PORT`,
    ),
  );
});

test("a folder for certificates is kept; it has what clients need", async () => {
  const { folder } = world.tests.files;
  for (const file of ["ca.pem", "client.pem"])
    assert.match(readFileSync(`${folder}/${file}`, "utf8"), /BEGIN CERTIFICATE/);
  assert.match(readFileSync(`${folder}/root.key`, "utf8"), /IN\s+DS/);
});

test("a folder for certificates that cannot be written is told, and no port stays open", async () => {
  const { authority } = world.tests.files;
  const { code, stderr } = await run("--port-base", "0", "--only", "good", "--certificates", authority);
  assert.equal(code, 2);
  assert.match(
    stderr,
    /cannot write certificates to .*ca\.pem: EEXIST; another folder: --certificates FOLDER\n$/,
  );
});

test("a fixture that nobody knows is a problem of the configuration", async () => {
  const runtime = world.runtime;
  await assert.rejects(
    TestServer.start({ address: "127.0.0.1", portBase: 0, only: ["nobody"] }, runtime),
    (error) => DnsError.is(error, "ERR_CONFIG"),
  );
});
