/** `sotto stub status` and `sotto stub portal` against a stub that runs, as people use them. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { Exchanger } from "@sotto/dns/transport";
import {
  encodeMessage,
  makeEdns,
  makeMessage,
  parseName,
  parseRecord,
  RRClass,
  RRType,
  recordToText,
  tryDecodeMessage,
} from "@sotto/dns/wire";

const SOTTO = [
  "--conditions=source",
  "--disable-warning=ExperimentalWarning",
  join(import.meta.dirname, "../../packages/sotto/src/bin/sotto.ts"),
];

/** A resolver in clear that answers everything with one address; where it is, and whom it was asked for. */
async function servePortal(context: TestContext): Promise<{ place: string; inClear: string[] }> {
  const socket = createSocket("udp4");
  context.after(() => socket.close());
  const inClear: string[] = [];
  socket.on("message", (octets, from) => {
    const query = tryDecodeMessage(octets);
    const [question] = query.ok ? query.value.questions : [];
    if (!query.ok || question === undefined) return;
    inClear.push(question.name.toString());
    const answers = [parseRecord(`${question.name} 3600 IN A 10.0.0.1`)];
    const reply = makeMessage({ id: query.value.id, isResponse: true, questions: [question], answers });
    socket.send(encodeMessage(reply), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { place: `127.0.0.1@${socket.address().port}`, inClear };
}

test("a portal is opened, seen in the status, answers in clear, and is closed by command [8310-6.6-e] [7858-4.2-d]", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-portal-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "stub.yaml");
  // Nobody listens at the upstream: the strict profile has no way out.
  writeFileSync(
    file,
    `listen: [{ transport: udp, address: 127.0.0.1, port: 0 }]
stub: { upstreams: [{ address: 127.0.0.1, port: 1, name: dns.example }] }
dnssec: { validation: false }
control: { socket: stub.sock }
`,
  );
  const stub = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [...SOTTO, "stub", ...args, "--config", file], {
      encoding: "utf8",
      timeout: 30_000,
    });
  const { place, inClear } = await servePortal(context);
  const daemon = spawn(process.execPath, [...SOTTO, "stub", "--config", file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  context.after(() => daemon.kill("SIGKILL"));
  let log = "";
  await new Promise<void>((resolve) =>
    daemon.stderr.on("data", (text: Buffer) => {
      log += text.toString();
      if (log.includes('"ready"')) resolve();
    }),
  );
  const port = Number(/"port":(\d+)/.exec(log)?.[1]);
  const runtime = nodeRuntime();
  const exchanger = new Exchanger({}, runtime);
  context.after(() => exchanger.close());
  const ask = async (name: string): Promise<string[]> => {
    const { message } = await exchanger.exchange({
      question: { name: parseName(name), type: RRType.A, class: RRClass.IN },
      server: { address: "127.0.0.1", port },
      transport: "udp",
      recursionDesired: true,
      checkingDisabled: false,
      authenticData: false,
      edns: makeEdns(),
      deadlineMs: runtime.clock.nowMs() + 30_000,
    });
    return [`rcode ${message.rcode}`, ...message.answers.map((record) => recordToText(record))];
  };

  assert.deepEqual(await ask("portal.example"), ["rcode 2"]);
  const before = stub("status");
  assert.match(before.stdout, /^✗ 127\.0\.0\.1 port 1, TLS: failing/m);
  assert.match(before.stdout, /last failure .* at connect: .*ECONNREFUSED/);
  const refused = stub("portal", "open", "--names", "portal.example", "--server", `127.0.0.1@${port}`);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /is this machine, which would come back to us/);
  const opened = stub("portal", "open", "--names", "portal.example", "--server", place, "--for", "10m");
  assert.equal(opened.status, 0, opened.stderr);
  assert.match(opened.stdout, /^!!! DNS IS NOT PRIVATE for portal\.example\. and what is below\n/);
  assert.match(
    (await ask("login.portal.example"))[1] ?? "",
    /^login\.portal\.example\.\t\d+\tIN\tA\t10\.0\.0\.1$/,
  );
  assert.deepEqual(await ask("www.example"), ["rcode 2"]);
  assert.deepEqual(inClear, ["login.portal.example."]);
  assert.match(stub("status").stdout, /^!!! DNS IS NOT PRIVATE for portal\.example\.[\s\S]* 1 question/);
  const { portal } = JSON.parse(stub("status", "--json").stdout) as {
    portal: { opening: { names: string[]; queriesInClear: number } };
  }; // Our own server's word.
  assert.deepEqual([portal.opening.names, portal.opening.queriesInClear], [["portal.example."], 1]);
  assert.match(stub("portal", "close").stdout, /^closed: nothing goes in clear/);
  assert.deepEqual(await ask("portal.example"), ["rcode 2"]);
  assert.match(log, /DNS IS NOT PRIVATE[^\n]*"portal\.opened"/);
  assert.match(log, /"portal\.closed"/);
});
