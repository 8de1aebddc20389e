import assert from "node:assert/strict";
import { test } from "node:test";
import { Stop, stopWith } from "./stop-signal.ts";

test("a stop tells everybody who listens then, once", () => {
  const stop = new Stop();
  const told: string[] = [];
  const third = (): void => void told.push("third");
  const early = (): void => void told.push("early");
  stop.addEventListener("abort", early);
  stop.removeEventListener("abort", early);
  stop.addEventListener("abort", () => told.push("first"));
  stop.addEventListener("abort", () => stop.removeEventListener("abort", third));
  stop.addEventListener("abort", third);
  assert.equal(stop.aborted, false);
  stop.abort("enough");
  stop.abort("again");
  assert.deepEqual([told, stop.aborted, stop.reason], [["first"], true, "enough"]);
});

test("one stops with another, before or after it was made", () => {
  const outer = new AbortController();
  const before = stopWith(outer.signal);
  outer.abort("over");
  const after = stopWith(outer.signal);
  assert.deepEqual([before.reason, after.reason], ["over", "over"]);
});

test("once it has stopped by itself the other one does not know it any more", () => {
  const listeners = new Set<() => void>();
  const own = stopWith({
    aborted: false,
    reason: undefined,
    addEventListener: (_type, listener) => listeners.add(listener),
    removeEventListener: (_type, listener) => listeners.delete(listener),
  });
  assert.equal(listeners.size, 1);
  own.abort();
  assert.equal(listeners.size, 0);
});
