/** The examples run as they stand, each against servers on loopback. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createNetServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { StubResolver } from "@sotto/dns/stub";
import { makeAuthority, spkiPin } from "../../packages/sotto/src/operations/index.ts";
import { type PlaygroundFacts, type RunningPeer, startPlayground } from "../interop/peers.ts";
import { ZoneServer } from "./zone-server.test-support.ts";

const run = promisify(execFile);
const FOLDER = join(import.meta.dirname, "../../examples");
const NODE = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
const LINES_MAX = 30;

const ZONE = `
@ A 192.0.2.1
@ MX 10 mail
www A 127.0.0.1
web HTTPS 1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1
_dns.resolver SVCB 1 dns.example. alpn=dot
1.2.0.192.in-addr.arpa. PTR www
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR www
`;

let server: ZoneServer;
let web: ReturnType<typeof createServer>;
let redis: Server;
let pin: string;
let anchors: string;
const folder = mkdtempSync(join(tmpdir(), "sotto-examples-"));

before(async () => {
  const authority = await makeAuthority("test", Date.now());
  const pair = await authority.issue(["dns.example"], Date.now());
  pin = spkiPin(pair.certificatePem);
  anchors = join(folder, "ca.pem");
  writeFileSync(anchors, authority.certificatePem);
  server = await ZoneServer.open(ZONE, { tls: pair });
  web = createServer((_request, response) => response.end("here")).listen(0, "127.0.0.1");
  // Enough of a Redis server for PING, and for the commands with which clients introduce themselves.
  redis = createNetServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      for (const command of String(chunk).split("*").slice(1))
        socket.write(
          command.includes("PING") ? "+PONG\r\n" : command.includes("HELLO") ? "%0\r\n" : "+OK\r\n",
        );
    });
  }).listen(0, "127.0.0.1");
  await Promise.all([once(web, "listening"), once(redis, "listening")]);
});

after(async () => {
  web.close();
  redis.close();
  rmSync(folder, { recursive: true });
  await server[Symbol.asyncDispose]();
});

const portOf = (one: Server): number => (one.address() as AddressInfo).port;
/** As a user would write it. */
const upstream = (name = "dns.example"): string => `tls://${name}:${server.tls?.local.port}?ip=127.0.0.1`;
const page = (host = "www"): string => `http://${host}.example:${portOf(web)}/`;

/** Runs an example and gives what it prints. */
async function show(name: string, args: readonly string[], caFile = anchors): Promise<string> {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: caFile };
  const options = { env, timeout: 30_000 };
  const { stdout } = await run(process.execPath, [...NODE, join(FOLDER, name), ...args], options);
  return stdout.trim();
}

/** What each prints, called so. */
const EXAMPLES: Readonly<Record<string, readonly (readonly [() => readonly string[], RegExp | string])[]>> = {
  "ask-over-tls.ts": [
    [
      () => ["127.0.0.1", String(server.tls?.local.port), pin, "www.example."],
      /^www\.example\.\t300\tIN\tA\t127\.0\.0\.1\nauthenticated pin sha256:/,
    ],
  ],
  "strict-stub.ts": [
    [() => [upstream(), "example"], "192.0.2.1\nstrict: authenticated by name dns.example\n10 mail.example."],
  ],
  "opportunistic-events.ts": [
    [() => [upstream(), "www.example"], /^opened [\s\S]*rcode 0, authenticated\nclosed /],
    // Who is another one is not asked as the right one, but better than in clear.
    [() => [upstream("other.example"), "www.example"], /rcode 0, encrypted\nclosed /],
  ],
  "pins.ts": [
    [
      () => ["127.0.0.1", String(server.tls?.local.port), pin, OTHER_PIN, "www.example"],
      /^0 addresses, authenticated by pin sha256:/,
    ],
    [
      () => ["127.0.0.1", String(server.tls?.local.port), OTHER_PIN, OTHER_PIN, "www.example"],
      /^ERR_TLS_NOT_AUTHENTICATED at stage authenticate: .*127\.0\.0\.1 port \d+/,
    ],
  ],
  "several-upstreams.ts": [
    [
      () => ["www.example", upstream(), "tls://dns.example:1?ip=127.0.0.1"],
      /^(?:127\.0\.0\.1: authenticated, connection reused: (?:true|false)\n){3}\d+ authenticated 3\/\d+ .*\n1 /,
    ],
  ],
  "install-fetch.ts": [
    [() => [upstream(), page()], "200 4"],
    [
      () => [upstream("other.example"), page()],
      /^fetch failed\n.*EAI_AGAIN www\.example\n127\.0\.0\.1 port .* not for other/,
    ],
  ],
  "http-agent.ts": [
    [() => [upstream(), page()], "200 127.0.0.1"],
    [() => [upstream(), page("absent")], /ENOTFOUND absent\.example/],
  ],
  "undici-agent.ts": [[() => [upstream(), page()], "200 here\n200 here"]],
  "redis-client.ts": [
    [() => [upstream(), `redis://www.example:${portOf(redis)}`], "PONG"],
    [
      () => [upstream("other.example"), `redis://www.example:${portOf(redis)}`],
      /EAI_AGAIN[\s\S]*authenticate/,
    ],
  ],
  "node-dns-program.ts": [
    [
      () => [upstream(), "example"],
      /^(?=[\s\S]*10 mail\.example)(?=[\s\S]*192\.0\.2\.1 300)[\s\S]*ENOTFOUND absent\.example/,
    ],
  ],
  "service-bindings.ts": [
    [
      () => [upstream(), "web.example", "_dns.resolver.example"],
      /^1 web\.example h2,h3 8443 \[ '192\.0\.2\.1' \] undefined\n.*'dns\.example'/,
    ],
  ],
  "reverse.ts": [
    [
      () => [upstream(), "192.0.2.1", "2001:db8::1", "192.0.2.99"],
      "192.0.2.1 [ 'www.example' ]\n2001:db8::1 [ 'www.example' ]\ngetHostByAddr ENOTFOUND 192.0.2.99",
    ],
  ],
  "deadlines.ts": [[() => [upstream(), "silent.example"], /^ERR_(?:CONNECT_)?TIMEOUT: .*\nERR_ABORTED: /]],
  "cache.ts": [
    [
      () => [upstream(), "www.example"],
      "asked true\nfrom the cache true\nasked true\nasked true\nasked true",
    ],
  ],
};

