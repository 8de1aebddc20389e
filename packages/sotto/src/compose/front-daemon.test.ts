import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { simRuntime } from "@sotto/dns/testing";
import { type FrontConfig, loadFront } from "../config/index.ts";
import { startFront } from "./front-daemon.ts";

test("a reload that is refused leaves no timer of what it had made, watches of sets and checks of backends included", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-front-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "ads.txt"), "ads.example\n");
  const config = (listen: string): FrontConfig => {
    const loaded = loadFront(
      `listen: [${listen}]
pools: [{ name: main, backends: [{ address: "tcp://127.0.0.1:5300" }], cache: 0B }]
sets: [{ name: ads, kind: names, file: ads.txt }]
rules: [{ name: ads, when: { name: { sets: [ads] } }, then: { refuse: {} } }]
`,
      join(folder, "front.yaml"),
    );
    assert.ok(loaded.ok);
    return loaded.config;
  };
  const own = "{ name: plain, transport: udp, address: 127.0.0.1, port: 5353 }";
  const { clock, runtimeOf } = simRuntime(1);
  const front = await startFront(config(own), runtimeOf(["127.0.0.1"]));
  const before = clock.pendingTimers.length;
  const foreign = "{ name: other, transport: udp, address: 192.0.2.99, port: 5353 }";
  await assert.rejects(front.reload(config(`${own}, ${foreign}`)), /192\.0\.2\.99/);
  assert.equal(clock.pendingTimers.length, before);
  const usual = config(own);
  const [pool] = usual.pools;
  assert.ok(pool);
  const [backend] = pool.backends;
  assert.ok(backend);
  const pools = [
    { ...pool, name: "new" },
    { ...pool, name: "large", backends: Array.from({ length: 65 }, () => backend) },
  ];
  await assert.rejects(front.reload({ ...usual, pools }), /at most \d+ are possible/);
  assert.equal(clock.pendingTimers.length, before);
  await front.close();
  assert.deepEqual(clock.pendingTimers, []);
});

// A list that changed more often than it could be read was read once for each change, one after the other: the rows of them had no end.
test("however often a list changes while it is read, it is read once more", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-front-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const [file, pipe, last] = ["ads.txt", "pipe", "last"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(file, "ads.example\n");
  writeFileSync(last, "a.example\nb.example\n");
  execFileSync("mkfifo", [pipe]);
  const loaded = loadFront(
    `listen: [{ transport: udp, address: 127.0.0.1, port: 5353 }]
pools: [{ name: main, backends: [{ address: "tcp://127.0.0.1:5300" }], cache: 0B }]
sets: [{ name: ads, kind: names, file: ads.txt }]
watch-sets: 5s
`,
    join(folder, "front.yaml"),
  );
  assert.ok(loaded.ok, JSON.stringify(loaded));
  const world = simRuntime(1);
  const front = await startFront(loaded.config, world.runtimeOf(["127.0.0.1"]));
  // What is read now ends when its writer does.
  renameSync(pipe, file);
  await world.clock.advance(6000);
  const writer = await open(file, "w");
  for (let i = 1; i <= 5; i++) {
    utimesSync(file, i, i);
    await world.clock.advance(6000);
  }
  await writer.write("pipe.example\n");
  renameSync(last, file);
  await writer.close();
  const entries = (): unknown[] => world.events.named("front.set.loaded").map((told) => told["entries"]);
  while (!entries().includes(2)) await stat(file);
  for (let i = 0; i < 100; i++) await stat(file);
  assert.deepEqual(entries(), [1, 1, 2]);
  await front.close();
});

test("a file that loads has no more backends in a pool than a pool takes", () => {
  // It took 1000, and the check of a file called good what no start could use.
  const load = (count: number) =>
    loadFront(
      `listen: [{ transport: udp, address: 127.0.0.1, port: 5353 }]
pools: [{ name: main, backends: [${Array.from({ length: count }, (_, i) => `{ name: b${i}, address: "tcp://192.0.2.1" }`).join(", ")}] }]
`,
      "front.yaml",
    );
  assert.ok(load(64).ok);
  const tooMany = load(65);
  assert.ok(!tooMany.ok);
  assert.match(tooMany.problems.map(({ path }) => path).join(), /^pools\[0\]\.backends$/);
});
