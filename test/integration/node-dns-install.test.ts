/** `install()` in processes of their own: everything that looks up names goes our way, and programs end by themselves. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";
import { ZoneServer } from "./zone-server.test-support.ts";

const run = promisify(execFile);
const ZONE = `
www A 127.0.0.1
only-six AAAA ::1
one.one.one TXT "hello"
`;

let server: ZoneServer;
let http: ReturnType<typeof createServer>;
let anchorPem: string;

before(async () => {
  const authority = await makeAuthority("test", Date.now());
  anchorPem = authority.certificatePem;
  const pair = await authority.issue(["dns.example"], Date.now());
  server = await ZoneServer.open(ZONE, { tls: pair });
  http = createServer((_request, response) => response.end("here")).listen(0, "127.0.0.1");
  await once(http, "listening");
});

after(async () => {
  http.close();
  await server[Symbol.asyncDispose]();
});

/** Runs a program; `dot` and `httpPort` are there for it. */
async function runProgram(text: string): Promise<string> {
  const dot = {
    address: "127.0.0.1",
    port: server.tls?.local.port,
    name: "dns.example",
    trustAnchorsPem: [anchorPem],
  };
  const program = `
import { install, createDns } from "@sotto/dns/node-dns";
const dot = ${JSON.stringify(dot)};
const httpPort = ${(http.address() as AddressInfo).port};
${text}`;
  const args = [
    "--conditions=source",
    "--disable-warning=ExperimentalWarning",
    "--input-type=module",
    "--eval",
    program,
  ];
  const { stdout } = await run(process.execPath, args, { cwd: import.meta.dirname, timeout: 20_000 });
  return stdout.trim();
}

test("after one line http, fetch and net find names over TLS, and the program ends by itself", async () => {
  server.seen.length = 0;
  const stdout = await runProgram(`
import { get } from "node:http";
import { connect } from "node:net";
import { lookup } from "node:dns";
import { lookup as lookupPromise } from "node:dns/promises";
install({ upstreams: [dot], hosts: "none" });
console.log(await (await fetch("http://www.example:" + httpPort)).text());
console.log(await new Promise((resolve) => get("http://www.example:" + httpPort, (response) => response.on("data", (data) => resolve(String(data))))));
const socket = connect({ host: "www.example", port: httpPort, family: 4 });
await new Promise((resolve) => socket.on("connect", resolve));
socket.destroy();
console.log((await lookupPromise("www.example")).address);
lookup("only-six.example", { all: true }, (error, found) => console.log(JSON.stringify(found)));
`);
  assert.equal(stdout, 'here\nhere\n127.0.0.1\n[{"address":"::1","family":6}]');
  assert.deepEqual([...new Set(server.seen.map(({ transport }) => transport))], ["tls"]);
});

test("names that are not there are an error of connecting, not a crash", async () => {
  const stdout = await runProgram(`
import { connect } from "node:net";
install({ upstreams: [dot], hosts: "none" });
for (const autoSelectFamily of [true, false])
  await new Promise((resolve) => connect({ host: "absent.example", port: 1, autoSelectFamily }).on("error", (error) => resolve(console.log(error.code, error.syscall, error.hostname))));
try { await fetch("http://absent.example/"); } catch (error) { console.log(error.cause.code); }
`);
  assert.equal(stdout, `${"ENOTFOUND getaddrinfo absent.example\n".repeat(2)}ENOTFOUND`);
});

test("dgram and literals work as before", async () => {
  const stdout = await runProgram(`
import { createSocket } from "node:dgram";
install({ upstreams: [dot], hosts: "none" });
const [a, b] = [createSocket("udp4"), createSocket("udp4")];
await new Promise((resolve) => a.bind(0, "0.0.0.0", resolve));
a.on("message", (octets) => { console.log(String(octets)); a.close(); b.close(); });
b.send("hello", a.address().port, "www.example");
`);
  assert.equal(stdout, "hello");
});

test("taking it away gives the process its own lookups back, in any order", async () => {
  const stdout = await runProgram(`
import dns, { lookup } from "node:dns";
import promises from "node:dns/promises";
const own = [dns.lookup, dns.resolve4, dns.Resolver, promises.lookup, promises.Resolver];
const is = () => console.log([dns.lookup, dns.resolve4, dns.Resolver, promises.lookup, promises.Resolver].map((one, i) => one === own[i]).join(), lookup === dns.lookup);
const first = install({ upstreams: [dot] });
is();
const second = install({ upstreams: [dot] });
console.log(dns.lookup === second.dns.lookup, dns.promises.Resolver === second.dns.promises.Resolver);
await first.uninstall();
console.log(dns.lookup === second.dns.lookup);
await second[Symbol.asyncDispose]();
is();
`);
  assert.deepEqual(stdout.split("\n"), [
    "false,false,false,false,false true",
    "true true",
    "true",
    "true,true,true,true,true true",
  ]);
});