/** Of nobody's key. */
const OTHER_PIN = `${"A".repeat(43)}=`;

/** Shown in tests of their own below and in test/interop. */
const OTHERS = ["dnssec.ts", "dane.ts", "forwarder.ts", "forward-proxy.ts", "preload.ts"];

for (const [name, shows] of Object.entries(EXAMPLES))
  test(`examples/${name} shows what it says`, async () => {
    for (const [args, printed] of shows) {
      const stdout = await show(name, args());
      if (typeof printed === "string") assert.equal(stdout, printed);
      else assert.match(stdout, printed);
    }
  });

/** A program that runs until it is stopped, and the port that it says. */
async function started(
  name: string,
  args: readonly string[],
): Promise<{ port: number; stop: () => Promise<unknown> }> {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: anchors };
  const child = spawn(process.execPath, [...NODE, join(FOLDER, name), ...args], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = (): Promise<unknown> => {
    child.kill();
    return once(child, "close");
  };
  const [line]: unknown[] = await once(child.stdout, "data");
  return { port: Number(/port: (\d+)/.exec(String(line))?.[1]), stop };
}

test("examples/forwarder.ts answers over UDP what it asked over TLS", async () => {
  server.seen.length = 0;
  const { port, stop } = await started("forwarder.ts", [upstream(), "0"]);
  const stub = new StubResolver({ upstreams: [`udp://127.0.0.1:${port}`] });
  const { records } = await stub.query("www.example", "A");
  const absent = await stub.query("absent.www.example", "A");
  await Promise.all([stub.close(), stop()]);
  assert.deepEqual([...(records[0]?.rdata ?? [])], [127, 0, 0, 1]);
  assert.equal(absent.records.length, 0);
  assert.deepEqual([...new Set(server.seen.map(({ transport }) => transport))], ["tls"]);
});

test("examples/preload.ts is there before a program, its worker threads and its child processes", async () => {
  const preload = ["--require", join(FOLDER, "preload.ts")];
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: anchors, DNS_UPSTREAMS: upstream() };
  const program = `
    const dns = require("node:dns"), { Worker, isMainThread } = require("node:worker_threads"), { execFileSync } = require("node:child_process");
    const text = "require('node:dns').lookup('www.example', 4, (error, address) => console.log(error?.code ?? address))";
    dns.lookup("www.example", 4, (error, address) => {
      console.log(error?.code ?? address);
      new Worker(text, { eval: true }).on("exit", () => {
        const env = { ...process.env, NODE_OPTIONS: process.execArgv.slice(0, 4).join(" ") };
        console.log(String(execFileSync(process.execPath, ["--eval", text], { env })).trim());
      });
    });`;
  server.seen.length = 0;
  const args = [...NODE, ...preload, "--eval", program];
  const { stdout } = await run(process.execPath, args, { env, timeout: 30_000, cwd: FOLDER });
  assert.equal(stdout, "127.0.0.1\n127.0.0.1\n127.0.0.1\n");
  assert.deepEqual(
    server.seen.map(({ transport }) => transport),
    ["tls", "tls", "tls"],
  );
  await assert.rejects(
    run(process.execPath, args, { env: { ...env, DNS_UPSTREAMS: "" }, cwd: FOLDER }),
    /DNS_UPSTREAMS is not set/,
  );
});

