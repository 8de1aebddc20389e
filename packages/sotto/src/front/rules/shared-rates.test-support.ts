/** A thread that takes tokens of one key until it has tried so often; the main file of a thread in the tests of shared rates. */
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { SeededRandom } from "@sotto/dns/testing";
import { type Rate, type SharedBuckets, TokenBuckets } from "./token-buckets.ts";

export interface Taking {
  readonly table: SharedBuckets;
  readonly rate: Rate;
  readonly tries: number;
  readonly seed: number;
}

if (!isMainThread) {
  const { table, rate, tries, seed } = workerData as Taking; // What the test gives.
  const buckets = new TokenBuckets(rate, new SeededRandom(seed), table);
  const key = Uint8Array.of(192, 0, 2, 1);
  let taken = 0;
  for (let i = 0; i < tries; i++) {
    buckets.key(key, 0, 32);
    if (buckets.take(1000)) taken++;
  }
  parentPort?.postMessage(taken);
}
