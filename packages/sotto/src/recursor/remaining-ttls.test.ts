import assert from "node:assert/strict";
import { test } from "node:test";
import type { RRset } from "@sotto/dns/cache";
import { parseName, RRType } from "@sotto/dns/wire";
import type { Outcome } from "./outcome.ts";
import { withRemainingTtls, withTtlMax, withTtlsMax } from "./remaining-ttls.ts";

const aSet = (ttlSeconds: number, asOfMs: number | undefined, proofs: readonly RRset[] = []): RRset => ({
  owner: parseName("www.example."),
  type: RRType.A,
  ttlSeconds,
  asOfMs,
  rdatas: [Uint8Array.of(192, 0, 2, 1)],
  signatures: [],
  proofs,
  synthesizedFrom: undefined,
});

function givenAt(nowMs: number, rrsets: readonly RRset[]): number[][] {
  const outcome: Outcome = { kind: "answer", chain: [], rrsets };
  const given = withRemainingTtls({ outcome, security: "secure", extendedErrors: [] }, nowMs).outcome;
  const sets = given.kind === "answer" ? given.rrsets : [];
  return sets.map(({ ttlSeconds, proofs }) => [ttlSeconds, ...proofs.map((proof) => proof.ttlSeconds)]);
}

test("a cap makes no set live longer that has waited for others and for its validation (seed 705821)", () => {
  // What was known at 0 had 15 seconds left at 5000, less than the cap, and was given 19: its TTL of old was over it.
  const proof = aSet(30, undefined);
  const known = aSet(20, 0, [proof]);
  assert.deepEqual(givenAt(5000, [withTtlMax(known, 19, 5000)]), [[15, 15]]);
  const capped = withTtlsMax({ kind: "answer", chain: [], rrsets: [known, aSet(300, 0)] }, 19, 5000);
  assert.deepEqual(givenAt(5000, capped.rrsets), [[15, 15], [19]]);
});

test("a set that was capped grows old from then on", () => {
  const capped = withTtlMax(aSet(20, 0, [aSet(30, undefined)]), 10, 5000);
  assert.deepEqual(givenAt(5000, [capped]), [[10, 10]]);
  assert.deepEqual(givenAt(8000, [capped]), [[7, 7]]);
  assert.deepEqual(givenAt(8000, [withTtlMax(capped, 8, 6000)]), [[6, 6]]);
});
