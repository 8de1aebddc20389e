/** The installed packages do what they are for: runs with every Node that they support (`npm run test:nodes`). */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { UdpListener } from "@sotto/dns/transport";
import { encodeMessage, makeMessage, parseRecord, tryDecodeMessage } from "@sotto/dns/wire";
import { CONSUMER, CONSUMER_WITH_KOFFI, runText, runThere } from "./consumer.test-support.ts";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const RUNS_PROGRAMS = major > 24 || (major === 24 && minor >= 21);

/** A server that answers everything with one address. */
async function withServer(use: (port: number) => Promise<void>): Promise<void> {
  const server = await UdpListener.open(
    { local: { address: "127.0.0.1", port: 0 } },
    {
      answer(octets) {
        const query = tryDecodeMessage(octets);
        if (!query.ok) return undefined;
        const answers = [parseRecord("www.example. 300 IN A 192.0.2.80")];
        return encodeMessage(makeMessage({ ...query.value, isResponse: true, answers, edns: undefined }));
      },
    },
    nodeRuntime(),
  );
  try {
    await use(server.local.port);
  } finally {
    await server.close();
  }
}

const ask = (port: number): string => `
  const stub = new StubResolver({ upstreams: ["udp://127.0.0.1:${port}"], hosts: "none" });
  const { records, protection } = await stub.query("www.example", RRType.A);
  await stub.close();
  console.log(records.map(recordToText).join(), protection);`;
const ANSWER = "www.example.\t300\tIN\tA\t192.0.2.80 clear\n";

test("the root entry asks a server", () =>
  withServer(async (port) => {
    const program = `import { RRType, StubResolver, recordToText } from "@sotto/dns"; ${ask(port)}`;
    assert.deepEqual(await runText("module", program), { code: 0, stdout: ANSWER, stderr: "" });
  }));

test("CommonJS gets the same by require()", () =>
  withServer(async (port) => {
    const program = `const { RRType, StubResolver, recordToText } = require("@sotto/dns"); (async () => {${ask(port)}})();`;
    const { code, stdout, stderr } = await runText("commonjs", program);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: ANSWER }, stderr);
  }));

test("every subpath can be imported, and shares its classes with the others", async () => {
  const program = `
    import manifest from "@sotto/dns/package.json" with { type: "json" };
    const all = Object.keys(manifest.exports).filter((path) => !path.endsWith(".json"));
    const modules = await Promise.all(all.map((path) => import("@sotto/dns" + path.slice(1))));
    const { StubResolver } = await import("@sotto/dns/stub");
    console.log(all.length > 9, modules.every((module) => Object.keys(module).length > 0), StubResolver === modules[0].StubResolver);`;
  const { code, stdout, stderr } = await runText("module", program);
  assert.deepEqual([code, stdout], [0, "true true true\n"], stderr);
});

test("node:dns can be taken over", () =>
  withServer(async (port) => {
    const program = `
      import { install } from "@sotto/dns/node-dns";
      import { lookup } from "node:dns/promises";
      const installed = install({ upstreams: ["udp://127.0.0.1:${port}"], hosts: "none" });
      console.log((await lookup("www.example", 4)).address);
      await installed.uninstall();`;
    assert.deepEqual(await runText("module", program), { code: 0, stdout: "192.0.2.80\n", stderr: "" });
  }));

/** Whether the system has Fast Open on for servers is another matter: it says so after it took the option. */
const LISTEN_FAST = `
  import { nodeRuntime } from "@sotto/dns/runtime/node";
  const listener = await nodeRuntime().network.listen(
    { local: { address: "127.0.0.1", port: 0 }, tls: undefined, handshakeTimeoutMs: 1000, reusePort: false, fastOpenQueue: 16 },
    { onStream: () => undefined, onFailure: () => undefined });
  console.log(listener.fastOpen);
  await listener.close();`;
const OPTION_TAKEN = /^(?:on$|asked for)/m;

test("Fast Open is had with koffi before Node 26, and without it says what to do", {
  skip: process.platform !== "linux",
}, async () => {
  const [without, withKoffi] = await Promise.all([
    runText("module", LISTEN_FAST),
    runText("module", LISTEN_FAST, CONSUMER_WITH_KOFFI),
  ]);
  assert.match(
    without.stdout,
    major < 26 ? /^this needs Node 26 or later, or the package koffi/ : OPTION_TAKEN,
  );
  assert.match(withKoffi.stdout, OPTION_TAKEN);
});

/** The program as a shell finds it, with this Node. */
const sotto = (...args: string[]): ReturnType<typeof runThere> =>
  runThere(process.execPath, [join(CONSUMER, "node_modules", "sotto", "bin", "sotto.js"), ...args]);

test("a Node that is too old for the programs is told so", { skip: RUNS_PROGRAMS }, async () => {
  const { code, stderr } = await sotto("--version");
  assert.equal(code, 10);
  assert.equal(stderr, `sotto needs Node 24.21 or newer, and this is ${process.versions.node}\n`);
});

test("sotto tells its version and asks a server", { skip: !RUNS_PROGRAMS }, () =>
  withServer(async (port) => {
    assert.match((await sotto("--version")).stdout, /^sotto \d+\.\d+\.\d+\n$/);
    const { code, stdout, stderr } = await sotto(
      "query",
      "@127.0.0.1",
      "-p",
      String(port),
      "+short",
      "www.example",
      "A",
    );
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "192.0.2.80\n", stderr: "" });
  }),
);

test("sotto stub says what it wants", { skip: !RUNS_PROGRAMS }, async () => {
  const { code, stdout } = await sotto("stub", "--help");
  assert.equal(code, 0);
  assert.match(stdout, /--config/);
});

test("the playground resolves on its own internet", { skip: !RUNS_PROGRAMS }, async () => {
  const { code, stdout, stderr } = await sotto("playground", "--once");
  assert.equal(code, 0, stderr);
  assert.match(stdout, /All replies were as they should be\.\n$/);
  assert.equal(stderr, "");
});
