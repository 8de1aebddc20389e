/**
 * Upstreams of which only the name is known, and resolvers of which only the address is known, with Debian's servers: Unbound and
 * dnsdist tell where they are and whom they designate.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { StubResolver } from "@sotto/dns/stub";
import {
  freePort,
  peerTest,
  type RunningPeer,
  runCommand,
  runSotto,
  SOTTO,
  startPeer,
  temporaryFolder,
} from "./peers.ts";
import { type ForeignServer, startForeignServer } from "./servers.ts";

/** Starts an Unbound that knows these records, and that recurses nowhere. */
async function startUnbound(context: TestContext, name: string, records: readonly string[]): Promise<Teller> {
  const folder = temporaryFolder(context);
  const port = await freePort();
  const file = join(folder, `${name}.conf`);
  const data = records.map((record) => `  local-data: '${record}'\n`).join("");
  writeFileSync(
    file,
    `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  interface: 127.0.0.1@${port}
  module-config: "iterator"
  local-zone: "example." static
  local-zone: "resolver.arpa." static
${data}remote-control:
  control-enable: no
`,
  );
  return running(context, port, ["/usr/sbin/unbound", "-d", "-p", "-c", file]);
}

/** Starts a dnsdist that forwards to a server and designates another one. */
async function startDnsdist(context: TestContext, backendPort: number, tlsPort: number): Promise<Teller> {
  const folder = temporaryFolder(context);
  const port = await freePort();
  const file = join(folder, "dnsdist.conf");
  writeFileSync(
    file,
    `setLocal('127.0.0.1:${port}', { maxInFlight = 100 })
setACL({ '127.0.0.0/8' })
setSecurityPollSuffix('')
newServer({ address = '127.0.0.1:${backendPort}', checkName = 'interop.example.', checkType = 'SOA', maxInFlight = 100 })
addAction(AndRule({ QNameRule('_dns.resolver.arpa.'), QTypeRule(64) }), SpoofSVCAction(
  { newSVCRecordParameters(1, 'dot.example.', { alpn = { 'dot' }, port = ${tlsPort}, ipv4hint = { '127.0.0.1' } }) }))
`,
  );
  return running(context, port, ["/usr/bin/dnsdist", "--supervised", "--disable-syslog", "-C", file]);
}

interface Teller {
  readonly port: number;
  stop(): Promise<void>;
}

async function running(
  context: TestContext,
  port: number,
  [program = "", ...args]: readonly string[],
): Promise<Teller> {
  const peer = await startPeer(program, args, async () => {
    const words = ["@127.0.0.1", "-p", String(port), "+time=1", "+tries=1", "_dns.resolver.arpa", "TYPE64"];
    return (await runCommand("dig", words)).stdout.includes("status:");
  });
  context.after(() => peer.stop());
  return { port, stop: () => peer.stop() };
}

/** One that answers over TLS; where it is or what it is called is told by another. */
async function startResolver(context: TestContext, folder: string, name: "unbound" | "dnsdist" | "kresd") {
  const backend = name === "unbound" ? undefined : await startForeignServer("nsd", folder);
  context.after(() => backend?.peer.stop());
  const server = await startForeignServer(name, folder, backend?.port);
  context.after(() => server.peer.stop());
  return server;
}

const WHERE = ["server.example. 300 IN A 127.0.0.1", "server.example. 300 IN AAAA ::1"];

for (const name of ["unbound", "dnsdist"] as const)
  peerTest(
    `${name} is found by its name, and again without anybody who tells it [8310-7.2-a]`,
    [name, "unbound", "nsd", "dig"],
    async (context) => {
      const folder = temporaryFolder(context);
      const server = await startResolver(context, folder, name);
      const bootstrap = await startUnbound(context, "bootstrap", WHERE);
      let stored: string | undefined;
      const options = {
        upstreams: [byName(server)],
        bootstrap: [{ address: "127.0.0.1", port: bootstrap.port, transport: "udp" as const }],
        cacheBytesMax: 0,
        addressStore: {
          load: () => stored,
          store: (text: string) => {
            stored = text;
          },
        },
      };
      // Nobody listens at the IPv6 address, which is told, too.
      await using first = new StubResolver(options);
      const answer = await first.query("www.interop.example", "A");
      assert.equal(answer.authenticatedBy, `name ${server.authName}`);
      assert.deepEqual(first.upstreams[0]?.upstream.lookup?.addresses, ["127.0.0.1", "::1"]);
      await bootstrap.stop();
      await using second = new StubResolver(options);
      assert.equal((await second.query("www.interop.example", "A")).protection, "authenticated");
    },
  );

function byName({ authName, tlsPort, caFile }: ForeignServer) {
  return { name: authName, port: tlsPort, trustAnchorsPem: [readFileSync(caFile, "utf8")] };
}

peerTest(
  "a forged address leads to somebody without the certificate, who gets no query",
  ["unbound"],
  async (context) => {
    const folder = temporaryFolder(context);
    mkdirSync(join(folder, "wanted"));
    const wanted = await startResolver(context, join(folder, "wanted"), "unbound");
    const other = await startResolver(context, folder, "unbound");
    const liar = await startUnbound(context, "liar", WHERE);
    await using stub = new StubResolver({
      upstreams: [{ ...byName(wanted), port: other.tlsPort }],
      bootstrap: [`udp://127.0.0.1:${liar.port}`],
    });
    await assert.rejects(stub.query("www.interop.example", "A"), { code: "ERR_TLS_NOT_AUTHENTICATED" });
  },
);

