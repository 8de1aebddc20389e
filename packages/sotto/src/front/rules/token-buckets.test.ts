import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@sotto/dns/testing";
import { tryParseAddress } from "@sotto/dns/wire";
import { TokenBuckets } from "./token-buckets.ts";

function octets(address: string): Uint8Array {
  const parsed = tryParseAddress(address);
  assert.ok(parsed.ok);
  return parsed.value;
}

/** Takes as many tokens as there are. */
function drain(buckets: TokenBuckets, address: string, nowMs: number, factor = 1): number {
  for (let taken = 0; ; taken++) {
    buckets.key(octets(address), 0, 32);
    if (!buckets.take(nowMs, factor)) return taken;
  }
}

test("a full bucket gives its burst, and then as many as come in a second", () => {
  const buckets = new TokenBuckets({ perSecond: 10, burst: 5 }, new SeededRandom(1));
  assert.equal(drain(buckets, "192.0.2.1", 1000), 5);
  assert.equal(drain(buckets, "192.0.2.1", 1099), 0);
  assert.equal(drain(buckets, "192.0.2.1", 1100), 1);
  assert.equal(drain(buckets, "192.0.2.1", 1400), 3);
  assert.equal(drain(buckets, "192.0.2.1", 60_000), 5);
});

test("a factor gives so many times the rate and the burst", () => {
  const buckets = new TokenBuckets({ perSecond: 10, burst: 5 }, new SeededRandom(1));
  assert.equal(drain(buckets, "192.0.2.1", 0, 4), 20);
  assert.equal(drain(buckets, "192.0.2.1", 100, 4), 4);
});

// A network with a hundredth of a burst of 50 could never ask anything: half a token is none.
test("a factor below 1 leaves room for one token at least", () => {
  const buckets = new TokenBuckets({ perSecond: 10, burst: 5 }, new SeededRandom(1));
  buckets.key(octets("192.0.2.1"), 0, 32);
  assert.equal(buckets.peek(0, 0.1), 1);
  assert.equal(drain(buckets, "192.0.2.1", 0, 0.1), 1);
  assert.equal(drain(buckets, "192.0.2.1", 999, 0.1), 0);
  assert.equal(drain(buckets, "192.0.2.1", 1000, 0.1), 1);
});

test("addresses of one prefix share a bucket, others do not", () => {
  const buckets = new TokenBuckets({ perSecond: 1, burst: 1 }, new SeededRandom(1));
  const take = (address: string, bits: number): boolean => {
    buckets.key(octets(address), 0, bits);
    return buckets.take(0);
  };
  assert.deepEqual(
    [
      take("192.0.2.1", 23),
      take("192.0.3.9", 23),
      take("192.0.4.1", 23),
      // The same octets under another mask are another client.
      take("192.0.2.0", 24),
      take("2001:db8:0:1::1", 57),
      take("2001:db8:0:7f::2", 57),
      take("2001:db8:0:80::2", 57),
    ],
    [true, false, true, true, true, false, true],
  );
});

test("looking takes nothing", () => {
  const buckets = new TokenBuckets({ perSecond: 10, burst: 5 }, new SeededRandom(1));
  buckets.key(octets("192.0.2.1"), 0, 32);
  assert.equal(buckets.peek(0), 5);
  assert.ok(buckets.take(0));
  assert.equal(Math.round(buckets.peek(0)), 4);
  assert.equal(Math.round(buckets.peek(50) * 10), 45);
});

for (const seed of [1, 2, 3]) {
  test(`buckets give what counted tokens give, seed ${seed}`, () => {
    const random = new SeededRandom(seed);
    const rate = { perSecond: 1 + random.below(50), burst: 1 + random.below(20) };
    const buckets = new TokenBuckets(rate, random);
    const model = new Map<number, { tokens: number; atMs: number }>();
    let nowMs = 0;
    for (let i = 0; i < 20_000; i++) {
      nowMs += random.below(20);
      const client = random.below(30);
      const known = model.get(client) ?? { tokens: rate.burst, atMs: nowMs };
      const tokens = Math.min(rate.burst, known.tokens + ((nowMs - known.atMs) / 1000) * rate.perSecond);
      buckets.key(Uint8Array.of(192, 0, 2, client), 0, 32);
      // Sums of fractions differ in their last digits.
      if (Math.abs(tokens - 1) < 1e-6) continue;
      assert.equal(buckets.take(nowMs), tokens >= 1, `query ${i}`);
      model.set(client, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs });
    }
  });
}

test("a table keeps its size whoever comes, and forgets the fullest buckets first", () => {
  const buckets = new TokenBuckets({ perSecond: 1, burst: 4 }, new SeededRandom(5), 64);
  const bytes = buckets.bytes;
  // One who has used up all, among thousands who asked once.
  assert.equal(drain(buckets, "198.51.100.1", 0), 4);
  for (let i = 0; i < 10_000; i++) {
    buckets.key(Uint8Array.of(192, 0, i >>> 8, i), 0, 32);
    buckets.take(1);
  }
  assert.equal(buckets.bytes, bytes);
  assert.equal(drain(buckets, "198.51.100.1", 2), 0);
});

test("names share a bucket whatever their case", () => {
  const buckets = new TokenBuckets({ perSecond: 1, burst: 1 }, new SeededRandom(5));
  buckets.nameKey(Uint8Array.of(1, 0x61, 0), 0, 3);
  assert.ok(buckets.take(0));
  buckets.nameKey(Uint8Array.of(1, 0x41, 0), 0, 3);
  assert.equal(buckets.take(0), false);
});
