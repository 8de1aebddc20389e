import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { SeededRandom, simRuntime } from "@sotto/dns/testing";
import type { BanTold } from "./client-bans.ts";
import { ClientGuard, type ClientGuardOptions, GUARD_TABLES } from "./client-guard.ts";
import { countRates } from "./rate-tables.ts";
import type { Rule, Selector } from "./rule.ts";
import { RuleSet } from "./rule-set.ts";
import { subjectOf } from "./rules.test-support.ts";
import type { Taking } from "./shared-rates.test-support.ts";
import { shareBuckets, TokenBuckets } from "./token-buckets.ts";

const random = new SeededRandom(9);
const MASKS = { ipv4Bits: 32, ipv6Bits: 56, exceptions: [] };
const CLIENT = Uint8Array.of(192, 0, 2, 1);

test("a key has one bucket in all threads that share a table", () => {
  const table = shareBuckets(random);
  const [a, b] = [1, 2].map((seed) => {
    return new TokenBuckets({ perSecond: 10, burst: 5 }, new SeededRandom(seed), table);
  }) as [TokenBuckets, TokenBuckets];
  let taken = 0;
  for (let i = 0; i < 10; i++) {
    const buckets = i % 2 === 0 ? a : b;
    buckets.key(CLIENT, 0, 32);
    if (buckets.take(1000)) taken++;
  }
  assert.equal(taken, 5);
  b.key(CLIENT, 0, 32);
  assert.equal(b.peek(1100), 1);
});

test("threads that take at the same time never get more tokens than there are", async () => {
  const taking: Omit<Taking, "seed"> = {
    table: shareBuckets(random),
    rate: { perSecond: 1, burst: 100_000 },
    tries: 80_000,
  };
  const entry = new URL("./shared-rates.test-support.ts", import.meta.url);
  const threads = [1, 2, 3].map((seed) => new Worker(entry, { workerData: { ...taking, seed } }));
  const taken = await Promise.all(
    threads.map(async (thread) => (await once(thread, "message"))[0] as number),
  );
  assert.equal(
    taken.reduce((sum, one) => sum + one, 0),
    100_000,
    `${taken}`,
  );
});

// A lock is given back; whoever died with it must not stop the others.
test("a lock that nobody gives back holds nobody up", () => {
  const table = shareBuckets(random);
  const buckets = new TokenBuckets({ perSecond: 1, burst: 2 }, random, table);
  new Int32Array(table.buffer).fill(1, (65_536 * 16) / 4);
  buckets.key(CLIENT, 0, 32);
  assert.deepEqual([buckets.take(0), buckets.take(0), buckets.take(0)], [true, true, false]);
});

test("rules have as many rates as are counted, wherever they stand, and threads share each of them", () => {
  const rate: Selector = { kind: "client-rate", perSecond: 1, burst: 3, masks: MASKS };
  const named: Selector = { kind: "name-rate", perSecond: 1, burst: 1, labels: 0 };
  const rules: Rule[] = [
    { name: "plain", when: [rate], actions: [{ kind: "drop" }] },
    {
      name: "deep",
      when: [{ kind: "any", choices: [[{ kind: "not", selectors: [named] }], [rate, named]] }],
      actions: [{ kind: "tag", tags: ["x"] }],
    },
    {
      name: "limit",
      when: [],
      actions: [{ kind: "rate-limit", perSecond: 1, burst: 2, masks: MASKS, overLimit: "refuse" }],
    },
  ];
  assert.equal(countRates(rules), 5);
  const runtime = simRuntime(1).runtimeOf(["127.0.0.1"]);
  const pools = { isDown: () => false, isSaturated: () => false };
  const tables = Array.from({ length: 5 }, () => shareBuckets(random));
  const setOf = (rateTables: typeof tables): RuleSet =>
    new RuleSet({ rules, sets: new Map(), pools, rateTables }, runtime);
  const [a, b] = [setOf(tables), setOf(tables)];
  const ends = [a, b, a, b].map((set) => set.judge(subjectOf({ address: "192.0.2.1" })).end);
  assert.deepEqual(ends, ["pass", "pass", "refuse", "drop"]);
  assert.throws(() => setOf(tables.slice(1)), /more rates than tables/);
});

const LIMITS: ClientGuardOptions = {
  masks: MASKS,
  queriesPerSecond: 10,
  burst: 10,
  overLimit: "refuse",
  banAfter: 5,
  ban: { forMs: 1000, maxMs: 3000 },
  banned: "drop",
};

test("guards of several threads count a client together, and one that bans tells the others", () => {
  const world = simRuntime(1);
  const runtime = world.runtimeOf(["127.0.0.1"]);
  const tables = Array.from({ length: GUARD_TABLES }, () => shareBuckets(random));
  const told: BanTold[] = [];
  const [a, b] = [0, 1].map(() => {
    return new ClientGuard(LIMITS, runtime, { tables, onBanned: (ban) => void told.push(ban) });
  }) as [ClientGuard, ClientGuard];
  const verdicts: string[] = [];
  for (let i = 0; i < 12; i++) verdicts.push((i % 2 === 0 ? a : b).judge(CLIENT, 0));
  assert.deepEqual(verdicts.slice(9), ["pass", "over limit", "over limit"]);
  while (told.length === 0) a.judge(CLIENT, 0);
  assert.equal(a.judge(CLIENT, 0), "banned");
  b.adopt(told);
  assert.equal(b.judge(CLIENT, 999), "banned");
  assert.notEqual(b.judge(CLIENT, 1000), "banned");
  assert.equal(told.length, 1, "what was told is not told again");
  assert.equal(world.events.named("front.client.banned").length, 1);
});

test("the next ban of a client is longer whichever thread makes it, and a shorter one that comes late changes nothing", () => {
  const runtime = simRuntime(1).runtimeOf(["127.0.0.1"]);
  const told: BanTold[] = [];
  const guardOf = (): ClientGuard =>
    new ClientGuard(LIMITS, runtime, {
      tables: Array.from({ length: GUARD_TABLES }, () => shareBuckets(random)),
      onBanned: (ban) => void told.push(ban),
    });
  const [a, b] = [guardOf(), guardOf()];
  a.ban(CLIENT, 24, LIMITS.ban, 0, "a rule");
  b.adopt(told);
  b.ban(CLIENT, 24, LIMITS.ban, 1000, "a rule");
  assert.equal(b.bans.bannedUntil(CLIENT, 1000), 3000);
  a.adopt(told);
  a.adopt(told.slice(0, 1));
  assert.equal(a.bans.bannedUntil(Uint8Array.of(192, 0, 2, 77), 1000), 3000);
  assert.deepEqual(a.bans.status(1000), [{ client: "192.0.2.0/24", remainingMs: 2000, count: 2 }]);
});
