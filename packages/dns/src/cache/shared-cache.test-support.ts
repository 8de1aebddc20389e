/**
 * Replies that tell by themselves whether they are right, for tests of a cache that threads share; and, when this file is
 * the main file of a thread, a thread that stores and finds them.
 */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { SeededRandom } from "@sotto/dns/testing";
import {
  encodeMessage,
  MessageView,
  makeMessage,
  octetsEqual,
  parseName,
  RRType,
  setUint32,
  tryFindTtls,
} from "@sotto/dns/wire";
import { MessageCache } from "./message-cache.ts";
import type { SharedCacheMemory } from "./message-memory.ts";

/** One question, and the replies that there may be for it. */
export interface Sample {
  readonly view: MessageView;
  readonly variants: readonly Uint8Array[];
}

/** What a thread is to do. */
export interface Task {
  readonly shared: SharedCacheMemory;
  readonly workerId: number;
  /** Absent: it stores and finds until it is stopped, after it said that it has begun. */
  readonly operations: number | undefined;
}

/** What became of it. */
export interface Outcome {
  /** Replies that are none of their question's. */
  readonly wrong: number;
  readonly right: number;
  readonly stored: number;
}

const NAMES = 60;
const TTL_SECONDS = 300;
/** From a few words to more than a hundredth of the smallest ring: entries start and end everywhere. */
const SIZES = [1, 40, 130, 700, 2800];

/** Each octet of a reply depends on its question, its variant and its place. */
export function makeSamples(): readonly Sample[] {
  return Array.from({ length: NAMES }, (_, i) => {
    const question = {
      name: parseName(`n${i}.${"x".repeat(i % 9)}.example.`.replace("..", ".")),
      type: RRType.NULL,
      class: 1,
    };
    const view = new MessageView();
    view.reset(encodeMessage(makeMessage({ questions: [question] })));
    const variants = SIZES.map((size, variant) => {
      const rdata = Uint8Array.from({ length: size }, (_, at) => Math.imul(at + 7, i * 5 + variant + 1));
      const record = { owner: question.name, type: question.type, class: 1, ttl: TTL_SECONDS, rdata };
      return encodeMessage(makeMessage({ isResponse: true, questions: [question], answers: [record] }));
    });
    return { view, variants };
  });
}

const copy = new Uint8Array(65_536);

/** What the cache has for the question: nothing, a reply that may be, or anything else. */
export function look(cache: MessageCache, sample: Sample, nowMs: number): "nothing" | "right" | "wrong" {
  const hit = cache.find(sample.view, nowMs);
  if (hit?.copyInto(copy, 0) !== true) return "nothing";
  const found = copy.subarray(0, hit.replyOctets);
  const isRight = sample.variants.some((variant) => {
    if (variant.length !== found.length) return false;
    const aged = variant.slice();
    const ttls = tryFindTtls(aged);
    if (ttls.ok)
      for (const offset of ttls.value.offsets) setUint32(aged, offset, TTL_SECONDS - hit.ageSeconds);
    return octetsEqual(aged, found);
  });
  return isRight ? "right" : "wrong";
}

/** Stores and finds by chance. */
export function exercise(
  cache: MessageCache,
  samples: readonly Sample[],
  seed: number,
  count: number,
): Outcome {
  const random = new SeededRandom(seed);
  const outcome = { wrong: 0, right: 0, stored: 0 };
  for (let i = 0; i < count; i++) {
    const sample = samples[random.below(samples.length)];
    const reply = sample?.variants[random.below(SIZES.length)];
    if (sample === undefined || reply === undefined) continue;
    if (random.chance(0.4)) {
      if (cache.store(sample.view, reply, 0)) outcome.stored++;
      continue;
    }
    const seen = look(cache, sample, random.below(2) * 5000);
    if (seen !== "nothing") outcome[seen]++;
  }
  return outcome;
}

function runTask(task: Task): void {
  const { shared, workerId, operations } = task;
  const cache = new MessageCache({ bytesMax: 0, shared, workerId }, new SeededRandom(workerId));
  const samples = makeSamples();
  if (operations !== undefined) {
    parentPort?.postMessage(exercise(cache, samples, workerId, operations));
    return;
  }
  parentPort?.postMessage("begun");
  for (let seed = 0; ; seed++) exercise(cache, samples, seed, 1000);
}

// Whoever starts this file as a thread gives it a Task.
if (!isMainThread && parentPort !== null) runTask(workerData as Task);
