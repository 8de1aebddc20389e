/** Pools of backends under many seeds: whatever backends and the network do, each query has one outcome and no wrong answer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DnsError } from "@sotto/dns/runtime";
import { SeededRandom, type SimNetworkOptions } from "@sotto/dns/testing";
import { Rcode } from "@sotto/dns/wire";
import {
  type Asked,
  answers,
  answerTo,
  assertAnswered,
  type Behaviour,
  type FakeBackend,
  fails,
  isSilent,
  type PoolWorld,
  poolWorld,
} from "../../packages/sotto/src/front/backends/backends.test-support.ts";

const SEEDS = 300;
const QUERIES_PER_SEED = 60;
const BALANCINGS = [
  "ordered",
  "round robin",
  "weighted random",
  "least outstanding",
  "fastest",
  "hash",
] as const;

test("three hundred seeds: every query has exactly one outcome in time, no answer is another's, nothing leaks", async () => {
  const totals = { answered: 0, failed: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await runSeed(seed, totals);
    } catch (cause) {
      throw new Error(`seed ${seed} failed`, { cause });
    }
  }
  // Backends are bad but not hopeless: a run in which nothing works, or all, would prove nothing.
  assert.ok(totals.answered > SEEDS * QUERIES_PER_SEED * 0.75, JSON.stringify(totals));
  assert.ok(totals.failed > SEEDS / 2, JSON.stringify(totals));
});

test("the same seed gives the same run", async () => {
  const trace = async (): Promise<string> => JSON.stringify(await runSeed(77, { answered: 0, failed: 0 }));
  assert.equal(await trace(), await trace());
});

async function runSeed(
  seed: number,
  totals: { answered: number; failed: number },
): Promise<readonly string[]> {
  const moods = new SeededRandom(seed * 31 + 7);
  const transports = Array.from({ length: 1 + moods.below(4) }, () =>
    pickOf(moods, ["udp", "tcp", "tls"] as const),
  );
  const tellsClient = moods.chance(0.2);
  const place = await poolWorld(
    transports,
    {
      balancing: pickOf(moods, BALANCINGS),
      retries: moods.below(4),
      health: { intervalMs: moods.chance(0.5) ? 500 : 0, slowStartMs: moods.chance(0.5) ? 1000 : 0 },
    },
    {
      tellsClient,
      limits: {
        connections: 1 + moods.below(4),
        inFlightMax: 4 + moods.below(30),
        queueMax: 5 + moods.below(30),
        idleTimeoutMs: 1000,
      },
    },
    weatherOf(moods),
    seed,
  );
  const { world, backends } = place;
  for (const backend of backends) {
    backend.expectsProxy = tellsClient;
    backend.behaviour = behaviourOf(moods, place);
    backend.checkBehaviour = backend.behaviour;
  }
  const asked: { one: Asked; deadlineMs: number }[] = [];
  for (let i = 0; i < QUERIES_PER_SEED; i++) {
    if (moods.chance(0.3)) await world.clock.advance(moods.below(400));
    if (moods.chance(0.03)) await restart(pickOf(moods, backends), moods.below(1500), place);
    if (moods.chance(0.05)) pickOf(moods, backends).behaviour = behaviourOf(moods, place);
    if (moods.chance(0.02)) place.pool.drain(`b${1 + moods.below(4)}`);
    if (moods.chance(0.04)) place.pool.resume(`b${1 + moods.below(4)}`);
    const patienceMs = 500 + moods.below(4000);
    const one = place.ask(
      `q${i}.example.`,
      patienceMs,
      tellsClient ? `192.0.2.${100 + moods.below(6)}` : undefined,
    );
    asked.push({ one, deadlineMs: world.clock.nowMs() + patienceMs });
  }
  await place.settled(asked.map(({ one }) => one));
  // A sweep may come some milliseconds after a deadline, and no later.
  assert.ok(world.clock.nowMs() <= Math.max(...asked.map(({ deadlineMs }) => deadlineMs)) + 20);
  const trace: string[] = [];
  for (const { one } of asked) {
    const [outcome] = one.outcomes;
    assert.equal(one.outcomes.length, 1);
    if (outcome?.kind === "failed") totals.failed++;
    else if (outcome !== undefined && ((outcome.octets[3] ?? 0) & 0xf) === Rcode.NoError) {
      assertAnswered(one);
      totals.answered++;
    }
    trace.push(`${one.name} ${outcome?.kind} ${outcome?.tries}`);
  }
  for (const { inFlight, queued, connections } of place.pool.status.backends) {
    assert.ok(inFlight <= 34 && queued <= 35 && connections <= 4, `${inFlight} ${queued} ${connections}`);
  }
  await world.clock.advance(6000);
  for (const { inFlight } of place.pool.status.backends)
    assert.ok(inFlight <= 1, "only a check may be there");
  await place.end();
  return trace;
}

/** Nobody listens for some time. */
async function restart(backend: FakeBackend, afterMs: number, { world }: PoolWorld): Promise<void> {
  await backend.kill();
  world.clock.startTimer("restart", afterMs, () => {
    backend.open().catch((problem: unknown) => {
      // Two restarts at once: one of them has opened it.
      assert.ok(DnsError.is(problem, "ERR_ADDRESS_IN_USE"));
    });
  });
}

function pickOf<T>(moods: SeededRandom, items: readonly T[]): T {
  const item = items[moods.below(items.length)];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
}

function weatherOf(moods: SeededRandom): SimNetworkOptions {
  const isStormy = moods.chance(0.4);
  return {
    latencyMs: 1 + moods.below(20),
    jitterMs: moods.below(15),
    lossRate: isStormy ? moods.fraction() * 0.15 : 0,
    duplicateRate: isStormy ? moods.fraction() * 0.2 : 0,
    resetRate: isStormy ? moods.fraction() * 0.03 : 0,
    sliceOctetsMax: moods.chance(0.3) ? 1 + moods.below(9) : 400,
  };
}

/** Mostly it answers. */
function behaviourOf(moods: SeededRandom, { world }: PoolWorld): Behaviour {
  const rate = moods.chance(0.15) ? 1 : moods.fraction() * 0.3;
  const kind = moods.below(9);
  return (one) => {
    if (!moods.chance(rate)) answers(one);
    else if (kind === 0) isSilent(one);
    else if (kind === 1) fails(Rcode.ServFail)(one);
    else if (kind === 2) one.reset();
    else if (kind === 3) {
      if (one.nthOnConnection === 1) answers(one);
      one.end();
    } else if (kind === 4) one.reply(answerTo(one.query).fill(0xff, 12));
    else if (kind === 5) one.reply(answerTo({ ...one.query, id: one.query.id ^ 0x0101 }));
    else if (kind === 6) one.reply(answerTo(one.query, { isTruncated: true, answers: [] }));
    else if (kind === 7)
      one.reply(answerTo(one.query, { questions: [], rcode: Rcode.FormErr, edns: undefined }));
    else world.clock.startTimer("slow backend", moods.below(2000), () => answers(one));
  };
}
