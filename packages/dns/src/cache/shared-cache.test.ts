import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { SeededRandom } from "@sotto/dns/testing";
import { encodeMessage, makeMessage, parseName } from "@sotto/dns/wire";
import { MessageCache } from "./message-cache.ts";
import { CacheMemory, MESSAGE_CACHE_BYTES_MIN, State, shareMessageCache } from "./message-memory.ts";
import {
  exercise,
  look,
  makeSamples,
  type Outcome,
  type Sample,
  type Task,
} from "./shared-cache.test-support.ts";

const random = new SeededRandom(5);
const samples = makeSamples();

function sampleAt(i: number): Sample {
  const sample = samples[i];
  assert.ok(sample);
  return sample;
}

function storeIn(cache: MessageCache, sample: Sample, variant = 0, nowMs = 0): boolean {
  const reply = sample.variants[variant];
  assert.ok(reply);
  return cache.store(sample.view, reply, nowMs);
}

/** Caches of two threads, here both in one. */
function pair(bytesMax = MESSAGE_CACHE_BYTES_MIN): {
  readonly a: MessageCache;
  readonly b: MessageCache;
  readonly memory: CacheMemory;
} {
  const shared = shareMessageCache(bytesMax, random);
  const cacheOf = (workerId: number): MessageCache =>
    new MessageCache({ bytesMax, shared, workerId }, random);
  return { a: cacheOf(1), b: cacheOf(2), memory: new CacheMemory(shared.buffer, shared.shardCount) };
}

function start(task: Task): Worker {
  return new Worker(new URL("./shared-cache.test-support.ts", import.meta.url), { workerData: task });
}

test("what one stores all find, and what one forgets all have forgotten", () => {
  const { a, b } = pair(16 * MESSAGE_CACHE_BYTES_MIN);
  for (const sample of samples) assert.ok(storeIn(a, sample, 1));
  for (const sample of samples) assert.equal(look(b, sample, 0), "right");
  assert.equal(b.count, samples.length);
  assert.equal(b.flush(sampleAt(4).view.qname, false), 1);
  assert.equal(look(a, sampleAt(4), 0), "nothing");
  assert.equal(a.flush(parseName("example."), true), samples.length - 1);
  assert.equal(look(b, sampleAt(5), 0), "nothing");
  assert.ok(storeIn(b, sampleAt(6)));
  a.clear();
  assert.equal(look(b, sampleAt(6), 0), "nothing");
  assert.equal(a.count, 0);
});

test("the memory is never more than was asked for, and the longest message fits from one MiB on", () => {
  const view = sampleAt(0).view;
  const record = { owner: view.qname, type: view.qtype, class: 1, ttl: 60, rdata: new Uint8Array(65_480) };
  const longest = encodeMessage(
    makeMessage({ isResponse: true, questions: [view.question], answers: [record] }),
  );
  for (const bytesMax of [1, MESSAGE_CACHE_BYTES_MIN, 1e6, 2 ** 20, 2 ** 20 + 999, 7e6, 2 ** 24, 9e7]) {
    const shared = shareMessageCache(bytesMax, random);
    assert.ok(shared.buffer.byteLength <= Math.max(bytesMax, MESSAGE_CACHE_BYTES_MIN), `${bytesMax}`);
    const cache = new MessageCache({ bytesMax, shared, workerId: 1 }, random);
    if (bytesMax >= 2 ** 20) assert.ok(cache.store(view, longest, 0), `${bytesMax}`);
    assert.ok(storeIn(cache, sampleAt(1)), `${bytesMax}`);
    assert.equal(look(cache, sampleAt(1), 0), "right", `${bytesMax}`);
  }
});

test("only one thread is told that an entry is aging", () => {
  const { a, b } = pair();
  storeIn(a, sampleAt(0));
  assert.equal(a.find(sampleAt(0).view, 200_000)?.isAging, false);
  assert.equal(b.find(sampleAt(0).view, 290_000)?.isAging, true);
  assert.equal(a.find(sampleAt(0).view, 290_000)?.isAging, false);
});

test("a thread whose clock was read a moment earlier finds an entry of age 0", () => {
  const { a, b } = pair();
  storeIn(a, sampleAt(0), 0, 7000);
  assert.equal(b.find(sampleAt(0).view, 6999)?.ageSeconds, 0);
});

test("an entry that is written over while it is copied is a miss", () => {
  const { a, b } = pair();
  storeIn(a, sampleAt(0), 4);
  const hit = a.find(sampleAt(0).view, 0);
  assert.ok(hit);
  assert.ok(hit.copyInto(new Uint8Array(70_000), 0));
  for (let i = 1; i < 1000; i++) storeIn(b, sampleAt(1 + (i % 50)), 3);
  assert.equal(hit.copyInto(new Uint8Array(70_000), 0), false);
  assert.deepEqual({ ...a.counters }, { ...a.counters, hits: 0, misses: 1, torn: 1 });
});

test("while one writes the others read, and give up what they wanted to store", () => {
  const { a, b, memory } = pair();
  storeIn(a, sampleAt(0), 1);
  memory.words[State.Lock] = 3;
  assert.equal(storeIn(a, sampleAt(0), 2), false);
  assert.equal(storeIn(a, sampleAt(1), 2), false);
  assert.equal(a.counters.busy, 2);
  assert.equal(look(a, sampleAt(0), 0), "right");
  assert.equal(a.recoverFrom(1), 0, "not the one who holds it");
  assert.equal(storeIn(a, sampleAt(1)), false);
  assert.equal(a.recoverFrom(2), 1);
  assert.equal(
    look(b, sampleAt(0), 0),
    "nothing",
    "what the dead thread may have left half done is forgotten",
  );
  assert.ok(storeIn(b, sampleAt(1)));
  assert.equal(look(a, sampleAt(1), 0), "right");
});

