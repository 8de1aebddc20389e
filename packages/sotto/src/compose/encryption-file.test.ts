import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { simRuntime } from "@sotto/dns/testing";
import { AuthorityEncryption } from "../recursor/index.ts";
import { EncryptionFile } from "./encryption-file.ts";

const A = "192.0.2.1";

function make(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "sotto-encryption-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const world = simRuntime(1);
  const memory = new AuthorityEncryption(world.clock);
  const file = new EncryptionFile(memory, world.runtimeOf(["192.0.2.253"]));
  return { path: join(folder, "state"), other: join(folder, "other"), world, memory, file };
}

test("what was learnt is there for the next run", async (context) => {
  const { path, world, memory, file } = make(context);
  file.use(path);
  memory.noteReply(A);
  await file.save();
  file.stop();
  assert.deepEqual(world.clock.pendingTimers, []);
  const next = new AuthorityEncryption(world.clock);
  const nextFile = new EncryptionFile(next, world.runtimeOf(["192.0.2.253"]));
  nextFile.use(path);
  assert.equal(next.choose(A), "encrypted");
  nextFile.stop();
});

test("a damaged file is told, not used, and replaced at the end", async (context) => {
  const { path, world, memory, file } = make(context);
  writeFileSync(path, `sotto authority encryption 1\n${A} works 1\nrubbish\n`);
  file.use(path);
  assert.deepEqual(memory.known, { works: 0, fails: 0, probing: 0 });
  const [told] = world.events.named("encryption.state-refused");
  assert.match(String(told?.["problem"]), /state: line 3 is not/);
  file.stop();
  await file.save();
  assert.equal(readFileSync(path, "utf8"), "sotto authority encryption 1\n");
});

test("a file that cannot be written is told, and the resolver goes on", async (context) => {
  const { path, world, memory, file } = make(context);
  file.use(join(path, "below", "a missing folder"));
  memory.noteReply(A);
  await file.save();
  assert.equal(world.events.named("encryption.state-refused").length, 1);
  file.stop();
});

test("another file gets all that is known, and the former one is left as it is", async (context) => {
  const { path, other, world, memory, file } = make(context);
  file.use(path);
  memory.noteReply(A);
  await file.save();
  file.use(other);
  await file.save();
  assert.match(readFileSync(other, "utf8"), /192\.0\.2\.1 works/);
  memory.noteReply("192.0.2.2");
  file.use(undefined);
  await file.save();
  assert.doesNotMatch(readFileSync(other, "utf8"), /192\.0\.2\.2/);
  assert.deepEqual(world.clock.pendingTimers, []);
});

test("without a file nothing is written and nothing is scheduled", async (context) => {
  const { path, world, memory, file } = make(context);
  file.use(undefined);
  memory.noteReply(A);
  await file.save();
  assert.equal(existsSync(path), false);
  assert.deepEqual(world.clock.pendingTimers, []);
});

test("it is written every few minutes, by one timer, also when the file changes during a write", {
  timeout: 20_000,
}, async (context) => {
  const { path, other, world, memory, file } = make(context);
  file.use(path);
  memory.noteReply(A);
  await world.clock.advance(300_000);
  file.use(other);
  while (!existsSync(path)) await turn();
  await file.save();
  assert.match(readFileSync(path, "utf8"), /192\.0\.2\.1 works/);
  assert.deepEqual(world.clock.pendingTimers, ["encryption state"]);
  file.stop();
  assert.deepEqual(world.clock.pendingTimers, []);
});

/** A turn of the event loop, in which the disk gets on. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
