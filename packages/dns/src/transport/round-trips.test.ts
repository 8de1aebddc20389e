import assert from "node:assert/strict";
import { test } from "node:test";
import { RoundTrips } from "./round-trips.ts";

test("patience follows the round trips between its limits", () => {
  const trips = new RoundTrips();
  assert.equal(trips.patienceMs("a", 1000), 1000, "nothing is known");
  trips.note("a", 200);
  assert.equal(trips.patienceMs("a", 1000), 600);
  for (let i = 0; i < 50; i++) trips.note("a", 200);
  assert.equal(trips.patienceMs("a", 1000), 250);
  for (let i = 0; i < 50; i++) trips.note("a", i % 2 === 0 ? 100 : 500);
  const uneven = trips.patienceMs("a", 5000);
  assert.ok(uneven > 900 && uneven < 1300, `${uneven} ms`);
  assert.equal(trips.patienceMs("a", 1000), Math.min(1000, uneven));
  trips.note("near", 1);
  assert.equal(trips.patienceMs("near", 1000), 250);
  assert.equal(trips.patienceMs("near", 100), 100, "the caller's limit holds");
});

test("what is measured is forgotten when nothing comes, and the table is bounded", () => {
  const trips = new RoundTrips();
  for (let i = 0; i <= 2000; i++) trips.note(`server ${i}`, 1);
  assert.equal(trips.patienceMs("server 0", 1000), 1000);
  assert.equal(trips.patienceMs("server 1", 1000), 250);
  trips.forget("server 1");
  assert.equal(trips.patienceMs("server 1", 1000), 1000);
  trips.forgetAll();
  assert.equal(trips.patienceMs("server 2000", 1000), 1000);
});
