import assert from "node:assert/strict";
import { test } from "node:test";
import type { Random } from "@sotto/dns/runtime";
import { SeededRandom } from "@sotto/dns/testing";
import {
  encodeMessage,
  MessageView,
  makeEdns,
  makeMessage,
  parseName,
  RRType,
  tryDecodeMessage,
  tryFindTtls,
  uint16At,
} from "@sotto/dns/wire";
import { MessageCache, type MessageCacheOptions } from "./message-cache.ts";
import { MESSAGE_CACHE_BYTES_MIN, shareMessageCache } from "./message-memory.ts";

const fixed = new SeededRandom(7);
/** With secrets of zero every key has the same hash. */
const weak: Random = { uint16: () => 0, below: () => 0, octets: (count) => new Uint8Array(count) };

type NewCache = (options?: Partial<MessageCacheOptions>, random?: Random) => MessageCache;

/** Everything must be so with both: a cache with memory of its own, and one that others could see. */
const memories: readonly NewCache[] = [
  (options = {}, random = fixed) =>
    new MessageCache({ bytesMax: MESSAGE_CACHE_BYTES_MIN, ...options }, random),
  (options = {}, random = fixed) => {
    const bytesMax = options.bytesMax ?? MESSAGE_CACHE_BYTES_MIN;
    const shared = shareMessageCache(bytesMax, random);
    return new MessageCache({ ...options, bytesMax, shared, workerId: 3 }, random);
  },
];

function questionOf(
  name: string,
  parts: { type?: number; dnssecOk?: boolean; checkingDisabled?: boolean } = {},
): MessageView {
  const view = new MessageView();
  const octets = encodeMessage(
    makeMessage({
      id: 99,
      recursionDesired: true,
      checkingDisabled: parts.checkingDisabled ?? false,
      questions: [{ name: parseName(name), type: parts.type ?? RRType.A, class: 1 }],
      edns: makeEdns({ dnssecOk: parts.dnssecOk ?? false }),
    }),
  );
  assert.equal(view.reset(octets), undefined);
  return view;
}

function replyTo(
  view: MessageView,
  ttl: number,
  last = 1,
  parts: { rcode?: number; isTruncated?: boolean; records?: number } = {},
): Uint8Array {
  const records = Array.from({ length: parts.records ?? 1 }, (_, i) => ({
    owner: view.qname,
    type: 1,
    class: 1,
    ttl,
    rdata: Uint8Array.of(192, 0, 2 + (i >> 8), (last + i) & 255),
  }));
  return encodeMessage(
    makeMessage({
      isResponse: true,
      rcode: parts.rcode ?? 0,
      isTruncated: parts.isTruncated ?? false,
      questions: [view.question],
      answers: records,
    }),
  );
}

function read(
  cache: MessageCache,
  view: MessageView,
  nowMs: number,
): { last: number; ttl: number } | undefined {
  const hit = cache.find(view, nowMs);
  if (hit === undefined) return undefined;
  const out = new Uint8Array(hit.replyOctets + 3);
  assert.ok(hit.copyInto(out, 3));
  const message = tryDecodeMessage(out.slice(3));
  assert.ok(message.ok);
  const record = message.value.answers[0];
  return { last: record?.rdata[3] ?? -1, ttl: record?.ttl ?? -1 };
}

test("a stored reply is found in any case, with aged TTLs, until its TTL is over", () => {
  for (const newCache of memories) {
    const cache = newCache();
    const view = questionOf("www.example.");
    assert.equal(read(cache, view, 0), undefined);
    assert.ok(cache.store(view, replyTo(view, 300, 7), 1000));
    assert.deepEqual(read(cache, questionOf("WWW.Example."), 1000), { last: 7, ttl: 300 });
    assert.deepEqual(read(cache, view, 101_000), { last: 7, ttl: 200 });
    assert.deepEqual(read(cache, view, 300_999), { last: 7, ttl: 1 });
    assert.equal(read(cache, view, 301_000), undefined);
  }
});

test("type, DO and CD are parts of the key", () => {
  for (const newCache of memories) {
    const cache = newCache();
    const view = questionOf("www.example.");
    cache.store(view, replyTo(view, 300), 0);
    assert.equal(read(cache, questionOf("www.example.", { type: RRType.AAAA }), 0), undefined);
    assert.equal(read(cache, questionOf("www.example.", { dnssecOk: true }), 0), undefined);
    assert.equal(read(cache, questionOf("www.example.", { checkingDisabled: true }), 0), undefined);
    assert.notEqual(read(cache, view, 0), undefined);
  }
});

test("what must not be cached is not: truncated, failed, TTL 0, no records, too large", () => {
  for (const newCache of memories) {
    const cache = newCache();
    const view = questionOf("www.example.");
    assert.equal(cache.store(view, replyTo(view, 300, 1, { isTruncated: true }), 0), false);
    assert.equal(cache.store(view, replyTo(view, 300, 1, { rcode: 5 }), 0), false);
    assert.equal(cache.store(view, replyTo(view, 0), 0), false);
    assert.equal(cache.store(view, replyTo(view, 300, 1, { records: 0 }), 0), false);
    assert.equal(cache.store(view, replyTo(view, 300, 1, { records: 3900 }), 0), false);
    assert.equal(cache.count, 0);
  }
});

