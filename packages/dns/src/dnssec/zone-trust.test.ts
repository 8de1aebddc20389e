import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName } from "@sotto/dns/wire";
import { type TimedTrust, ZoneTrustCache } from "./zone-trust.ts";

const INSECURE: TimedTrust = { trust: { kind: "insecure", errors: [] }, ttlSeconds: 60 };

test("what was found out counts for as long as its TTL, and the rest of it is told", () => {
  const cache = new ZoneTrustCache();
  const name = parseName("example.");
  cache.keep(name, INSECURE, 1000);
  assert.deepEqual(cache.find(parseName("EXAMPLE."), 1000), INSECURE);
  assert.equal(cache.find(name, 1059)?.ttlSeconds, 1);
  assert.equal(cache.find(name, 1060), undefined);
  assert.equal(cache.find(parseName("sub.example."), 1000), undefined);
});

test("a later finding replaces an earlier one, and one without a life removes it", () => {
  const cache = new ZoneTrustCache();
  const name = parseName("example.");
  cache.keep(name, INSECURE, 0);
  cache.keep(name, { trust: { kind: "bogus", errors: [] }, ttlSeconds: 5 }, 0);
  assert.equal(cache.find(name, 4)?.trust.kind, "bogus");
  assert.equal(cache.size, 1);
  cache.keep(name, { ...INSECURE, ttlSeconds: 0 }, 4);
  assert.equal(cache.find(name, 4), undefined);
  assert.equal(cache.size, 0);
});

test("a flush forgets a name and all below it", () => {
  const cache = new ZoneTrustCache();
  for (const name of ["example.", "a.example.", "b.a.example.", "xample.", "test."])
    cache.keep(parseName(name), INSECURE, 0);
  cache.flush(parseName("a.example."));
  assert.equal(cache.size, 3);
  assert.equal(cache.find(parseName("b.a.example."), 0), undefined);
  assert.notEqual(cache.find(parseName("example."), 0), undefined);
  cache.clear();
  assert.equal(cache.size, 0);
});

test("of more zones than are remembered the oldest leave", () => {
  const cache = new ZoneTrustCache();
  for (let i = 0; i < 20_010; i++) cache.keep(parseName(`z${i}.`), INSECURE, 0);
  assert.equal(cache.size, 20_000);
  assert.equal(cache.find(parseName("z9."), 0), undefined);
  assert.notEqual(cache.find(parseName("z10."), 0), undefined);
});
