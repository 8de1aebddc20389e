/** What a row becomes when its check does not come to its end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { simRuntime } from "@sotto/dns/testing";
import { type Check, runCheck } from "./check.ts";
import { found } from "./finding.ts";
import { PROBE_NAMES_DEFAULT } from "./probe-options.ts";
import { Prober } from "./prober.ts";

const CHECK: Omit<Check, "run"> = {
  row: "pipelining",
  requirements: [],
  sends: "nothing",
  over: ["tcp"],
  on: "anyway",
};

function proberWith(signal: AbortSignal | undefined): Prober {
  const target = { text: "target", address: "198.51.100.1", transports: ["tcp"] as const };
  const options = { isThorough: false, names: PROBE_NAMES_DEFAULT, signal };
  return new Prober(target, options, simRuntime(1).runtimeOf(["192.0.2.1"]));
}

// It ended the whole probe, and what was found before was lost with it.
test("a check that throws is a row that cannot be tested, with the reason", async () => {
  const run = (): Promise<never> => Promise.reject(new TypeError("no such thing"));
  const cell = await runCheck({ ...CHECK, run }, proberWith(undefined));
  assert.deepEqual([cell.verdict, cell.confidence], ["not testable", "guess"]);
  assert.match(cell.observed, /the prober failed: no such thing/);
});

// A connection that the prober gave up looked like one that the server had closed: none or broken, and certain.
test("a row in whose middle the probe is stopped blames nobody", async () => {
  const stop = new AbortController();
  const prober = proberWith(stop.signal);
  const run: Check["run"] = () => {
    stop.abort();
    return Promise.resolve(found("none", "0 of 6 queries were answered; the probe was stopped"));
  };
  const cell = await runCheck({ ...CHECK, run }, prober);
  assert.equal(cell.verdict, "not testable");
  assert.match(cell.observed, /stopped in the middle of this row/);
});

test("what was released before the stop stays so", async () => {
  const stop = new AbortController();
  const run: Check["run"] = () => {
    stop.abort();
    return Promise.resolve(found("released", "6 of 6 queries were answered"));
  };
  const cell = await runCheck({ ...CHECK, run }, proberWith(stop.signal));
  assert.equal(cell.verdict, "released");
});