test("what is to be forgotten is not found any more even while a thread holds the lock and does not let go", () => {
  for (const forget of [
    (cache: MessageCache) => cache.clear(),
    (cache: MessageCache) => cache.flush(sampleAt(0).view.qname, false),
  ]) {
    const { a, b, memory } = pair();
    storeIn(a, sampleAt(0), 1);
    memory.words[State.Lock] = 3;
    forget(a);
    assert.equal(look(a, sampleAt(0), 0), "nothing");
    memory.words[State.Lock] = 0;
    assert.equal(look(b, sampleAt(0), 0), "nothing");
    assert.ok(storeIn(b, sampleAt(0), 2));
    assert.equal(look(a, sampleAt(0), 0), "right");
    assert.equal(exercise(b, samples, 1, 20_000).wrong, 0);
  }
});

test("positions go round without anything being mixed up", () => {
  const { a, b, memory } = pair();
  const lastLap = 2 ** 30 - 2 ** memory.unitBits;
  for (const word of [State.Floor, State.Head, State.Tail]) memory.words[word] = lastLap;
  let right = 0;
  for (let i = 0; i < 40; i++) {
    const outcome = exercise(i % 2 === 0 ? a : b, samples, i, 500);
    assert.equal(outcome.wrong, 0, `round ${i}`);
    right += outcome.right;
  }
  assert.ok((memory.words[State.Head] ?? 0) < lastLap, "the last lap is over");
  assert.ok(right > 4000, `${right}`);
});

test("whatever stands in the memory, a look-up ends, throws nothing and writes nowhere else", () => {
  const { a, memory } = pair();
  const fence = 16;
  const buffer = new Uint8Array(65_536 + 2 * fence);
  let found = 0;
  for (let round = 0; round < 60; round++) {
    a.clear();
    for (const sample of samples) storeIn(a, sample, random.below(5));
    const ringWords = (a.usedBytes >> 2) + 8;
    for (let i = 0; i < 400; i++) {
      // A word of an entry, or a word of the index, turns into anything.
      const inRing = random.chance(0.7);
      const at = inRing ? memory.ringAt + random.below(ringWords) : memory.slotsAt + random.below(4096);
      if (inRing || memory.words[at] !== 0)
        memory.words[at] = random.chance(0.5) ? random.below(2 ** 32) : random.below(70_000);
      const { view } = sampleAt(random.below(samples.length));
      const hit = a.find(view, random.below(9000));
      if (hit === undefined) continue;
      found++;
      const out = buffer.subarray(0, fence + hit.replyOctets + fence).fill(0xee);
      hit.copyInto(out, fence);
      for (let n = 0; n < fence; n++) {
        assert.equal(out[n], 0xee, `round ${round}: before the reply`);
        assert.equal(out[out.length - 1 - n], 0xee, `round ${round}: behind the reply`);
      }
    }
  }
  assert.ok(found > 1000, `${found}`);
});

test("a ring that a thread damaged which was wrongly said to be dead is emptied, and used again", () => {
  const { a, b, memory } = pair();
  for (const sample of samples) storeIn(a, sample, 3);
  memory.words.fill(0, memory.ringAt, memory.ringEnd);
  assert.equal(b.flush(parseName("example."), true), 0);
  for (let i = 0; i < 1000; i++) storeIn(b, sampleAt(i % 50), 4);
  assert.equal(look(a, sampleAt(49), 0), "right");
  assert.equal(exercise(b, samples, 3, 5000).wrong, 0);
});

test("threads that store and find at the same time never find a wrong octet", async () => {
  for (const bytesMax of [MESSAGE_CACHE_BYTES_MIN, 4 * 2 ** 20]) {
    const shared = shareMessageCache(bytesMax, random);
    const workers = [1, 2].map((workerId) => start({ shared, workerId, operations: 60_000 }));
    const cache = new MessageCache({ bytesMax, shared, workerId: 0 }, random);
    const ends = workers.map((worker) => once(worker, "message"));
    assert.equal(exercise(cache, samples, 99, 20_000).wrong, 0);
    for (const end of ends) {
      const [outcome] = (await end) as [Outcome];
      assert.equal(outcome.wrong, 0);
      assert.ok(outcome.right > 1000 && outcome.stored > 1000, JSON.stringify(outcome));
    }
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
});

test("a thread that is killed while it stores leaves nothing wrong behind, and its place can be taken", async () => {
  const shared = shareMessageCache(MESSAGE_CACHE_BYTES_MIN, random);
  const cache = new MessageCache({ bytesMax: 0, shared, workerId: 0 }, random);
  for (let round = 0; round < 12; round++) {
    const worker = start({ shared, workerId: 1, operations: undefined });
    await once(worker, "message");
    assert.equal(exercise(cache, samples, round, 3000).wrong, 0, `round ${round}, alive`);
    await worker.terminate();
    for (const sample of samples) assert.notEqual(look(cache, sample, 0), "wrong", `round ${round}, dead`);
    cache.recoverFrom(1);
    for (const [i, sample] of samples.entries()) assert.ok(storeIn(cache, sample, i % 5), `round ${round}`);
    const after = exercise(cache, samples, round, 3000);
    assert.equal(after.wrong, 0, `round ${round}, recovered`);
    assert.ok(after.right > 1000, `round ${round}: ${after.right}`);
  }
});
