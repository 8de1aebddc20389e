/**
 * The resolver on lossy, slow and lying internets, one for each seed: every reply is held against what the zones really say
 * (`seeds/check-reply.ts`), every seed ends with nothing left. `npm run simulate` plays ten thousand, and one with a trace.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addFigures, newFigures } from "./seeds/figures.ts";
import { type PlayOptions, playSeed, Stage } from "./seeds/play-seed.ts";

/** A few seconds; more where there is time. */
const SEEDS = process.env["CI"] === "true" ? 400 : 200;

/** More than anybody reads. */
const FAILURES_SHOWN = 10;

const stage = new Stage();

async function play(first: number, last: number, options: PlayOptions = {}) {
  const total = newFigures();
  const failed: string[] = [];
  for (let seed = first; seed <= last; seed++) {
    const { problems, figures } = await playSeed(seed, stage, options);
    addFigures(total, figures);
    const [problem] = problems;
    if (problem !== undefined) failed.push(`npm run simulate -- --seed ${seed}: ${problem}`);
  }
  return { total, failed };
}

test("each client query has one outcome in time, nothing bogus is served, nothing outlives its TTL [4035-4-a]", async () => {
  const { total, failed } = await play(1, SEEDS);
  assert.deepEqual(failed.slice(0, FAILURES_SHOWN), []);
  // A world in which nothing works, or nothing goes wrong, would prove nothing.
  const { clientQueries, answered, authentic, stale, bogus, tricks, recovered, afterwards, encrypted } =
    total;
  assert.ok(answered > clientQueries * 0.5, `${answered} of ${clientQueries} answered`);
  assert.ok(authentic > answered * 0.2, `${authentic} with AD`);
  assert.ok(stale > SEEDS / 5 && bogus > SEEDS, `${stale} stale, ${bogus} bogus`);
  assert.ok(recovered > afterwards * 0.8, `${recovered} of ${afterwards} recovered`);
  assert.ok(tricks.size > 40, `${tricks.size} tricks`);
  assert.ok(encrypted > SEEDS, `${encrypted} queries to servers over TLS`);
});

test("a resolver that does not validate is caught by the same rules", async () => {
  const { failed } = await play(1, 40, { sabotage: { dnssec: { validation: false } } });
  assert.ok(failed.length > 20, `${failed.length} of 40 seeds`);
});

test("a resolver that gives what it should not keep is caught by the same rules", async () => {
  const { failed } = await play(1, 40, { sabotage: { cache: { "min-ttl": "1h", prefetch: false } } });
  assert.ok(failed.length > 20, `${failed.length} of 40 seeds`);
});

test("a seed always gives the same run", async () => {
  const traces = [];
  for (let i = 0; i < 2; i++) traces.push((await playSeed(128, stage, { isTraced: true })).trace);
  assert.deepEqual(traces[0], traces[1]);
});
