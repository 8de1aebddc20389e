import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "@sotto/dns/runtime";
import { logFilter, openLog } from "./log.ts";

function fixture(
  format: "text" | "json",
  isTTY = false,
): { lines: string[]; clock: { now: number } & Clock; log: ReturnType<typeof openLog> } {
  const lines: string[] = [];
  const clock = {
    now: 0,
    nowMs: () => clock.now,
    wallMs: () => 0,
    startTimer: () => ({ cancel: () => undefined }),
  };
  const log = openLog(
    { level: "info", format, stream: { write: (line: string) => lines.push(line), isTTY } },
    clock,
  );
  return { lines, clock, log };
}

test("events below the level are not written, and wants() says so", () => {
  const { lines, log } = fixture("json");
  log.events.publish("something.minor", { a: 1 });
  assert.equal(log.events.wants("something.minor"), false);
  assert.equal(log.events.wants("listener.failed"), true);
  assert.equal(lines.length, 0);
});

test("a repeated event writes ten lines in ten seconds and then says how many it left out", () => {
  const { lines, clock, log } = fixture("json");
  for (let i = 0; i < 100; i++) log.events.publish("listener.failed", { i });
  assert.equal(lines.length, 10);
  clock.now = 10_000;
  log.events.publish("listener.failed", { i: 100 });
  assert.equal(JSON.parse(lines[10] ?? "{}").suppressed, 90);
});

test("an event that goes on for an hour writes about a hundred lines, which account for all of it", () => {
  const { lines, clock, log } = fixture("json");
  for (let i = 0; i < 36_000; i++) {
    clock.now = i * 100;
    log.events.publish("listener.failed", { i });
  }
  assert.ok(lines.length > 50 && lines.length < 150, `${lines.length} lines`);
  clock.now += 600_000;
  log.events.publish("listener.failed", { i: "the last" });
  const told = lines.reduce((sum, line) => sum + 1 + (JSON.parse(line).suppressed ?? 0), 0);
  assert.equal(told, 36_001);
  clock.now += 600_000;
  for (let i = 0; i < 12; i++) log.events.publish("listener.failed", { i });
  clock.now += 10_000;
  log.events.publish("listener.failed", { i: "after calm times" });
  assert.equal(JSON.parse(lines.at(-1) ?? "{}").suppressed, 2, "short windows again");
});

test("text lines hold time, level, event and details", () => {
  const { lines, log } = fixture("text");
  log.events.publish("listener.failed", { address: "192.0.2.1", port: 853 });
  assert.match(
    lines[0] ?? "",
    /^\d\d:\d\d:\d\d\.\d{3} warn {2}listener\.failed address=192\.0\.2\.1 port=853\n$/,
  );
});

// They had no level, and what has none is for debugging: a backend that went down was told to nobody.
test("what a front end tells is told at the usual level, what goes wrong as a warning at least", () => {
  const isTold = logFilter("info");
  const isWarning = logFilter("warn");
  const rows: readonly (readonly [string, boolean])[] = [
    ["front.backend.down", true],
    ["front.backend.not-authenticated", true],
    ["front.backend.authenticated", false],
    ["front.backend.starting", false],
    ["front.backend.up", false],
    ["front.backend.draining", false],
    ["front.set.refused", true],
    ["front.set.bad-lines", true],
    ["front.set.loaded", false],
    ["front.reply.unusable", true],
    ["front.query.failed", true],
    ["front.client.banned", false],
    ["front.query", false],
  ];
  assert.deepEqual(
    rows.map(([name]) => [name, isWarning(name), isTold(name)]),
    rows.map(([name, warns]) => [name, warns, true]),
  );
});

// The supervisor has the engine and said so, and its worker, without descriptors left, did not: nobody was told.
test("a thread that has to do without the engine it should have is worth a warning", () => {
  assert.equal(logFilter("warn")("runtime.engine-unavailable"), true);
});

test("what a log has no line for is known beforehand", () => {
  const told = (level: "error" | "warn" | "info" | "debug"): boolean[] =>
    ["server.bug", "listener.failed", "certificate.renewed", "anything.else"].map(logFilter(level));
  assert.deepEqual(told("error"), [true, false, false, false]);
  assert.deepEqual(told("info"), [true, true, true, false]);
  assert.deepEqual(told("debug"), [true, true, true, true]);
});
