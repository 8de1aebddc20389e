import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { EdeCode, parseName, RRType } from "@sotto/dns/wire";
import { FAILURE_LIFE_MS_MAX, FAILURES_MAX, FailureCache } from "./failure-cache.ts";

const sought = { name: parseName("www.example."), type: RRType.A };
const failure = {
  kind: "failed" as const,
  reason: "no reachable authority" as const,
  isCircumstantial: false,
  extendedErrors: [{ code: EdeCode.NoReachableAuthority, text: "" }],
};

test("a failure is kept one second at first, twice as long each time, five minutes at most [9520-3-a]", async () => {
  const clock = new SimClock();
  const failures = new FailureCache(clock);
  let lifeMs = 1000;
  for (let i = 0; i < 12; i++) {
    failures.note(sought, failure);
    await clock.advance(lifeMs - 1);
    assert.notEqual(failures.find(sought), undefined, `after ${lifeMs - 1} ms`);
    await clock.advance(1);
    assert.equal(failures.find(sought), undefined, `after ${lifeMs} ms`);
    lifeMs = Math.min(lifeMs * 2, FAILURE_LIFE_MS_MAX);
  }
});

test("an answer in between starts again at one second", async () => {
  const clock = new SimClock();
  const failures = new FailureCache(clock);
  failures.note(sought, failure);
  failures.note(sought, failure);
  failures.forget(sought);
  failures.note(sought, failure);
  await clock.advance(1000);
  assert.equal(failures.find(sought), undefined);
});

test("other types of the name are not affected", () => {
  const failures = new FailureCache(new SimClock());
  failures.note(sought, failure);
  assert.equal(failures.find({ ...sought, type: RRType.AAAA }), undefined);
});

test("the number of failures is bounded and the oldest leaves", () => {
  const failures = new FailureCache(new SimClock());
  for (let i = 0; i <= FAILURES_MAX; i++)
    failures.note({ ...sought, name: parseName(`n${i}.example.`) }, failure);
  assert.equal(failures.find({ ...sought, name: parseName("n0.example.") }), undefined);
  assert.notEqual(failures.find({ ...sought, name: parseName(`n${FAILURES_MAX}.example.`) }), undefined);
});
