/** `sotto probe` from its command line to its output, against a server that does everything right. The probes have tests of their own. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { runProbe } from "../../packages/sotto/src/bin/probe.ts";
import type { ProgramIo } from "../../packages/sotto/src/operations/index.ts";
import { AUTH_NAME, TestServer } from "../../packages/sotto/src/testserver/index.ts";

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command on a terminal; `atCell` comes after the first cell and may send a signal. */
async function probe(args: readonly string[], atCell?: (signal: () => void) => void): Promise<Said> {
  const out: string[] = [];
  const err: string[] = [];
  let heard: (() => void) | undefined;
  const io: ProgramIo = {
    stdout: { write: (text) => out.push(text), columns: 60 },
    stderr: {
      isTTY: true,
      write(text) {
        err.push(text);
        if (err.length === 1) atCell?.(() => heard?.());
      },
    },
    onSignal(_, called) {
      heard = () => called("SIGINT");
      return () => {
        heard = undefined;
      };
    },
  };
  const code = await runProbe(args, io, nodeRuntime());
  return { code, out: out.join(""), err: err.join("") };
}

interface Place {
  /** The target, its ports, its authority and its names, as arguments. */
  readonly args: readonly string[];
  readonly folder: string;
}

async function goodServer(context: TestContext): Promise<Place> {
  const server = await TestServer.start({ address: "127.0.0.1", portBase: 0, only: ["good"] }, nodeRuntime());
  context.after(() => server.close());
  const folder = mkdtempSync(join(tmpdir(), "sotto-probe-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const { places } = server.fixtures[0] ?? assert.fail("there is no server");
  const port = (transport: string): string => {
    const place = places.find((one) => one.transport === transport);
    return String(place?.port ?? assert.fail(`no ${transport}`));
  };
  assert.equal(port("udp"), port("tcp"));
  const target = ["--port", port("tcp"), "--tls-port", port("tls"), "--ca-file", server.files.authority];
  return { args: [`good=127.0.0.1#${AUTH_NAME}`, ...target, "--name", "www.test"], folder };
}

test("a path is probed, shown as it goes on, and its report has the given name", async (context) => {
  const { args, folder } = await goodServer(context);
  const saved = join(folder, "path.json");
  const said = await probe(["path", ...args, "--save", saved, "--require", "udp,tcp,tls"]);
  assert.equal(said.code, 0, said.out + said.err);
  assert.match(said.out, /^Paths\n/);
  assert.match(said.out, /TLS gets through +● Released\n/);
  assert.ok(said.err.startsWith("\r\u001b[K1 good: udp ● Released"));
  assert.ok(said.err.endsWith("\r\u001b[K"), "the progress line is taken back");
  const [report] = JSON.parse(readFileSync(saved, "utf8")).reports;
  assert.deepEqual(
    [report.kind, report.title, report.target],
    ["path", "good", args[0]?.slice("good=".length)],
  );
});

test("a signal ends a probe, which then shows what it knows", async (context) => {
  const { args } = await goodServer(context);
  const said = await probe(["server", ...args, "--json"], (signal) => signal());
  const [report] = JSON.parse(said.out).reports;
  const verdicts = report.cells.map(({ verdict }: { verdict: string }) => verdict);
  assert.ok(verdicts.length > 20, `${verdicts.length} cells`);
  assert.ok(verdicts.filter((verdict: string) => verdict === "not testable").length > 10, verdicts.join());
  assert.ok(report.tookMs < 8000, `${report.tookMs} ms`);
});