test("a newer reply replaces the older one", () => {
  for (const newCache of memories) {
    const cache = newCache();
    const view = questionOf("www.example.");
    cache.store(view, replyTo(view, 300, 1), 0);
    cache.store(view, replyTo(view, 600, 2), 1000);
    assert.deepEqual(read(cache, view, 1000), { last: 2, ttl: 600 });
    assert.equal(cache.count, 1);
  }
});

test("a reply that cannot be kept takes the older one away", () => {
  for (const newCache of memories) {
    const cache = newCache();
    const view = questionOf("www.example.");
    cache.store(view, replyTo(view, 300), 0);
    assert.equal(cache.store(view, replyTo(view, 0), 0), false);
    assert.equal(read(cache, view, 0), undefined);
  }
});

test("a failure is kept for at least one second and no longer than two [9520-3-a]", () => {
  for (const newCache of memories) {
    for (const nowMs of [0, 999, 1500]) {
      const cache = newCache();
      const view = questionOf("broken.example.");
      assert.ok(cache.store(view, replyTo(view, 300, 1, { rcode: 2, records: 0 }), nowMs));
      assert.notEqual(cache.find(view, nowMs + 1000), undefined, `stored at ${nowMs}`);
      assert.equal(cache.find(view, nowMs + 2000), undefined, `stored at ${nowMs}`);
    }
  }
});

test("NXDOMAIN and replies without answers live shorter than others [2308-5-a]", () => {
  for (const newCache of memories) {
    const cache = newCache({ negativeTtlSecondsMax: 10 });
    const view = questionOf("www.example.");
    cache.store(view, replyTo(view, 300, 1, { rcode: 3 }), 0);
    assert.notEqual(cache.find(view, 9_999), undefined);
    assert.equal(cache.find(view, 10_000), undefined);
    cache.store(view, replyTo(view, 300), 10_000);
    assert.notEqual(cache.find(view, 40_000), undefined);
  }
});

test("whoever stores may set a shorter life", () => {
  for (const newCache of memories) {
    const cache = newCache();
    const view = questionOf("www.example.");
    cache.store(view, replyTo(view, 300), 0, 5);
    assert.notEqual(cache.find(view, 4_999), undefined);
    assert.equal(cache.find(view, 5_000), undefined);
    assert.equal(cache.store(view, replyTo(view, 300), 0, 0), false);
  }
});

test("what has expired is given for as long as whoever asks allows, with the TTL that they name", () => {
  for (const newCache of memories) {
    const cache = newCache({}, new SeededRandom(8));
    const view = questionOf("www.example.");
    cache.store(view, replyTo(view, 300), 0);
    assert.equal(cache.find(view, 300_000), undefined);
    const hit = cache.find(view, 359_999, 60);
    const out = new Uint8Array(hit?.replyOctets ?? 0);
    assert.equal(hit?.copyInto(out, 0, 30), true);
    const ttls = tryFindTtls(out);
    assert.equal(ttls.ok && ttls.value.smallestTtl, 30);
    assert.equal(cache.find(view, 360_000, 60), undefined);
  }
});

test("keys with one hash are told apart, and a crowd of them cannot make look-ups slow", () => {
  for (const newCache of memories) {
    const cache = newCache({}, weak);
    let stored = 0;
    for (let i = 0; i < 300; i++) {
      const view = questionOf(`name-${i}.example.`);
      if (cache.store(view, replyTo(view, 300, i & 255), 0)) stored++;
    }
    assert.equal(stored, 128);
    assert.equal(cache.counters.crowdedOut, 300 - 128);
    for (let i = 0; i < 300; i++) {
      const found = read(cache, questionOf(`name-${i}.example.`), 0);
      assert.equal(found?.last, i < 128 ? i : undefined, `name-${i}`);
    }
    // One leaves from the middle of the run: the others are still found, and there is room for another.
    cache.flush(parseName("name-5.example."), false);
    assert.equal(read(cache, questionOf("name-127.example."), 0)?.last, 127);
    const late = questionOf("late.example.");
    assert.ok(cache.store(late, replyTo(late, 300, 77), 0));
    assert.equal(read(cache, late, 0)?.last, 77);
  }
});

test("replies of any length leave those around them whole", () => {
  for (const newCache of memories) {
    const cache = newCache();
    const random = new SeededRandom(11);
    const lengths = [1, 2, 3, 100, 500, 1000, 2000, 2048, 2049, 3500];
    for (let i = 0; i < 2000; i++) {
      const name = `n${i}.${"x".repeat(random.below(60) + 1)}.example.`;
      const view = questionOf(name);
      const records = lengths[random.below(lengths.length)] ?? 1;
      const isKept = cache.store(view, replyTo(view, 300, 5, { records }), 0);
      assert.equal(isKept, records <= 2048, `${records} records`);
      if (isKept) assert.equal(read(cache, view, 0)?.last, 5, `${i}: ${name} with ${records} records`);
      assert.ok(cache.usedBytes <= MESSAGE_CACHE_BYTES_MIN);
    }
  }
});

