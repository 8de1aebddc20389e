import assert from "node:assert/strict";
import { test } from "node:test";
import { canSharePorts, coreCount, threadEnd } from "./worker-thread.ts";

test("ports are shared where the kernel spreads what comes, and nowhere else", () => {
  assert.deepEqual(["linux", "freebsd", "darwin", "win32"].map(canSharePorts), [true, true, false, false]);
  assert.ok(coreCount() >= 1);
});

test("the main thread was started by nobody", () => {
  assert.throws(() => threadEnd(), /this is the main thread/);
});
