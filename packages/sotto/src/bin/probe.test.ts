import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { ProgramIo } from "../operations/index.ts";
import { runProbe } from "./probe.ts";

const REPORT = {
  version: 1,
  reports: [
    {
      kind: "server",
      target: "192.0.2.1",
      startedAt: "2026-11-29T12:00:00.000Z",
      tookMs: 5,
      cells: [
        {
          row: "tls",
          verdict: "released",
          confidence: "certain",
          observed: "TLS 1.3",
          requirements: [],
          evidence: [],
        },
        {
          row: "padding",
          verdict: "none",
          confidence: "certain",
          observed: "no padding",
          requirements: [],
          evidence: [],
        },
      ],
    },
  ],
};

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function probe(...args: readonly string[]): Promise<Said> {
  const out: string[] = [];
  const err: string[] = [];
  const io: ProgramIo = {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    onSignal: () => () => undefined,
  };
  const code = await runProbe(args, io);
  return { code, out: out.join(""), err: err.join("") };
}

function folder(context: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), "sotto-probe-"));
  context.after(() => rmSync(made, { recursive: true }));
  return made;
}

function fileOf(context: TestContext, text: string, name = "report.json"): string {
  const file = join(folder(context), name);
  writeFileSync(file, text);
  return file;
}

test("a saved report is shown, written as a page and saved again under a name", async (context) => {
  const file = fileOf(context, JSON.stringify(REPORT));
  const to = folder(context);
  const said = await probe(
    "report",
    `mine=${file}`,
    "--html",
    join(to, "a.html"),
    "--save",
    join(to, "a.json"),
  );
  assert.deepEqual([said.code, said.err], [0, ""]);
  assert.match(said.out, /TLS on port 853 +● Released\n/);
  assert.match(readFileSync(join(to, "a.html"), "utf8"), /^<!DOCTYPE html>\n<html lang="en">/);
  assert.equal(JSON.parse(readFileSync(join(to, "a.json"), "utf8")).reports[0].title, "mine");
});

test("a saved report becomes a capture, and one without messages is told to be empty", async (context) => {
  const step = { atMs: 0, who: "prober", what: "a query", octets: "00".repeat(12), over: "udp" };
  const [report] = REPORT.reports;
  const cells = report?.cells.map((cell) => ({ ...cell, evidence: [step] }));
  const to = folder(context);
  const capture = async (content: unknown, name: string) => {
    const file = fileOf(context, JSON.stringify(content));
    const said = await probe("report", file, "--pcapng", join(to, name));
    return { err: said.err, octets: readFileSync(join(to, name)) };
  };
  const full = await capture({ ...REPORT, reports: [{ ...report, cells }] }, "full.pcapng");
  const empty = await capture(REPORT, "empty.pcapng");
  assert.equal(full.err, "");
  assert.match(empty.err, /no messages, so .*empty\.pcapng has no packets\n$/);
  for (const { octets } of [full, empty]) assert.equal(octets.readUInt32BE(0), 0x0a0d0d0a);
  assert.equal(full.octets.includes("padding: a query"), true);
});

test("the exit code says whether something is broken, missing, or could not be probed", async (context) => {
  const withCells = (cells: unknown): string =>
    fileOf(context, JSON.stringify({ ...REPORT, reports: [{ ...REPORT.reports[0], cells }] }));
  const [released] = REPORT.reports[0]?.cells ?? [];
  const good = fileOf(context, JSON.stringify(REPORT));
  assert.equal((await probe("report", good)).code, 0);
  assert.equal((await probe("report", good, "--require", "tls")).code, 0);
  assert.equal((await probe("report", good, "--require", "padding")).code, 2);
  assert.equal((await probe("report", good, "--require", "no-such-row")).code, 2);
  assert.equal((await probe("report", withCells([{ ...released, verdict: "broken" }]))).code, 2);
  assert.equal((await probe("report", withCells([{ ...released, verdict: "not testable" }]))).code, 2);
  assert.equal((await probe("report", withCells([{ ...released, verdict: "none" }]))).code, 2);
  assert.equal((await probe("report", withCells([]))).code, 2);
});

test("the plugin's line has the plugin's exit code", async (context) => {
  const file = fileOf(context, JSON.stringify(REPORT));
  const said = await probe("report", file, "--nagios", "tls-padding");
  assert.deepEqual([said.code, said.out], [2, "DNS SERVER CRITICAL - No padding found: no padding\n"]);
});

