/** The harness with real processes: our own clients, and some that nobody should have written. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { encodeMessage, frameMessage, makeMessage, parseName, RRClass, RRType } from "@sotto/dns/wire";
import type { Cell, ProbeReport } from "../model.ts";
import { type ProbeClientOptions, probeClient } from "./index.ts";

const NODE = [process.execPath, "--conditions=source", "--disable-warning=ExperimentalWarning"];
const SOTTO = [...NODE, new URL("../../../bin/sotto.ts", import.meta.url).pathname];

function probe(
  command: readonly string[] | undefined,
  options: ProbeClientOptions = {},
  onCell: (cell: Cell) => void = () => undefined,
): Promise<ProbeReport> {
  return probeClient(command, { sotto: SOTTO, ...options }, nodeRuntime(), onCell);
}

function verdicts({ cells }: ProbeReport): Readonly<Record<string, string>> {
  return Object.fromEntries(cells.map(({ row, verdict }) => [row, verdict]));
}

test("sotto query: what it has, and what it has when it is told to", { timeout: 60_000 }, async () => {
  const rows = [
    "reuse",
    "pipelining",
    "out-of-order",
    "keepalive",
    "tls",
    "authentication",
    "padding",
    "pins",
  ];
  const told: string[] = [];
  const report = await probe(undefined, { preset: "sotto-query", rows }, ({ row }) => void told.push(row));
  assert.deepEqual(verdicts(report), {
    reuse: "off",
    pipelining: "off",
    "out-of-order": "released",
    keepalive: "off",
    tls: "released",
    authentication: "released",
    padding: "released",
    pins: "released",
  });
  assert.deepEqual(told, rows, "cells are told as they come");
  assert.deepEqual([report.kind, report.target], ["client", "sotto-query"]);
  for (const cell of report.cells) assert.ok(cell.evidence.length > 0, cell.row);
  const evidence = report.cells.find(({ row }) => row === "pipelining")?.evidence ?? [];
  assert.ok(evidence.some(({ what }) => /query delay-400-run[0-9]+q1\.test\. A \([0-9]+ octets/.test(what)));
});

test("sotto stub: a daemon is asked over UDP, keeps its connection and obeys keepalive", {
  timeout: 90_000,
}, async () => {
  const rows = ["reuse", "pipelining", "out-of-order", "keepalive", "keepalive-obeyed", "retry", "tls"];
  const report = await probe(undefined, { preset: "sotto-stub", rows });
  for (const { row, verdict, observed } of report.cells)
    assert.equal(verdict, "released", `${row}: ${observed}`);
});

test("a command that does not authenticate is found out by what it asks wrong servers", {
  timeout: 60_000,
}, async () => {
  const command = [...SOTTO, "query", "@{address}", "-p", "{tls-port}", "+tls", "+tries=1", "{qname}"];
  const { cells } = await probe(command, { rows: ["authentication", "reuse"] });
  const [reuse, authentication] = cells;
  assert.equal(authentication?.verdict, "none");
  assert.match(authentication.observed, /wrong name, expired, self signed, other authority/);
  assert.equal(reuse?.verdict, "not testable", "one {qname} shows no reuse");
});

test("a client that asks in clear when TLS fails is found out", { timeout: 60_000 }, async () => {
  const [node, ...own] = SOTTO;
  const sotto = `"$0" ${own.map((one) => `'${one}'`).join(" ")} query @{address} +tries=1 +time=1`;
  const strict = `${sotto} -p {tls-port} +tls-ca={ca-file} +tls-hostname={name} {qname}`;
  const command = ["sh", "-c", `${strict} || ${sotto} -p {port} {qname}`, node ?? ""];
  const { cells } = await probe(command, { rows: ["downgrade", "authentication"] });
  assert.deepEqual(verdicts({ cells } as ProbeReport), { authentication: "released", downgrade: "broken" });
  assert.match(cells[1]?.observed ?? "", /in clear when the server was wrong: wrong name, alert, cleartext/);
});

test("a client that hangs is ended with what it started, and found out", { timeout: 60_000 }, async () => {
  const command = ["sh", "-c", "sleep 600 & echo {tls-port} {qname}; wait"];
  const { cells } = await probe(command, { rows: ["faults"], runLimitMs: 200 });
  assert.equal(cells[0]?.verdict, "broken");
  assert.match(cells[0].observed, /query-rst: it did not end; half-fin: it did not end/);
});

test("a client that crashes, and one that asks nothing, are findings", { timeout: 60_000 }, async () => {
  const crash = await probe(["sh", "-c", "kill -SEGV $$ # {tls-port} {qname}"], { rows: ["faults", "tls"] });
  assert.deepEqual(verdicts(crash), { tls: "not testable", faults: "broken" });
  assert.match(crash.cells[1]?.observed ?? "", /ended by SIGSEGV/);
  const quiet = await probe(["true", "{port}", "{qname}"]);
  for (const { row, verdict } of quiet.cells) assert.equal(verdict, "not testable", row);
});

test("a program that is not there is told so in every row", async () => {
  const { cells } = await probe(["/nonexistent/client", "{tls-port}", "{qname}"], {
    rows: ["tls", "padding"],
  });
  for (const { verdict, observed } of cells) {
    assert.equal(verdict, "not testable");
    assert.match(observed, /could not be started: no such program/);
  }
});

test("a program that the system will not start at all is a finding, too", async () => {
  // Node throws these from spawn itself; the probe ended with them, and told nothing.
  const long = "x".repeat(200_000);
  for (const [command, why] of [
    [["/dev/null/client", "{tls-port}", "{qname}"], /ENOTDIR/],
    [["", "{tls-port}", "{qname}"], /empty/],
    [["true", long, "{tls-port}", "{qname}"], /E2BIG/],
  ] as const) {
    const { cells } = await probe(command, { rows: ["tls"] });
    assert.equal(cells[0]?.verdict, "not testable");
    assert.match(cells[0].observed, why);
  }
});

test("a client that leaves something behind with its output open is ended all the same", {
  timeout: 60_000,
}, async () => {
  // In a session of its own it is not in the group that is ended. It ends by itself if the test fails.
  const command = ["sh", "-c", "setsid sleep 20 & echo {tls-port} {qname}"];
  const beganMs = performance.now();
  const { cells } = await probe(command, { rows: ["tls"], runLimitMs: 200 });
  assert.equal(cells[0]?.verdict, "not testable");
  assert.match(cells[0].evidence.at(-1)?.what ?? "", /took too long/);
  assert.ok(performance.now() - beganMs < 15_000);
});

// It ended the probe, and the rows before were lost with it.
test("a run that the prober itself cannot do is told in its rows", { timeout: 60_000 }, async () => {
  const runtime = nodeRuntime();
  const bindDatagram = (): Promise<never> => Promise.reject(new TypeError("no port for the client"));
  const network = { ...runtime.network, bindDatagram };
  const options = { preset: "sotto-stub", sotto: SOTTO, rows: ["tls", "padding"] };
  const { cells } = await probeClient(undefined, options, { ...runtime, network }, () => undefined);
  assert.equal(cells.length, 2);
  for (const { row, verdict, confidence, observed } of cells) {
    assert.deepEqual([verdict, confidence], ["not testable", "guess"], row);
    assert.match(observed, /the prober failed: no port for the client/);
  }
});

test("commands, presets and rows that cannot be are told", async () => {
  await assert.rejects(probe(["dig"]), /neither \{port\}/);
  await assert.rejects(probe(undefined, { preset: "nslookup" }), /no preset is called/);
  await assert.rejects(probe(undefined, { preset: "constructor" }), /no preset is called/);
  await assert.rejects(probe(["dig", "{port}", "{constructor}", "{qname}"]), /\{constructor\} means nothing/);
  await assert.rejects(probe(["dig"], { preset: "dig" }), /one of them is enough/);
  await assert.rejects(
    probe(undefined, { preset: "dig", rows: ["colour"] }),
    /no row of clients is called "colour"/,
  );
});

test("a probe that is ended tells the rows that are left, and the client does not outlive it", {
  timeout: 60_000,
}, async () => {
  const ending = new AbortController();
  const command = ["sh", "-c", "echo {tls-port} {qname}; sleep 600"];
  const probing = probe(command, { rows: ["reuse", "tls"], signal: ending.signal });
  setImmediate(() => ending.abort());
  const { cells } = await probing;
  for (const { verdict, observed } of cells) {
    assert.equal(verdict, "not testable");
    assert.match(observed, /ended before/);
  }
});

test("after the end no client is started any more, not even for the rest of a row", {
  timeout: 60_000,
}, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-probe-test-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const ending = new AbortController();
  const command = ["sh", "-c", `echo {tls-port} {qname} >> ${folder}/starts; sleep 600`];
  const options = { rows: ["tls", "authentication"], signal: ending.signal, runLimitMs: 300 };
  // The first of five runs of the second row has begun by then.
  const { cells } = await probe(command, options, () => void setImmediate(() => ending.abort()));
  assert.match(cells[1]?.observed ?? "", /ended before/);
  assert.ok(readFileSync(join(folder, "starts"), "utf8").trimEnd().split("\n").length <= 2);
});

test("without a command whoever comes is judged when the signal ends it", { timeout: 60_000 }, async () => {
  const ending = new AbortController();
  const ports: number[] = [];
  const onPlaces = (lines: readonly string[]): void => {
    assert.match(lines[0] ?? "", /name resolver\.sotto\.test, authority .*ca\.pem, pin /);
    const good = lines.find((line) => line.startsWith("good: "));
    ports.push(Number(/tcp 127\.0\.0\.1@([0-9]+)/.exec(good ?? "")?.[1]));
    void visit(ports[0] ?? 0).then(() => ending.abort());
  };
  const report = await probe(undefined, { portBase: 0, signal: ending.signal, onPlaces });
  const { cells, target } = report;
  assert.equal(target, "whoever came");
  const found = verdicts({ cells } as ProbeReport);
  assert.deepEqual([found["reuse"], found["pipelining"]], ["released", "released"]);
  assert.deepEqual(
    [found["tls"], found["cookies"], found["matching"]],
    ["none", "not testable", "not testable"],
  );
  // Times were counted from the first visit to the first server of a row, or from 1970 where nobody came to it.
  for (const { row, evidence } of cells)
    for (const { atMs } of evidence) assert.ok(atMs >= 0 && atMs <= report.tookMs + 1, `${row}: ${atMs}`);
});

/** Two questions in one segment. */
async function visit(port: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  const questions = ["delay-50.a.test.", "b.test."].map((name, i) =>
    frameMessage(
      encodeMessage(
        makeMessage({ id: i + 1, questions: [{ name: parseName(name), type: RRType.A, class: RRClass.IN }] }),
      ),
    ),
  );
  socket.write(Buffer.concat(questions));
  let octets = 0;
  socket.on("data", (chunk: Buffer) => {
    octets += chunk.length;
    // Two answers with an address each.
    if (octets > 70) socket.end();
  });
  await once(socket, "close");
}
