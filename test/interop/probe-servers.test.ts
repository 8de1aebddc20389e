/**
 * The prober against Debian's unbound and our own server, with a server for tests behind both that answers slowly when asked to:
 * what the two can do is known by other means.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { TestServer } from "../../packages/sotto/src/testserver/test-server.ts";
import type { ProbeReport, Verdict } from "../../packages/sotto/src/tools/probe/model.ts";
import { probePath } from "../../packages/sotto/src/tools/probe/path/index.ts";
import {
  PATIENCE_CAREFUL,
  type ProbeNames,
  type ProbeOptions,
  probeServer,
  type ServerTarget,
} from "../../packages/sotto/src/tools/probe/server/index.ts";
import { AUTH_NAME, DOMAIN, startServerFrom, writeIdentity } from "./our-server.ts";
import { freePort, peerTest, temporaryFolder } from "./peers.ts";
import { startForeignServer } from "./servers.ts";

/** Shorter than what both servers promise to idle connections: the row says that it was not waited out. */
const PATIENCE = { ...PATIENCE_CAREFUL, idleMs: 3000 };
/** A healthy server over loopback, idle timers excepted. */
const PROBE_MS_MAX = 60_000;

async function startSlowServer(context: TestContext): Promise<number> {
  const tests = await TestServer.start({ address: "127.0.0.1", portBase: 0, only: ["good"] }, nodeRuntime());
  context.after(() => tests.close());
  return tests.fixture("good")?.places.find(({ transport }) => transport === "udp")?.port ?? 0;
}

interface Probed {
  readonly port: number;
  readonly tlsPort: number;
  readonly caFile: string;
  readonly name: string;
  readonly names: Pick<ProbeNames, "existing" | "below">;
}

function probed(server: Probed): { readonly target: ServerTarget; readonly options: ProbeOptions } {
  const { port, tlsPort, name, names } = server;
  return {
    target: { text: "peer", address: "127.0.0.1", port, tlsPort, name, transports: ["udp", "tcp", "tls"] },
    options: {
      isThorough: false,
      names: { ...names, delay: "d300-x.test" },
      signal: undefined,
      trustAnchorsPem: [readFileSync(server.caFile, "utf8")],
      patience: PATIENCE,
    },
  };
}

function assertVerdicts(report: ProbeReport, expected: Readonly<Record<string, Verdict>>): void {
  const seen = Object.fromEntries(report.cells.map(({ row, verdict }) => [row, verdict]));
  const told = report.cells.map(({ row, verdict, observed }) => `${row}: ${verdict}, ${observed}`).join("\n");
  for (const [row, verdict] of Object.entries(expected)) assert.equal(seen[row], verdict, `${row}\n${told}`);
}

/** What both do. */
const EXPECTED: Readonly<Record<string, Verdict>> = {
  pipelining: "released",
  "out-of-order": "released",
  keepalive: "released",
  tls: "released",
  certificate: "released",
  padding: "released",
  reuse: "released",
  udp: "released",
  tcp: "released",
  replies: "released",
  "two-in-one": "released",
  segmentation: "released",
  "in-flight": "released",
  "idle-timeout": "released",
  resumption: "released",
};

async function checkServer(
  context: TestContext,
  server: Probed,
  expected: Readonly<Record<string, Verdict>>,
): Promise<void> {
  const { target, options } = probed(server);
  const report = await probeServer(target, options, nodeRuntime(), () => undefined);
  for (const { row, verdict, observed } of report.cells)
    context.diagnostic(`${row}: ${verdict}: ${observed}`);
  context.diagnostic(`took ${report.tookMs} ms`);
  assertVerdicts(report, expected);
  assert.ok(report.tookMs < PROBE_MS_MAX, `took ${report.tookMs} ms`);
  const path = await probePath(target, options, nodeRuntime(), () => undefined);
  for (const { row, verdict, observed } of path.cells)
    context.diagnostic(`path ${row}: ${verdict}: ${observed}`);
  assertVerdicts(path, {
    udp: "released",
    tcp: "released",
    tls: "released",
    identity: "released",
    options: "released",
    answers: "released",
  });
}

peerTest(
  "unbound is found to do what it is known for [rfc7766] [rfc7828] [rfc8467]",
  ["unbound"],
  async (context) => {
    const slowPort = await startSlowServer(context);
    const server = await startForeignServer("unbound", temporaryFolder(context), slowPort);
    context.after(() => server.peer.stop());
    const names = { existing: "www.interop.example", below: "interop.example" };
    // Debian's unbound is built without Fast Open for servers.
    await checkServer(context, { ...server, name: server.authName, names }, EXPECTED);
  },
);

test("our own server is green in every row of 2016 that this system lets be tested", {
  timeout: 120_000,
}, async (context) => {
  const slowPort = await startSlowServer(context);
  const folder = temporaryFolder(context);
  await writeIdentity(folder);
  const port = await freePort();
  const server = await startServerFrom(
    context,
    folder,
    `listen:
  - { transport: udp, address: 127.0.0.1, port: ${port} }
  - { transport: tcp, address: 127.0.0.1, port: ${port} }
  - { transport: tls, address: 127.0.0.1, port: 0, certificate: server.pem, key: server.key }
local-zones: { except: [test.], data: ["n1.${DOMAIN}. 300 IN A 192.0.2.1"] }
forward-zones:
  - { name: test., upstreams: ["udp://127.0.0.1:${slowPort}"] }
dnssec: { validation: false }
`,
  );
  const tlsPort = server.listeners.find(({ transport }) => transport === "tls")?.local.port ?? 0;
  const names = { existing: `n1.${DOMAIN}`, below: "test" };
  const places = { port, tlsPort, caFile: join(folder, "ca.pem"), name: AUTH_NAME, names };
  await checkServer(context, places, {
    ...EXPECTED,
    "half-close": "released",
    alpn: "released",
    sni: "released",
    "tls-versions": "released",
    "edns-udp": "released",
    "edns-tcp": "released",
    "edns-tls": "released",
    "odd-requests": "released",
  });
});