interface StubRun {
  readonly peer: RunningPeer;
  readonly port: number;
  readonly socket: string;
}

async function startStub(context: TestContext, folder: string, settings: string): Promise<StubRun> {
  const port = await freePort();
  const file = join(folder, "stub.yaml");
  const socket = join(folder, "stub.sock");
  writeFileSync(
    file,
    `listen: [{ transport: udp, address: 127.0.0.1, port: ${port} }]\n${settings}dnssec: { validation: false }\n`,
  );
  const args = [...SOTTO, "stub", "--config", file, "--socket", socket];
  const peer = await startPeer(process.execPath, args, (output) => output.includes("ready"));
  context.after(() => peer.stop());
  return { peer, port, socket };
}

async function ask({ port }: StubRun): Promise<string> {
  const words = ["@127.0.0.1", "-p", String(port), "+time=10", "+tries=1", "www.interop.example"];
  return (await runCommand("dig", words)).stdout;
}

interface ToldUpstream {
  readonly rung: string;
  readonly state: string;
  readonly authenticatedBy?: string;
  readonly lookup?: { readonly addresses: readonly string[]; readonly from?: string };
}

/** As `sotto stub status` prints them. */
async function upstreamsOf({ socket }: StubRun): Promise<ToldUpstream[]> {
  const told = await runSotto(["stub", "status", "--socket", socket, "--json"]);
  const { zones } = JSON.parse(told.stdout) as { zones: { upstreams: ToldUpstream[] }[] };
  return zones[0]?.upstreams ?? [];
}

peerTest(
  "sotto stub finds its upstream by name, keeps the address in a file and starts with it [8310-7.2-a]",
  ["unbound", "dig"],
  async (context) => {
    const folder = temporaryFolder(context);
    const server = await startResolver(context, folder, "unbound");
    const bootstrap = await startUnbound(context, "bootstrap", WHERE);
    const settings = `stub:
  upstreams: [{ name: ${server.authName}, port: ${server.tlsPort}, authorities: ${server.caFile} }]
  bootstrap: ["udp://127.0.0.1:${bootstrap.port}"]
  state-file: addresses.json
`;
    const first = await startStub(context, folder, settings);
    assert.match(await ask(first), /192\.0\.2\.1/);
    const [upstream] = await upstreamsOf(first);
    assert.equal(upstream?.state, "authenticated");
    assert.deepEqual(upstream.lookup?.addresses, ["127.0.0.1", "::1"]);
    assert.equal(upstream.lookup.from, "bootstrap");
    const table = await runSotto(["stub", "status", "--socket", first.socket]);
    assert.match(table.stdout, /server\.example: 127\.0\.0\.1, ::1 \(bootstrap\)/);
    await first.peer.stop();
    await bootstrap.stop();
    assert.match(
      readFileSync(join(folder, "addresses.json"), "utf8"),
      /"server\.example": \[\s*"127\.0\.0\.1"/,
    );
    const second = await startStub(context, folder, settings);
    assert.match(await ask(second), /192\.0\.2\.1/);
    assert.equal((await upstreamsOf(second))[0]?.lookup?.from, "last good");
  },
);

for (const teller of ["unbound", "dnsdist"] as const)
  peerTest(
    `whom ${teller} designates is asked instead of it, when its certificate is for its address [9462-4-a] [9462-4.2-a]`,
    [teller, "unbound", "nsd", "dig"],
    async (context) => {
      const folder = temporaryFolder(context);
      const server = await startResolver(context, folder, "unbound");
      const { tlsPort } = server;
      const record = `_dns.resolver.arpa. 300 IN SVCB 1 dot.example. alpn="dot" port=${tlsPort} ipv4hint=127.0.0.1`;
      const plain =
        teller === "dnsdist"
          ? await startDnsdist(context, server.port, tlsPort)
          : await startUnbound(context, "designator", [record, "www.interop.example. 60 IN A 192.0.2.9"]);
      const address = { address: "127.0.0.1", port: plain.port };
      const trustAnchorsPem = [readFileSync(server.caFile, "utf8")];
      await using stub = new StubResolver({ upstreams: [{ ...address, trustAnchorsPem }] });
      const answer = await stub.query("www.interop.example", "A");
      assert.equal(answer.authenticatedBy, "name 127.0.0.1");
      assert.equal(answer.exchange?.upstream.port, tlsPort);
      // Of an authority that this one does not trust: RFC 9462 §4.2.
      await using distrustful = new StubResolver({ upstreams: [address], neverClear: false });
      assert.notEqual((await distrustful.query("www.interop.example", "A")).protection, "authenticated");
      const daemon = await startStub(
        context,
        folder,
        `stub:\n  profile: opportunistic\n  upstreams: [{ address: 127.0.0.1, port: ${plain.port}, authorities: ${server.caFile} }]\n`,
      );
      assert.match(await ask(daemon), /192\.0\.2\.1/);
      const [designated] = await upstreamsOf(daemon);
      assert.deepEqual([designated?.rung, designated?.authenticatedBy], ["authenticated", "name 127.0.0.1"]);
    },
  );
