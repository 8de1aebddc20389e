import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readBoundedText } from "./read-bounded.ts";

/** Of 100 kB or more, and never more than 4 kB a read. */
const PIECES = "/proc/self/smaps";

function fileOf(context: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "sotto-read-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "text");
  writeFileSync(file, text);
  return file;
}

test("a text as long as the limit is read, and one octet more is too large", (context) => {
  const text = "ä".repeat(100_000);
  const file = fileOf(context, text);
  assert.deepEqual(readBoundedText(file, 200_000), { ok: true, value: text });
  const more = readBoundedText(file, 199_999);
  assert.ok(!more.ok);
  assert.equal(more.problem, `${file} is too large: at most 199999 octets are read`);
});

test("nothing is a text, and what is not there or no file is a problem", (context) => {
  assert.deepEqual(readBoundedText(fileOf(context, ""), 0), { ok: true, value: "" });
  for (const file of ["/nonexistent/report.json", tmpdir()]) {
    const read = readBoundedText(file, 10);
    assert.ok(!read.ok);
    assert.match(read.problem, /^cannot read .*: E(?:NOENT|ISDIR)/);
  }
});

// The size that the system tells was asked for, which is 0 for devices and pipes, and not asked for on standard input.
test("what has no size and no end is read as far as the limit", { timeout: 10_000 }, () => {
  const endless = readBoundedText("/dev/zero", 100_000);
  assert.ok(!endless.ok);
  assert.match(endless.problem, /^\/dev\/zero is too large/);
});

// Reads that gave little each kept 64 KiB: 90 MB for 5 MB of text, and much more where a pipe drips.
test("what comes in small pieces takes no more memory than the text", {
  skip: existsSync(PIECES) ? false : "needs a file of Linux that is read in pieces",
}, () => {
  const before = process.memoryUsage().arrayBuffers;
  const read = readBoundedText(PIECES, 16 * 1024 * 1024);
  assert.ok(read.ok);
  const kept = process.memoryUsage().arrayBuffers - before;
  assert.ok(kept < 4 * read.value.length + 300_000, `${kept} octets for ${read.value.length}`);
});

test("standard input has the same limit, and a name in words", { timeout: 20_000 }, (context) => {
  const endless = openSync("/dev/zero", "r");
  context.after(() => closeSync(endless));
  const module = JSON.stringify(new URL("./read-bounded.ts", import.meta.url).href);
  const script = `import { readBoundedText } from ${module}; console.log(JSON.stringify(readBoundedText("-", 9)))`;
  const said = (stdio: "pipe" | number, input?: string): unknown => {
    const args = ["--conditions=source", "--input-type=module", "--eval", script];
    const { stdout } = spawnSync(process.execPath, args, {
      stdio: [stdio, "pipe", "pipe"],
      input,
      encoding: "utf8",
    });
    return JSON.parse(stdout);
  };
  assert.deepEqual(said("pipe", "123456789"), { ok: true, value: "123456789" });
  assert.deepEqual(said(endless), {
    ok: false,
    problem: "standard input is too large: at most 9 octets are read",
  });
});