test("a message that is no message is not stored", () => {
  for (const newCache of memories) {
    const cache = newCache();
    const view = questionOf("www.example.");
    const whole = replyTo(view, 300);
    for (let length = 0; length < whole.length; length++)
      assert.equal(cache.store(view, whole.subarray(0, length), 0), false, `${length} octets`);
    assert.equal(cache.count, 0);
  }
});

test("the life is capped", () => {
  for (const newCache of memories) {
    const cache = newCache({ ttlSecondsMax: 10 });
    const view = questionOf("www.example.");
    cache.store(view, replyTo(view, 300), 0);
    assert.notEqual(read(cache, view, 9_999), undefined);
    assert.equal(read(cache, view, 10_000), undefined);
  }
});

test("the budget holds, the oldest go first, and what was asked for lately stays", () => {
  for (const newCache of memories) {
    const cache = newCache();
    const popular = questionOf("popular.example.");
    cache.store(popular, replyTo(popular, 86_400, 42), 0);
    for (let i = 0; i < 20_000; i++) {
      const view = questionOf(`name-${i}.example.`);
      assert.ok(cache.store(view, replyTo(view, 86_400, i & 255, { records: 1 + (i % 7) }), i));
      assert.ok(cache.usedBytes <= MESSAGE_CACHE_BYTES_MIN);
      if (i % 100 === 0) assert.equal(read(cache, popular, i)?.last, 42, `popular lost after ${i}`);
    }
    assert.ok(cache.counters.evicted > 10_000);
    assert.equal(read(cache, questionOf("name-0.example."), 20_000), undefined);
    assert.equal(read(cache, questionOf("name-19999.example."), 20_000)?.last, 19_999 & 255);
  }
});

test("any sequence of stores, lookups and flushes agrees with a map, as far as the cache remembers", () => {
  for (const newCache of memories) {
    let state = 12_345;
    const next = (bound: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % bound;
    };
    const cache = newCache();
    const model = new Map<string, { last: number; untilMs: number }>();
    let hits = 0;
    for (let step = 0; step < 30_000; step++) {
      const name = `n${next(400)}.z${next(3)}.example.`;
      const view = questionOf(name);
      const nowMs = step * 2;
      const action = next(100);
      if (action < 55) {
        const ttl = 1 + next(200);
        const last = next(256);
        cache.store(view, replyTo(view, ttl, last, { records: 1 + next(12) }), nowMs);
        model.set(name, { last, untilMs: (Math.floor(nowMs / 1000) + ttl) * 1000 });
      } else if (action < 99) {
        const found = read(cache, view, nowMs);
        if (found !== undefined) {
          hits++;
          const expected = model.get(name);
          assert.equal(found.last, expected?.last, `step ${step}`);
          assert.ok(nowMs < (expected?.untilMs ?? 0), `step ${step}: found after its time`);
        }
      } else {
        const zone = `z${next(3)}.example.`;
        cache.flush(parseName(zone), true);
        for (const known of model.keys()) if (known.endsWith(`.${zone}`)) model.delete(known);
      }
    }
    assert.ok(hits > 1000, `${hits} hits`);
  }
});

test("flushing a name leaves its children, flushing a zone takes them, and labels count, not characters", () => {
  for (const newCache of memories) {
    const cache = newCache();
    const names = ["example.", "www.example.", "a.www.example.", "myexample.", "other."];
    const store = (): void => {
      for (const name of names) {
        const view = questionOf(name);
        cache.store(view, replyTo(view, 300), 0);
      }
    };
    const left = (): string[] => names.filter((name) => read(cache, questionOf(name), 0) !== undefined);
    store();
    assert.equal(cache.flush(parseName("WWW.example."), false), 1);
    assert.deepEqual(left(), ["example.", "a.www.example.", "myexample.", "other."]);
    store();
    assert.equal(cache.flush(parseName("example."), true), 3);
    assert.deepEqual(left(), ["myexample.", "other."]);
    cache.clear();
    assert.equal(cache.count, 0);
    assert.deepEqual(left(), []);
  }
});

test("a hit is copied without touching what lies around it", () => {
  for (const newCache of memories) {
    const cache = newCache();
    const view = questionOf("www.example.");
    const reply = replyTo(view, 300, 1, { records: 30 });
    cache.store(view, reply, 0);
    const hit = cache.find(view, 5000);
    assert.ok(hit);
    const out = new Uint8Array(reply.length + 4).fill(0xee);
    hit.copyInto(out, 2);
    assert.equal(uint16At(out, 0), 0xeeee);
    assert.equal(uint16At(out, reply.length + 2), 0xeeee);
    assert.equal(hit.ageSeconds, 5);
  }
});
