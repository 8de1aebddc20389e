import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "@sotto/dns/runtime";
import { parseName, RRType } from "@sotto/dns/wire";
import { type RRset, RRsetCache, type RRsetCacheOptions, Trust } from "./rrset-cache.ts";

class SteppedClock implements Clock {
  ms = 1000;
  nowMs(): number {
    return this.ms;
  }
  wallMs(): number {
    return 0;
  }
  startTimer(): never {
    throw new Error("the cache needs no timers");
  }
}

function build(options: RRsetCacheOptions = {}): { clock: SteppedClock; cache: RRsetCache } {
  const clock = new SteppedClock();
  return { clock, cache: new RRsetCache(options, clock) };
}

function rrset(owner: string, ttlSeconds: number, last = 1, type: number = RRType.A): RRset {
  const rdatas = [Uint8Array.of(192, 0, 2, last)];
  return {
    owner: parseName(owner),
    type,
    ttlSeconds,
    rdatas,
    signatures: [],
    proofs: [],
    synthesizedFrom: undefined,
  };
}

const www = parseName("www.example.");

test("a set is found in any case until its TTL is over, counting down", () => {
  const { clock, cache } = build();
  cache.store(rrset("www.example.", 300), Trust.AnswerAuthoritative);
  assert.equal(cache.find(parseName("WWW.EXAMPLE."), RRType.A)?.ttlSeconds, 300);
  clock.ms += 299_001;
  assert.equal(cache.find(www, RRType.A)?.ttlSeconds, 1);
  clock.ms += 999;
  assert.equal(cache.find(www, RRType.A), undefined);
});

test("less trusted data does not replace more trusted, which it is told", () => {
  const { clock, cache } = build();
  cache.store(rrset("www.example.", 300, 1), Trust.AnswerAuthoritative);
  assert.equal(cache.store(rrset("www.example.", 300, 66), Trust.Answer).rdatas[0]?.[3], 1);
  assert.equal(cache.find(www, RRType.A)?.rdatas[0]?.[3], 1);
  clock.ms += 300_000;
  assert.equal(cache.store(rrset("www.example.", 300, 2), Trust.Answer).rdatas[0]?.[3], 2);
});

test("data of equal trust is replaced by newer", () => {
  const { cache } = build();
  cache.store(rrset("www.example.", 300, 1), Trust.Answer);
  cache.store(rrset("www.example.", 300, 2), Trust.Answer);
  assert.equal(cache.find(www, RRType.A)?.rdatas[0]?.[3], 2);
});

test("data from referrals and additional sections does not answer clients", () => {
  const { cache } = build();
  cache.store(rrset("www.example.", 300), Trust.Referral);
  assert.equal(cache.find(www, RRType.A), undefined);
  assert.notEqual(cache.find(www, RRType.A, Trust.Additional), undefined);
});

test("what is stored is indeterminate until somebody validates it", () => {
  const { cache } = build();
  cache.store(rrset("www.example.", 300), Trust.Answer);
  assert.equal(cache.find(www, RRType.A)?.security, "indeterminate");
});

test("TTLs are kept within their bounds and zero is not stored", () => {
  const { cache } = build({ ttlSecondsMax: 100 });
  assert.equal(cache.store(rrset("www.example.", 300), Trust.Answer).ttlSeconds, 100);
  assert.equal(cache.find(www, RRType.A)?.ttlSeconds, 100);
  cache.store(rrset("www.example.", 0), Trust.Answer);
  assert.equal(cache.find(www, RRType.A), undefined);
  const floored = build({ ttlSecondsMin: 10 }).cache;
  assert.equal(floored.store(rrset("www.example.", 0), Trust.Answer).ttlSeconds, 10);
});

test("NXDOMAIN is for all types, NODATA for one, both end with their SOA's TTL [2308-5-a]", () => {
  const { clock, cache } = build({ negativeTtlSecondsMax: 50 });
  const soa = rrset("example.", 60, 1, RRType.SOA);
  cache.storeNegative(www, RRType.A, { kind: "nodata", soa, proofs: [] });
  assert.equal(cache.findNegative(www, RRType.A)?.kind, "nodata");
  assert.equal(cache.findNegative(www, RRType.AAAA), undefined);
  cache.storeNegative(www, RRType.A, { kind: "nxdomain", soa, proofs: [] });
  assert.equal(cache.findNegative(www, RRType.AAAA)?.kind, "nxdomain");
  clock.ms += 20_000;
  assert.equal(cache.findNegative(www, RRType.AAAA)?.soa?.ttlSeconds, 30);
  clock.ms += 30_000;
  assert.equal(cache.findNegative(www, RRType.AAAA), undefined);
});