test("a monitor is told that nothing is known when there is nothing to judge", async () => {
  // 1 and 2, which these ended with, are a warning and an alarm.
  for (const args of [
    ["report", "/nonexistent.json", "--nagios", "rtt"],
    ["server", "not a target", "--nagios=all"],
    ["server", "192.0.2.1", "--nagios", "colour"],
    ["client", "--preset", "nslookup", "--nagios", "all"],
  ]) {
    const said = await probe(...args);
    assert.equal(said.code, 3, args.join(" "));
    assert.match(said.out, /^DNS SERVER UNKNOWN - [^\n]+\n$/);
  }
  assert.equal((await probe("client", "--", "dig", "--nagios")).code, 2);
});

test("a row is explained, and an unknown one is answered with those there are", async (context) => {
  const file = fileOf(context, JSON.stringify(REPORT));
  assert.match((await probe("report", file, "--explain", "tls")).out, /^192\.0\.2\.1: TLS on port 853\n=+\n/);
  const said = await probe("report", file, "--explain", "tsl");
  assert.equal(said.code, 1);
  assert.match(said.err, /no row is called "tsl"; there are fast-open, pipelining/);
});

test("keys of rows in a file of anybody cannot steer the terminal that they are listed on", async (context) => {
  const text = JSON.stringify(REPORT).replace('"padding"', '"\\u001b[2J"');
  const said = await probe("report", fileOf(context, text), "--explain", "tsl");
  assert.match(said.err, /, \\u001b\[2J,|, \\u001b\[2J\n/);
  assert.doesNotMatch(said.err.trimEnd(), /\p{Cc}/u);
});

test("what cannot be read or written is told with its name", async (context) => {
  const file = fileOf(context, JSON.stringify(REPORT));
  for (const [args, expected] of [
    [["report", "/nowhere/a.json"], /^sotto probe: cannot read \/nowhere\/a\.json: /],
    [["report", fileOf(context, "{}")], /report\.json is no report of sotto probe: /],
    [["report", file, "--html", "/nowhere/a.html"], /cannot write \/nowhere\/a\.html: /],
    [["server", "192.0.2.1", "--ca-file", file], /holds no certificate in PEM form/],
  ] as const) {
    const said = await probe(...args);
    assert.deepEqual([said.code, said.out], [2, ""]);
    assert.match(said.err, expected);
  }
});

test("a target that is none is a mistake of usage, before anything is sent", async () => {
  const said = await probe("server", "192.0.2.1", "not an address");
  assert.equal(said.code, 1);
  assert.match(said.err, /"not an address" is no target: /);
});

test("a plan tells what would be sent, and sends nothing", async () => {
  const said = await probe("server", "mine=192.0.2.1", "--plan");
  assert.equal(said.code, 0);
  assert.match(said.out, /^mine:\n {2}to 192\.0\.2\.1: /);
});

test("privacy judges a configuration, and tells problems of the file", async (context) => {
  const file = fileOf(context, "listen: [{ transport: tls, address: 192.0.2.1 }]", "sotto.yaml");
  const said = await probe("privacy", "--config", file);
  assert.equal(said.code, 2);
  assert.match(said.out, /✗ fail {2}RFC 8932 §5\.1\.2: /);
  assert.match((await probe("privacy", "--config", file, "--statement")).out, /^# DNS privacy statement\n/);
  const wrong = await probe("privacy", "--config", fileOf(context, "lisen: []", "sotto.yaml"));
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /sotto\.yaml:1: lisen: unknown key/);
});

test("no line of the help is wider than a wide terminal", async () => {
  const said = await probe("--help");
  assert.equal(said.code, 0);
  for (const line of said.out.split("\n")) assert.ok(line.length <= 122, line);
});

// It was read until the memory was full.
test("a report or authorities without an end are too large", { timeout: 30_000 }, async () => {
  const report = await probe("report", "/dev/zero");
  assert.deepEqual([report.code, report.out], [2, ""]);
  assert.match(report.err, /\/dev\/zero is too large: at most 67108864 octets are read\n$/);
  const authorities = await probe("server", "192.0.2.1", "--ca-file", "/dev/zero");
  assert.match(authorities.err, /at most 16777216 octets are read\n$/);
});