test("what others wrapped before or around it stays theirs", async () => {
  const stdout = await runProgram(`
import dns from "node:dns";
const own = dns.lookup;
const wrap = (name) => { const inner = dns.lookup; dns.lookup = (...given) => { console.log(name); return inner(...given); }; return dns.lookup; };
const before = wrap("before");
const first = install({ upstreams: [dot], hosts: "none" });
const around = wrap("around");
const second = install({ upstreams: [dot], hosts: "none" });
await first.uninstall();
await new Promise((resolve) => dns.lookup("www.example", 4, (error, address) => resolve(console.log(address))));
await second.uninstall();
console.log(dns.lookup === around, dns.resolve4 === first.dns.resolve4);
dns.lookup = before;
const third = install({ upstreams: [dot], hosts: "none" });
await third.uninstall();
await third.uninstall();
console.log(dns.lookup === before);
dns.lookup("127.0.0.1", (error, address) => console.log(address));
`);
  assert.deepEqual(stdout.split("\n"), ["127.0.0.1", "true false", "true", "before", "127.0.0.1"]);
});

test("functions held beyond their time fail and ask nobody else", async () => {
  server.seen.length = 0;
  const stdout = await runProgram(`
import dns from "node:dns";
const installed = install({ upstreams: [dot], hosts: "none" });
const { lookup, promises } = dns;
const { resolve4 } = promises;
await installed.uninstall();
lookup("www.example", (error) => console.log(error.code, error.cause.code));
resolve4("www.example").catch((error) => console.log(error.code, error.cause.code));
`);
  assert.deepEqual(stdout.split("\n").sort(), ["EAI_AGAIN ERR_CLOSED", "ECANCELLED ERR_CLOSED"]);
  assert.deepEqual(server.seen, []);
});

test("a worker installs for itself", async () => {
  server.seen.length = 0;
  const stdout = await runProgram(`
import { Worker } from "node:worker_threads";
import { lookup } from "node:dns/promises";
const text = \`
import dns, { lookup } from "node:dns";
import { install } from "@sotto/dns/node-dns";
import { workerData } from "node:worker_threads";
const before = dns.lookup;
install({ upstreams: [workerData], hosts: "none" });
console.log(dns.lookup === before);
lookup("www.example", 4, (error, address) => console.log(error?.code ?? address));
\`;
install({ upstreams: [dot], hosts: "none" });
const worker = new Worker(text, { eval: true, execArgv: ["--conditions=source", "--input-type=module"], workerData: dot });
await new Promise((resolve) => worker.on("exit", resolve));
console.log((await lookup("www.example", 4)).address);
`);
  assert.equal(stdout, "false\n127.0.0.1\n127.0.0.1");
});

test("a process that must be strict stays so when somebody sets other servers", async () => {
  const stdout = await runProgram(`
import dns from "node:dns";
install({ upstreams: [dot], hosts: "none" });
for (const set of [() => dns.setServers(["127.0.0.1"]), () => new dns.Resolver().setServers(["127.0.0.1:5353"]), () => new dns.promises.Resolver().setServers(["tcp://127.0.0.1"])])
  try { set(); console.log("set"); } catch (error) { console.log(error.code, /strict/.test(error.message)); }
console.log((await dns.promises.resolveTxt("one.one.one.example")).join());
`);
  assert.deepEqual(stdout.split("\n"), ["ERR_CONFIG true", "ERR_CONFIG true", "ERR_CONFIG true", "hello"]);
});

test("events of the library are on diagnostics_channel", async () => {
  const stdout = await runProgram(`
import { subscribe } from "node:diagnostics_channel";
import { lookup } from "node:dns/promises";
install({ upstreams: [dot], hosts: "none", timeoutMs: 2000 });
subscribe("sotto:transport.connection.opened", ({ remote, security }) => console.log("opened", remote.address, security));
subscribe("sotto:stub.answered", ({ name, answer }) => console.log(name, answer.protection, answer.authenticatedBy));
subscribe("sotto:stub.failed", ({ name, error }) => console.log(name, error.code));
await lookup("www.example", 4);
await lookup("silent.example", 4).catch(() => undefined);
`);
  assert.deepEqual(stdout.split("\n"), [
    "opened 127.0.0.1 TLSv1.3",
    "www.example. authenticated name dns.example",
    // Silence is met with a fresh connection before it is believed.
    "opened 127.0.0.1 TLSv1.3",
    "silent.example. ERR_TIMEOUT",
  ]);
});