test("examples/forward-proxy.ts makes requests and tunnels, and says why it cannot", async () => {
  const proxy = await started("forward-proxy.ts", [upstream(), "0"]);
  /** What is said to a request by hand. */
  const say = async (...lines: string[]): Promise<string> => {
    const socket = (await import("node:net")).connect(proxy.port, "127.0.0.1");
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    const chunks: unknown[] = [];
    for await (const chunk of socket) {
      chunks.push(chunk);
      if (String(chunk).includes("200 Connected")) socket.end("GET / HTTP/1.0\r\n\r\n");
    }
    return chunks.join("");
  };
  const close = "Connection: close";
  assert.match(
    await say(`GET ${page()} HTTP/1.1`, "Host: www.example", close),
    /^HTTP\/1\.1 200 [\s\S]*here/,
  );
  assert.match(
    await say(`CONNECT www.example:${portOf(web)} HTTP/1.1`, "Host: www.example"),
    /200 Connected[\s\S]*here$/,
  );
  assert.match(
    await say("GET http://absent.example/ HTTP/1.1", "Host: absent", close),
    /^HTTP\/1\.1 502 [\s\S]*ENOTFOUND/,
  );
  assert.match(
    await say("CONNECT absent.example:1 HTTP/1.1", "Host: absent"),
    /^HTTP\/1\.1 502 [\s\S]*ENOTFOUND/,
  );
  for (const url of ["x", "/", "http://", "http://[", "file:///etc/passwd"])
    assert.match(await say(`GET ${url} HTTP/1.1`, "Host: x", close), /^HTTP\/1\.1 400 /, url);
  for (const target of ["x", ":", "x:99999", "[::1:1", "x:y"])
    assert.match(await say(`CONNECT ${target} HTTP/1.1`, "Host: x"), /^HTTP\/1\.1 (?:502|400) /, target);
  await proxy.stop();
});

test("examples/dnssec.ts and examples/dane.ts believe what validates, and say why not", async () => {
  const { facts, peer }: { facts: PlaygroundFacts; peer: RunningPeer } = await startPlayground(
    join(folder, "playground"),
  );
  const resolver = `tls://${facts.authName}:${facts.tlsPort}?ip=127.0.0.1`;
  const anchor = /^\..*\bDS\b.*$/m.exec(readFileSync(facts.trustAnchorFile, "utf8"))?.[0] ?? "";
  const ask = (name: string, ...args: string[]): Promise<string> =>
    show(name, [resolver, ...args, anchor], facts.caFile);
  const dnssec = await ask("dnssec.ts", "www.shop.example", "www.plain.example", "www.expired.dnssec");
  const prefer = await ask("dane.ts", "prefer", "www.shop.example");
  const only = await ask("dane.ts", "only", "www.shop.example");
  await peer.stop();
  assert.match(dnssec, /^www\.shop\.example secure 1\nwww\.plain\.example insecure 1\n/);
  assert.match(dnssec, /www\.expired\.dnssec bogus 0 EDE 7: .* expired \d+ seconds ago"$/);
  assert.equal(prefer, `authenticated by name ${facts.authName}`);
  assert.match(only, /^ERR_TLS_NOT_AUTHENTICATED at stage authenticate: .*TLSA/);
});

test("every example has at most thirty lines, says what it shows, is listed and is run", () => {
  const readme = readFileSync(join(FOLDER, "README.md"), "utf8");
  const names = readdirSync(FOLDER).filter((name) => name.endsWith(".ts"));
  assert.deepEqual(names.toSorted(), [...Object.keys(EXAMPLES), ...OTHERS].sort());
  for (const name of names) {
    const text = readFileSync(join(FOLDER, name), "utf8");
    const lines = text.trimEnd().split("\n").length;
    assert.ok(lines <= LINES_MAX, `${name} has ${lines} lines`);
    if (name !== "ask-over-tls.ts")
      assert.match(text, new RegExp(`^/\\*\\*[\\s\\S]* Run: .*node --conditions=source .*examples/${name} `));
    assert.ok(readme.includes(`(${name})`), `${name} is not in examples/README.md`);
  }
});
