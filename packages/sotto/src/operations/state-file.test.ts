import assert from "node:assert/strict";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { StateFile } from "./state-file.ts";

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "sotto-state-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("a file that is not there yet is no text, and then what was written last", async (context) => {
  const folder = folderFor(context);
  const file = new StateFile(join(folder, "anchors"));
  assert.equal(file.read(), undefined);
  await file.replace("one");
  assert.equal(file.read(), "one");
  await Promise.all(["two", "three", "four"].map((text) => file.replace(text)));
  assert.equal(file.read(), "four");
  assert.deepEqual(readdirSync(folder), ["anchors"], "nothing else is left");
});

test("the file behind a link is replaced, and the link stays", async (context) => {
  const folder = folderFor(context);
  mkdirSync(join(folder, "disk"));
  writeFileSync(join(folder, "disk", "real"), "old");
  symlinkSync(join(folder, "disk", "real"), join(folder, "link"));
  const file = new StateFile(join(folder, "link"));
  await file.replace("new");
  assert.equal(readFileSync(join(folder, "disk", "real"), "utf8"), "new");
  assert.equal(file.read(), "new");
});

test("what a killed run left half written is in nobody's way", async (context) => {
  const folder = folderFor(context);
  writeFileSync(join(folder, ".anchors.new"), "ha");
  const file = new StateFile(join(folder, "anchors"));
  await file.replace("whole");
  assert.deepEqual([file.read(), readdirSync(folder)], ["whole", ["anchors"]]);
});

test("a text that cannot be written is told, the file is as it was, and the next text is written", async (context) => {
  const folder = folderFor(context);
  const file = new StateFile(join(folder, "state", "anchors"));
  const isSystem = (error: unknown): boolean => DnsError.is(error, "ERR_SYSTEM");
  await assert.rejects(file.replace("lost"), isSystem);
  mkdirSync(join(folder, "state"));
  await file.replace("kept");
  mkdirSync(join(folder, "state", ".anchors.new"));
  await assert.rejects(file.replace("lost"), isSystem);
  assert.equal(file.read(), "kept");
});

test("a file that is there and cannot be read is told", (context) => {
  const folder = folderFor(context);
  assert.throws(
    () => new StateFile(folder).read(),
    (error) => DnsError.is(error, "ERR_CONFIG"),
  );
});
