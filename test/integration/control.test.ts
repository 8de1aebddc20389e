/** `sotto control` against `sotto serve`, as an operator uses them. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const SOTTO = [
  "--conditions=source",
  "--disable-warning=ExperimentalWarning",
  join(import.meta.dirname, "../../packages/sotto/src/bin/sotto.ts"),
];

interface Said {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function control(...args: string[]): Said {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...SOTTO, "control", ...args], {
    encoding: "utf8",
    timeout: 30_000,
  });
  return { status, stdout, stderr };
}

test("an operator looks, loads, forgets, reloads and stops", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-control-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "sotto.yaml");
  const socket = join(folder, "control.sock");
  writeFileSync(
    file,
    "listen: [{ transport: tcp, address: 127.0.0.1, port: 0 }]\nresolver: { encryption: off }\nworkers: 1\ncontrol: { socket: control.sock }\n",
  );
  const server = spawn(process.execPath, [...SOTTO, "serve", "--config", file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  context.after(() => server.kill("SIGKILL"));
  await new Promise<void>((resolve) =>
    server.stderr.on("data", (text: Buffer) => (text.includes('"ready"') ? resolve() : undefined)),
  );
  assert.match(control("--config", file, "status").stdout, /^connections +0$/m);
  const dump = join(folder, "cache.txt");
  writeFileSync(
    dump,
    "; sotto cache 1\nwww.example. 300 IN A 192.0.2.7\nexample. 300 IN MX 10 www.example.\n",
  );
  assert.equal(control("--socket", socket, "--json", "load", dump).stdout, '{"recordSets":2}\n');
  assert.match(control("--socket", socket, "lookup", "www.example").stdout, /192\.0\.2\.7/);
  assert.equal(
    control("--socket", socket, "--json", "flush", "www.example", "A").stdout,
    '{"replies":0,"recordSets":1}\n',
  );
  assert.equal(control("--socket", socket, "dump", dump).status, 0);
  assert.match(readFileSync(dump, "utf8"), /^; sotto cache 1\nexample\.\t\d+\tIN\tMX\t10 www\.example\.\n$/);
  assert.match(control("--socket", socket, "trust").stdout, /^\. DS 20326, DS 38696$/m);
  writeFileSync(file, readFileSync(file, "utf8").replace("encryption: off", "encryption: of"));
  const refused = control("--socket", socket, "reload");
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /^sotto control reload: .*resolver\.encryption/);
  assert.equal(control("--socket", socket, "stop").status, 0);
  await new Promise((resolve) => server.on("close", resolve));
  const gone = control("--socket", socket, "status");
  assert.equal(gone.status, 2);
  assert.match(gone.stderr, /nobody listens; is the resolver running\?/);
});

test("wrong words are told before anybody is asked", () => {
  assert.equal(control("--socket", "/nowhere", "dance").status, 1);
  assert.match(control("status").stderr, /say where the resolver listens/);
});
