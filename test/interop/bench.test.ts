/** The benchmark itself, short, with one peer: that it measures, tells, and leaves nothing behind. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { takeSnapshot } from "../../bench/peers/accounting.ts";
import type { BenchDocument } from "../../bench/peers/document.ts";
import { runPipeline } from "../../bench/peers/generator/pipeline.ts";
import type { TestResult } from "../../bench/peers/judge.ts";
import { peerTest, temporaryFolder } from "./peers.ts";

const PROGRAMS = ["unbound", "nsd", "dnsperf", "taskset", "setpriv"];
const ROOT = resolve(import.meta.dirname, "../..");
const NODE = join(ROOT, "node_modules/.bin/node");

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{
    readonly code: number | null;
    readonly output: string;
    readonly progress: string;
  }>;
  progress(): string;
}

/** Starts it with a folder for all temporary files. */
function start(context: TestContext, folder: string, args: readonly string[]): Run {
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
  const command = [...flags, join(ROOT, "bench/peers.ts"), "--servers", "unbound", "--force", ...args];
  const child = spawn(NODE, command, { cwd: ROOT, env: { ...process.env, TMPDIR: folder }, detached: true });
  context.after(() => child.kill("SIGTERM"));
  let [output, progress] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    progress += chunk.toString();
  });
  const ended: Run["ended"] = new Promise((done) =>
    child.on("close", (code) => done({ code, output, progress })),
  );
  return { child, ended, progress: () => progress };
}

peerTest("the benchmark measures a peer and us, and leaves nothing behind", PROGRAMS, async (context) => {
  const folder = temporaryFolder(context);
  const args = ["--tests", "dot-1,udp,tls-full", "--rounds", "1", "--secs", "0.3", "--json"];
  const { code, output, progress } = await start(context, folder, args).ended;
  // Whether goals are met on this machine now, and whether it was loaded, is no matter of this test.
  assert.ok(code === 0 || code === 1 || code === 3, `${code}: ${progress}`);
  // The benchmark wrote it.
  const told = JSON.parse(output) as BenchDocument & { readonly results: readonly TestResult[] };
  assert.deepEqual(
    told.tests.map(({ key, load }) => [key, load]),
    [
      ["dot-1", "dnsperf"],
      ["udp", "dnsperf"],
      ["tls-full", "own"],
    ],
  );
  for (const { test: row, servers, ours } of told.results) {
    assert.deepEqual(servers.map(({ server }) => server).sort(), ["sotto", "unbound"]);
    for (const one of servers) {
      assert.equal(one.wrong, 0, `${row.key} ${one.server}`);
      assert.ok(one.cpuUs > 0 && one.perSecond > 0, `${row.key} ${one.server}`);
      // dnsperf, which takes the others, tells none.
      assert.equal((one.p50Ms ?? 0) > 0, row.key === "tls-full", `${row.key} ${one.server}`);
    }
    assert.equal(ours.length, 1);
  }
  assert.deepEqual(readdirSync(folder), []);
});

peerTest(
  "a benchmark that is interrupted ends at once and leaves nothing behind",
  PROGRAMS,
  async (context) => {
    const folder = temporaryFolder(context);
    const run = start(context, folder, ["--tests", "dot-1", "--rounds", "99", "--secs", "1"]);
    const { pid } = run.child;
    const measures = new Promise<void>((ready) =>
      run.child.stderr?.on("data", () => {
        if (run.progress().includes("unbound")) ready();
      }),
    );
    await Promise.race([
      measures,
      run.ended.then(({ code, progress }) => assert.fail(`${code}: ${progress}`)),
    ]);
    // As a terminal does it: to the whole group.
    if (pid !== undefined) process.kill(-pid, "SIGINT");
    const { code } = await run.ended;
    assert.equal(code, 130);
    assert.deepEqual(readdirSync(folder), []);
  },
);

/** Answers over TCP, but for {@link STALL_MS} after so many queries, when it does nothing at all. */
const STALLING_SERVER = `
const { createServer } = require("node:net");
const { parentPort, workerData } = require("node:worker_threads");
let queries = 0;
const server = createServer((socket) => {
  let rest = Buffer.alloc(0);
  socket.setNoDelay(true).on("error", () => {}).on("data", (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
      const octets = 2 + rest.readUInt16BE();
      const reply = Buffer.from(rest.subarray(0, octets));
      reply[4] |= 0x80;
      rest = rest.subarray(octets);
      if (++queries === workerData.stallsAfter)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, workerData.stallMs);
      socket.write(reply);
    }
  });
});
server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
`;
const STALL_MS = 400;

peerTest("queries at a rate wait for a server that stalls, and none is left out", [], async (context) => {
  const workerData = { stallsAfter: 600, stallMs: STALL_MS };
  const server = new Worker(STALLING_SERVER, { eval: true, workerData });
  context.after(() => server.terminate());
  const port = await new Promise<number>((ready) => server.once("message", ready));
  const outcome = runPipeline(
    {
      kind: "pipeline",
      target: { transport: "tcp", address: "127.0.0.1", port },
      connections: 1,
      outstanding: 10,
      names: { kind: "cached" },
      ratePerSecond: 1000,
    },
    { leadMs: 100, windowMs: 1000 },
    () => takeSnapshot([]),
  );
  // Two fifths of the counted time had no answer: with ten under way, all that were due in it would be missing otherwise.
  assert.equal(outcome.lost, 0);
  assert.ok((outcome.p99Ms ?? 0) > STALL_MS * 0.9, `p99 ${outcome.p99Ms}`);
  assert.ok(outcome.answers > 700, `${outcome.answers} answers`);
});