test("a negative answer without SOA is not cached [2308-5-a]", () => {
  const { cache } = build();
  cache.storeNegative(www, RRType.A, { kind: "nxdomain", soa: undefined, proofs: [] });
  assert.equal(cache.findNegative(www, RRType.A), undefined);
});

test("that all servers gave empty replies is known for five seconds", () => {
  const { clock, cache } = build();
  cache.storeEmpty(www, RRType.A, { kind: "nodata", soa: undefined, proofs: [] });
  assert.equal(cache.findNegative(www, RRType.A)?.kind, "nodata");
  assert.equal(cache.findNegative(www, RRType.AAAA), undefined);
  clock.ms += 5000;
  assert.equal(cache.findNegative(www, RRType.A), undefined);
});

test("negative answers have bounds of their own", () => {
  const soa = rrset("example.", 1, 1, RRType.SOA);
  const answer = { kind: "nodata", soa, proofs: [] } as const;
  for (const [options, seconds] of [
    [{ ttlSecondsMin: 5, negativeTtlSecondsMin: 10 }, 10],
    [{ ttlSecondsMin: 5 }, 5],
    [{}, 1],
  ] as const) {
    const { cache } = build(options);
    assert.equal(cache.storeNegative(www, RRType.A, answer).soa?.ttlSeconds, seconds);
  }
});

test("a set that answers ends the NXDOMAIN at its owner", () => {
  const { cache } = build();
  const soa = rrset("example.", 60, 1, RRType.SOA);
  cache.storeNegative(www, RRType.A, { kind: "nxdomain", soa, proofs: [] });
  cache.store(rrset("www.example.", 300), Trust.Answer);
  assert.equal(cache.findNegative(www, RRType.AAAA), undefined);
});

test("flushing a name takes everything below it along", () => {
  const { cache } = build();
  cache.store(rrset("www.example.", 300), Trust.Answer);
  cache.store(rrset("www.test.", 300), Trust.Answer);
  cache.storeNegative(parseName("x.example."), RRType.A, {
    kind: "nodata",
    soa: rrset("example.", 60, 1, RRType.SOA),
    proofs: [],
  });
  cache.flush(parseName("example."));
  assert.equal(cache.use.entries, 1);
  assert.notEqual(cache.find(parseName("www.test."), RRType.A), undefined);
});

test("the byte budget holds under any number of sets", () => {
  const { cache } = build({ bytesMax: 20_000 });
  for (let i = 0; i < 500; i++) {
    cache.store(rrset(`n${i}.example.`, 300), Trust.Answer);
    assert.ok(cache.use.bytes <= 20_000);
  }
  assert.ok(cache.use.evictions > 0);
  assert.notEqual(cache.find(parseName("n499.example."), RRType.A), undefined);
});

test("proofs of a wildcard grow old with their set, which does not outlive them", () => {
  const { clock, cache } = build();
  const proof = rrset("a.example.", 200, 2, RRType.NSEC);
  cache.store({ ...rrset("www.example.", 300), proofs: [proof] }, Trust.AnswerAuthoritative);
  assert.equal(cache.find(www, RRType.A)?.ttlSeconds, 200);
  clock.ms += 150_000;
  assert.equal(cache.find(www, RRType.A)?.proofs[0]?.ttlSeconds, 50);
  clock.ms += 50_000;
  assert.equal(cache.find(www, RRType.A), undefined);
});

test("a denial does not outlive its proofs", () => {
  const { cache } = build();
  const proof = rrset("a.example.", 20, 2, RRType.NSEC);
  const soa = rrset("example.", 60, 1, RRType.SOA);
  const kept = cache.storeNegative(www, RRType.A, { kind: "nodata", soa, proofs: [proof] });
  assert.equal(kept.soa?.ttlSeconds, 20);
  assert.equal(cache.findNegative(www, RRType.A)?.proofs[0]?.ttlSeconds, 20);
});
