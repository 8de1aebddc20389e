/** `sotto query` over the simulated network: what it prints, what it sends and how it ends, with virtual time. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FakeInternet, simRuntime } from "@sotto/dns/testing";
import type { ProgramIo } from "../../packages/sotto/src/operations/index.ts";
import { runQuery } from "../../packages/sotto/src/tools/query/index.ts";

/** Shop's name server and a dead one. */
const SHOP = "@203.0.113.1";
const DEAD = "@203.0.113.104";

interface Printed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** TCP and TLS connections opened. */
  readonly connections: number;
}

async function query(...args: string[]): Promise<Printed> {
  const world = simRuntime(3);
  const internet = FakeInternet.build({ wallMs: world.clock.wallMs() });
  await internet.start((addresses) => world.runtimeOf(addresses).network, world.clock, world.random);
  let stdout = "";
  let stderr = "";
  const io: ProgramIo = {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    onSignal: () => () => undefined,
  };
  const code = await world.clock.runUntil(runQuery(args, io, world.runtimeOf(["192.0.2.9"])), 120_000);
  await internet.close();
  assert.deepEqual(world.network.use.streams, 0, "no connection stays open");
  return { code, stdout, stderr, connections: world.events.named("transport.connection.opened").length };
}

test("a reply is printed in dig's form, with a closing line about protection [8310-5-d]", async () => {
  const { code, stdout } = await query(SHOP, "www.shop.example");
  assert.equal(code, 0);
  const expected = `
; <<>> sotto query <<>> www.shop.example.
;; global options: +cmd
;; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: ID
;; flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1
;; WARNING: recursion requested but not available

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags:; udp: 1232
;; QUESTION SECTION:
;www.shop.example.		IN	A

;; ANSWER SECTION:
www.shop.example.	300	IN	A	203.0.113.10

;; Query time: MS msec
;; SERVER: 203.0.113.1#53(203.0.113.1) (UDP)
;; WHEN: TIME
;; MSG SIZE  sent: 45  rcvd: 61
;; PROTECTION: clear, anyone on the way can read it; exchange MS ms

`;
  const stable = stdout
    .replace(/id: \d+/, "id: ID")
    .replace(/time: \d+ msec/, "time: MS msec")
    .replace(/WHEN: .*/, "WHEN: TIME")
    .replace(/exchange [\d.]+ ms/, "exchange MS ms");
  assert.equal(stable, expected);
});

test("+short prints data only, one line per record of each query", async () => {
  const { stdout } = await query(
    SHOP,
    "+short",
    "www.shop.example",
    "shop.example",
    "MX",
    "nothing.shop.example",
  );
  assert.equal(stdout, "203.0.113.10\n10 mail.shop.example.\n");
});

test("sections and columns can be switched off", async () => {
  const { stdout } = await query(SHOP, "+noall", "+answer", "+nottlid", "+noclass", "www.shop.example");
  assert.equal(
    stdout
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith(";"))
      .join("|"),
    "www.shop.example.\tA\t\t\t203.0.113.10",
  );
});

test("+json prints one object per query, failures too, and nothing else", async () => {
  const { code, stdout, stderr } = await query(
    "+json",
    "+time=1",
    "+tries=1",
    SHOP,
    "www.shop.example",
    "www.dead.lab",
    DEAD,
  );
  const [answered, failed] = stdout
    .trim()
    .split("\n")
    .map((line): Record<string, Record<string, unknown>> => JSON.parse(line));
  assert.equal(answered?.["message"]?.["RCODE"], 0);
  assert.equal(answered?.["exchange"]?.["protection"], "clear");
  assert.equal(failed?.["error"]?.["code"], "ERR_TIMEOUT");
  assert.equal(code, 9);
  assert.equal(stderr, "");
});

test("a server that never answers ends with exit code 9 and a sentence", async () => {
  const { code, stdout, stderr } = await query(DEAD, "+time=1", "+tries=2", "www.dead.lab");
  assert.equal(code, 9);
  assert.equal(stdout, "");
  assert.match(stderr, /^;; query failed: .*203\.0\.113\.104/);
});

test("a truncated reply is repeated over TCP unless +ignore was given", async () => {
  const whole = await query("@203.0.113.8", "t4096.big.org", "TXT");
  assert.match(whole.stdout, /Truncated over UDP, repeated over TCP/);
  assert.match(whole.stdout, /ANSWER: 1,/);
  const cut = await query("@203.0.113.8", "+ignore", "t4096.big.org", "TXT");
  assert.match(cut.stdout, /flags: qr aa tc rd; QUERY: 1, ANSWER: 0,/);
});

test("+keepopen and +pipeline use one connection for all queries [7766-6.2.1-a 7766-6.2.1.1-a]", async () => {
  for (const flag of ["+keepopen", "+pipeline"]) {
    const { connections, stdout } = await query(
      "+tcp",
      flag,
      "+short",
      SHOP,
      "www.shop.example",
      "mail.shop.example",
      "ns1.shop.example",
    );
    assert.equal(stdout, "203.0.113.10\n203.0.113.11\n203.0.113.1\n", flag);
    assert.equal(connections, 1, flag);
  }
  const alone = await query("+tcp", "+json", SHOP, "www.shop.example", "mail.shop.example");
  assert.equal(alone.connections, 2);
  for (const line of alone.stdout.trim().split("\n")) assert.match(line, /"connectionReused":false/);
});

test("queries come from a batch file, one per line, with the flags of the command line", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-batch-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "queries");
  writeFileSync(file, "www.shop.example A\n; a comment\n\nmail.shop.example\n");
  const { stdout } = await query("-f", file, SHOP, "+short");
  assert.equal(stdout, "203.0.113.10\n203.0.113.11\n");
  const missing = await query("-f", join(folder, "absent"), SHOP);
  assert.equal(missing.code, 8);
  assert.match(missing.stderr, /cannot read .*absent: ENOENT/);
});

test("a batch file of more octets than queries can need is refused before it is read on", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-batch-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "queries");
  writeFileSync(file, ";".repeat(16 * 1024 * 1024 + 1));
  const { code, stderr } = await query("-f", file, SHOP, "www.shop.example");
  assert.equal(code, 8);
  assert.equal(stderr, `sotto query: ${file} is too large: at most 16777216 octets are read\n`);
});

test("a wrong argument ends with exit code 1 and nothing is sent", async () => {
  const { code, stderr } = await query("+nonsense", "www.shop.example");
  assert.equal(code, 1);
  assert.match(stderr, /\+nonsense is not a flag/);
});
