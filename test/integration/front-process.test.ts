/** `sotto front` as a process: its commands, a reload with a mistake, one without, a backend that is taken out of use, and its end. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ZoneServer } from "./zone-server.test-support.ts";

const SOTTO = join(import.meta.dirname, "../../packages/sotto/src/bin/sotto.ts");
const FLAGS = ["--conditions=source", "--disable-warning=ExperimentalWarning", SOTTO, "front"];

function run(...args: string[]): {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
} {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...FLAGS, ...args], {
    encoding: "utf8",
    timeout: 20_000,
  });
  return { code: status, out: stdout, err: stderr };
}

test("commands of the front end, as operators type them", { timeout: 60_000 }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-front-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  await using server = await ZoneServer.open("www A 192.0.2.1");
  const file = join(folder, "front.yaml");
  const text = (
    rules: string,
  ): string => `listen: [{ name: plain, transport: udp, address: 127.0.0.1, port: 0 }]
pools: [{ name: main, backends: [{ name: one, address: "udp://${server.clear}" }, { name: two, address: "tcp://${server.clear}" }] }]
rules: ${rules}
control: { socket: control.sock }
log: { format: json }
`;
  const good = `[{ name: ads, when: { name: { suffixes: [ads.example] } }, then: { refuse: { ede: 15 } } }]`;
  writeFileSync(file, text(good));
  assert.deepEqual(run("check", file), { code: 0, out: `${file}: ok\n`, err: "" });
  // It called files good with which no start was possible.
  const list = join(folder, "ads.txt");
  writeFileSync(list, "<html>\n<p>no list here</p>\n");
  const withSet = join(folder, "sets.yaml");
  writeFileSync(withSet, `${text("[]")}sets: [{ name: ads, kind: names, file: ads.txt }]\n`);
  const refused = run("check", withSet);
  assert.deepEqual([refused.code, refused.out], [2, ""]);
  assert.match(refused.err, /set "ads": .*ads\.txt is no list of format domains/);
  writeFileSync(list, "ads.example\nbücher.example\n");
  const warned = run("check", withSet);
  assert.deepEqual([warned.code, warned.out], [0, `${withSet}: ok\n`]);
  assert.match(warned.err, /ads\.txt:2: .* is not a name.*\(warning\)/);
  assert.match(run("show", "--config", file).out, /choice: least-outstanding/);
  const explained = run("explain", "--config", file, "x.ads.example", "AAAA", "--client", "192.0.2.7");
  assert.equal(explained.code, 0, explained.err);
  assert.match(explained.out, /✓ ads: ends/);
  assert.match(explained.out, /rule "ads" decides/);
  assert.match(run("explain", "--config", file, "www.example").out, /no rule ends the walk.*pool main/);
  assert.equal(run("explain", "--config", file).code, 2);

  const child = spawn(process.execPath, [...FLAGS, "--config", file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  context.after(() => child.kill("SIGKILL"));
  let logged = "";
  let wake = (): void => undefined;
  child.stderr.on("data", (chunk: Buffer) => {
    logged += chunk.toString();
    wake();
  });
  const line = async (what: RegExp): Promise<void> => {
    while (!what.test(logged)) await new Promise<void>((resolve) => (wake = resolve));
  };
  await line(/"ready"/);
  const status = run("status", "--config", file);
  assert.equal(status.code, 0, status.err);
  assert.match(status.out, /pool main; 0 answers in cache/);
  assert.match(status.out, /✓ one/);
  assert.match(run("drain", "main", "two", "--config", file).out, /draining/);
  assert.match(run("status", "--config", file).out, /two is draining/);
  assert.match(run("drain", "main", "three", "--config", file).err, /pool main has no backend "three"/);
  assert.equal(run("resume", "main", "two", "--config", file).code, 0);
  assert.equal(run("bans", "--config", file).out, "nobody is banned\n");
  assert.equal(run("bans", "--json", "--config", file).out, '{"bans":[]}\n');
  assert.match(run("unban", "192.0.2.7", "--config", file).err, /"192\.0\.2\.7" is not banned/);
  assert.match(run("flush", "--all", "--config", file).out, /^\{"replies":\d+\}$/m);
  assert.match(run("flush", "--zone", "example", "--config", file).out, /replies/);
  assert.match(run("flush", "--config", file).err, /a name is missing/);
  assert.match(run("reload", "--config", file).out, /"changes"/);
  const parsed = JSON.parse(run("status", "--json", "--config", file).out) as {
    pools: { backends: object[] }[];
  };
  assert.equal(parsed.pools[0]?.backends.length, 2);

  writeFileSync(file, text("[{ name: ads, then: { rfuse: {} } }]"));
  child.kill("SIGHUP");
  await line(/front\.yaml:3: rules\[0\]\.then\.rfuse: unknown key, did you mean \\"refuse\\"\?/);
  writeFileSync(file, text("[]"));
  child.kill("SIGHUP");
  await line(/changed rules/);
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.kill("SIGTERM");
  assert.equal(await ended, 0);
});
