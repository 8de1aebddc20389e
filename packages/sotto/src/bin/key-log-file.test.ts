import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Network } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import type { ProgramIo } from "../operations/index.ts";
import { TestServer } from "../testserver/index.ts";
import { KeyLogFile } from "./key-log-file.ts";
import { runProbe } from "./probe.ts";

function fileOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "sotto-keys-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "keys.txt");
}

function modeOf(file: string): number {
  return statSync(file).mode & 0o777;
}

test("a key log is its owner's only, and what stood in it stays", (context) => {
  const file = fileOf(context);
  for (const [i, line] of ["first", "second"].entries()) {
    if (i === 1) chmodSync(file, 0o644);
    const opened = KeyLogFile.open(file);
    assert.ok(opened.ok, opened.ok ? "" : opened.problem);
    opened.value.write(line);
    opened.value.close();
    assert.equal(modeOf(file), 0o600);
  }
  assert.equal(readFileSync(file, "utf8"), "first\nsecond\n");
});

test("a file that cannot be made is told with its name, and one that is full does not end a probe", () => {
  const opened = KeyLogFile.open("/nowhere/keys.txt");
  assert.match(opened.ok ? "" : opened.problem, /^cannot write \/nowhere\/keys\.txt: /);
  const full = KeyLogFile.open("/dev/full");
  assert.ok(full.ok, full.ok ? "" : full.problem);
  full.value.write("a line");
  full.value.close();
  assert.match(full.value.problem ?? "", /^cannot write all of \/dev\/full: .*ENOSPC/);
});

/** How many connections over TLS were made, and how many of them were to tell their secrets. */
interface Told {
  connections: number;
  keyLogs: number;
}

async function probe(...args: readonly string[]): Promise<Told> {
  const io: ProgramIo = {
    stdout: { write: () => undefined },
    stderr: { write: () => undefined },
    onSignal: () => () => undefined,
  };
  const told: Told = { connections: 0, keyLogs: 0 };
  const real = nodeRuntime();
  const connect: Network["connect"] = (options) => {
    if (options.tls !== undefined) told.connections++;
    if (options.tls?.onKeyLog !== undefined) told.keyLogs++;
    return real.network.connect(options);
  };
  const { bindDatagram, listen } = real.network;
  await runProbe(args, io, { ...real, network: { connect, bindDatagram, listen } });
  return told;
}

async function startTarget(context: TestContext): Promise<string> {
  const tests = await TestServer.start({ address: "127.0.0.1", portBase: 0, only: ["good"] }, nodeRuntime());
  context.after(() => tests.close());
  const place = tests.fixture("good")?.places.find(({ transport }) => transport === "tls");
  return `127.0.0.1@${place?.port ?? 0}#resolver.sotto.test`;
}

test("the prober's own connections are logged as Wireshark reads them, when that is asked for [rfc9850#2]", async (context) => {
  const file = fileOf(context);
  const target = await startTarget(context);
  const { connections, keyLogs } = await probe("path", target, "--key-log", file);
  assert.ok(connections > 0);
  assert.equal(keyLogs, connections);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  assert.ok(lines.length >= 5, "five secrets of a connection at least");
  for (const line of lines) assert.match(line, /^[A-Z_0-9]+ [0-9a-f]{64} [0-9a-f]{64,96}$/);
  for (const label of ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"])
    assert.ok(
      lines.some((line) => line.startsWith(`${label} `)),
      label,
    );
  assert.equal(modeOf(file), 0o600);
});

test("without being asked nobody gets to know any secret", async (context) => {
  const { connections, keyLogs } = await probe("path", await startTarget(context));
  assert.ok(connections > 0);
  assert.equal(keyLogs, 0);
});

test("a plan, and a mistake in a target, make no key log", async (context) => {
  const file = fileOf(context);
  await probe("server", "192.0.2.1", "--plan", "--key-log", file);
  await probe("server", "no address", "--key-log", file);
  assert.ok(!existsSync(file));
});
