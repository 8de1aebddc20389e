/** The programs that show what front ends do, short, with front ends of others: that they observe, tell, and leave nothing behind. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { peerTest, temporaryFolder } from "./peers.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const NODE = join(ROOT, "node_modules/.bin/node");

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly progress: string;
}

/** Runs one to its end, with a folder for all temporary files. */
function run(context: TestContext, folder: string, file: string, args: readonly string[]): Promise<Ended> {
  const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning", join(ROOT, file)];
  const child = spawn(NODE, [...flags, ...args], { cwd: ROOT, env: { ...process.env, TMPDIR: folder } });
  context.after(() => child.kill("SIGTERM"));
  let [output, progress] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    progress += chunk.toString();
  });
  return new Promise((done) => child.on("close", (code) => done({ code, output, progress })));
}

interface ToldCell {
  readonly front: string;
  readonly row: string;
  readonly word: string;
  readonly traces: readonly (readonly { readonly way: string }[])[];
}

const GAPS = ["dnsdist", "haproxy", "unshare", "setpriv", "taskset"];

peerTest(
  "the table of gaps tells what HAProxy and dnsdist do before a server in order",
  GAPS,
  async (context) => {
    const folder = temporaryFolder(context);
    const args = ["--fronts", "haproxy,dnsdist", "--backends", "serial", "--json"];
    const { code, output, progress } = await run(context, folder, "scripts/front/evidence.ts", args);
    assert.equal(code, 0, progress);
    // The program wrote it.
    const told = JSON.parse(output) as { readonly cells: readonly ToldCell[] };
    const wordOf = (front: string, row: string): string | undefined =>
      told.cells.find((cell) => cell.front === front && cell.row === row)?.word;
    const expected: readonly (readonly [row: string, haproxy: string, dnsdist: string])[] = [
      ["pipelining", "full", "full"],
      ["order", "none", "full"],
      ["keepalive", "none", "none"],
      ["padding", "none", "none"],
      ["access", "partial", "full"],
      ["address", "full", "full"],
      ["connections", "none", "none"],
      ["resumption", "full", "full"],
      ["draining", "partial", "none"],
    ];
    for (const [row, haproxy, dnsdist] of expected)
      assert.deepEqual([wordOf("haproxy", row), wordOf("dnsdist", row)], [haproxy, dnsdist], row);
    const traces = told.cells.find(({ row }) => row === "pipelining")?.traces[0] ?? [];
    assert.deepEqual(
      ["sent", "received"].map((way) => traces.filter((line) => line.way === way).length),
      [20, 20],
    );
    assert.deepEqual(readdirSync(folder), []);
  },
);

peerTest("our front end does all of it before a server in order", GAPS, async (context) => {
  const folder = temporaryFolder(context);
  const args = ["--fronts", "sotto", "--backends", "serial", "--json"];
  const { code, output, progress } = await run(context, folder, "scripts/front/evidence.ts", args);
  assert.equal(code, 0, progress);
  // The program wrote it.
  const told = JSON.parse(output) as { readonly cells: readonly ToldCell[] };
  const short = told.cells.filter(({ row, word }) => word !== "full" && row !== "fastOpen");
  assert.deepEqual(short, [], progress);
  assert.equal(told.cells.length, 10);
  assert.deepEqual(readdirSync(folder), []);
});

const STORM = ["unshare", "setpriv", "taskset"];

peerTest(
  "a storm over our front end is answered rightly while backends come and go",
  STORM,
  async (context) => {
    const folder = temporaryFolder(context);
    const args = ["--clients", "200", "--queries", "100000", "--outstanding", "100"];
    const { output, progress } = await run(context, folder, "bench/front/storm.ts", args);
    // How long answers take is a matter of the machine, and none of this test.
    assert.match(output, /● met {4}wrong answers: 0 of/, progress);
    assert.match(output, /● met {4}queries without an outcome: 0 of/);
    assert.match(output, /● met {4}connections to the backends at once: at most \d\n/);
    assert.match(output, /● met {4}every query is counted once/);
    assert.deepEqual(readdirSync(folder), []);
  },
);

peerTest("a calm storm through dnsdist is answered rightly", [...STORM, "dnsdist"], async (context) => {
  const folder = temporaryFolder(context);
  const args = ["--front", "dnsdist", "--calm", "--clients", "50", "--queries", "5000", "--leaving", "0"];
  const { code, output, progress } = await run(context, folder, "bench/front/storm.ts", args);
  assert.equal(code, 0, `${output}${progress}`);
  assert.match(output, /● met {4}wrong answers: 0 of 5000\n/);
  assert.match(output, /● met {4}queries without an outcome: 0 of 5000\n/);
  assert.deepEqual(readdirSync(folder), []);
});
