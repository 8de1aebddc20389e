/** Plays our own scenarios, one subtest a file. What a scenario proves stands in its first line. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { playFile } from "./play-file.ts";

const folder = import.meta.dirname;

const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".rpl"))
  .sort();

test("each scenario of ours passes in virtual time", async (t) => {
  assert.ok(files.length > 0, "there are scenarios");
  for (const file of files) {
    const text = readFileSync(join(folder, file), "utf8");
    const about = /^; (.+)$/m.exec(text.slice(0, text.indexOf("\n")))?.[1] ?? "";
    await t.test(`${file}: ${about}`, async () => {
      assert.notEqual(about, "", "the first line says what the scenario is about");
      const { kind, problems, trace } = await playFile(text);
      assert.equal(kind, "passed", [...problems, ...trace].join("\n"));
    });
  }
});
