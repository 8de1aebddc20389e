import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { FileWatch } from "./file-watch.ts";

test("a change of any file, or of the file behind a link, is told once", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-watch-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const [one, two, link] = [join(folder, "one"), join(folder, "two"), join(folder, "link")];
  writeFileSync(one, "1");
  writeFileSync(two, "22");
  symlinkSync(one, link);
  const clock = new SimClock();
  let changes = 0;
  const watch = new FileWatch(clock, () => {
    changes++;
  });
  watch.watch([link], 1000);
  await clock.advance(5000);
  assert.equal(changes, 0);
  symlinkSync(two, join(folder, "new"));
  renameSync(join(folder, "new"), link);
  await clock.advance(1000);
  assert.equal(changes, 1);
  rmSync(two);
  await clock.advance(3000);
  assert.equal(changes, 2, "a missing file is a change too");
  watch.stop();
  assert.equal(clock.pendingTimers.length, 0);
});

// Half of a block list was in force while the other half was being written, and none of it after the file had been emptied for that.
test("with a time of rest a file is told when nobody has written to it for so long, or never stops", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "sotto-watch-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "list");
  writeFileSync(file, "");
  const clock = new SimClock();
  let changes = 0;
  const watch = new FileWatch(clock, () => void changes++, 1000);
  watch.watch([file], 5000);
  for (let i = 0; i < 4; i++) {
    appendFileSync(file, "more\n");
    await clock.advance(i === 0 ? 5000 : 1000);
  }
  assert.equal(changes, 0);
  await clock.advance(1000);
  assert.equal(changes, 1);
  for (let i = 0; i < 70; i++) {
    appendFileSync(file, "more\n");
    await clock.advance(i === 0 ? 5000 : 1000);
  }
  assert.equal(changes, 2, "after a minute");
  watch.stop();
  assert.equal(clock.pendingTimers.length, 0);
});
