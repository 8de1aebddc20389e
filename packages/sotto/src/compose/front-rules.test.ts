import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type SimWorld, simRuntime } from "@sotto/dns/testing";
import { loadFront } from "../config/index.ts";
import { FrontRules } from "./front-rules.ts";

/** Rules with one set from a file `list.txt`, whose text is given. */
async function open(context: TestContext, set: string, text: string) {
  const folder = mkdtempSync(join(tmpdir(), "sotto-front-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "list.txt");
  writeFileSync(file, text);
  const loaded = loadFront(
    `pools: [{ name: main, backends: [{ address: "tcp://192.0.2.1" }] }]
sets: [{ name: list, file: list.txt, ${set} }]
`,
    join(folder, "front.yaml"),
  );
  assert.ok(loaded.ok, JSON.stringify(loaded));
  const world = simRuntime(1);
  const rules = await FrontRules.load(loaded.config, { byName: new Map() }, world.runtimeOf([]));
  context.after(() => rules.stop());
  return { rules, file, world };
}

/** The file changes as a whole, and what comes of that is told. */
async function change(file: string, text: string, { clock, events }: SimWorld): Promise<void> {
  const told = (): number =>
    events.named("front.set.loaded").length + events.named("front.set.refused").length;
  const before = told();
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
  await clock.advance(5000);
  assert.equal(told(), before, "somebody may still be writing");
  await clock.advance(1000);
  while (told() === before) await stat(file);
}

for (const [kind, one, comment] of [
  ["kind: names", "ads.example\n", "# none at the moment\n"],
  ["kind: addresses", "192.0.2.0/24\n", "# nobody at the moment"],
] as const)
  test(`${kind}: a file that has been emptied leaves the old entries in force, one with a comment does not`, async (context) => {
    const { rules, file, world } = await open(context, kind, one);
    await change(file, "", world);
    const [emptied] = rules.status.sets;
    assert.equal(emptied?.entries, 1);
    assert.match(emptied?.problem ?? "", /is empty.*put a comment into it/);
    await change(file, comment, world);
    const [none] = rules.status.sets;
    assert.deepEqual([none?.entries, none?.problem], [0, undefined]);
    await change(file, "", world);
    assert.equal(rules.status.sets[0]?.problem, undefined, "there is nothing to lose");
  });

// Entries by address of a policy zone were left out, and nobody was told.
test("lines that mean something that is not done are told and counted", async (context) => {
  const text = "8.0.0.0.10.rpz-ip CNAME .\nads.example CNAME .\n";
  const { rules, world } = await open(context, "kind: names, format: rpz", text);
  const [told] = world.events.named("front.set.bad-lines");
  assert.deepEqual([told?.["bad"], told?.["unsupported"]], [0, 1]);
  assert.match(String(told?.["problems"]), /rpz-ip are not done/);
  const [set] = rules.status.sets;
  assert.deepEqual([set?.entries, set?.bad, set?.unsupported], [1, 0, 1]);
});
