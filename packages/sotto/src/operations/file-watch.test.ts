import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
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
