import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "@sotto/dns/testing";
import { parseName, RRType } from "@sotto/dns/wire";
import { Mesh, RUNS_MAX, type Run } from "./mesh.ts";
import type { FailureReason, Outcome, Sought } from "./outcome.ts";

const a: Sought = { name: parseName("a.example."), type: RRType.A };
const b: Sought = { name: parseName("b.example."), type: RRType.A };
const nothing: Outcome = {
  kind: "negative",
  chain: [],
  answer: { kind: "nodata", soa: undefined, proofs: [] },
};

function failed(reason: FailureReason, isCircumstantial: boolean): Outcome {
  return { kind: "failed", reason, isCircumstantial, extendedErrors: [] };
}

test("many askers share one run and each gets its outcome", async () => {
  let runs = 0;
  const mesh = new Mesh(
    async () => {
      runs++;
      return nothing;
    },
    1000,
    new SimClock(),
  );
  const outcomes = await Promise.all(Array.from({ length: 100 }, () => askMesh(mesh, a)));
  assert.equal(runs, 1);
  assert.ok(outcomes.every((outcome) => outcome === nothing));
  assert.equal(mesh.size, 0);
});

test("runs that need each other are told so instead of waiting", async () => {
  const told: (Outcome | undefined)[] = [];
  const mesh: Mesh = new Mesh(
    async (run) => {
      told.push(await mesh.askFor(run, run.sought === a ? b : a, 5));
      return nothing;
    },
    1000,
    new SimClock(),
  );
  await askMesh(mesh, a);
  assert.deepEqual(told, [undefined, nothing]);
});

test("a run does not wait for itself", async () => {
  let told: Outcome | undefined | "not asked" = "not asked";
  const mesh: Mesh = new Mesh(
    async (run) => {
      told = await mesh.askFor(run, a, 5);
      return nothing;
    },
    1000,
    new SimClock(),
  );
  await askMesh(mesh, a);
  assert.equal(told, undefined);
});

test("the depth of runs for runs is bounded", async () => {
  let deepest = 0;
  const mesh: Mesh = new Mesh(
    async (run) => {
      deepest = Math.max(deepest, run.depth);
      const next = parseName(`n${run.depth}.example.`);
      return (await mesh.askFor(run, { name: next, type: RRType.A }, 3)) ?? nothing;
    },
    1000,
    new SimClock(),
  );
  await askMesh(mesh, a);
  assert.equal(deepest, 3);
});

test("the number of runs is bounded and one more is turned away at once", async () => {
  const finish: ((outcome: Outcome) => void)[] = [];
  const mesh = new Mesh(() => new Promise((resolve) => finish.push(resolve)), 1000, new SimClock());
  const asked = Array.from({ length: RUNS_MAX }, (_, i) =>
    askMesh(mesh, { name: parseName(`n${i}.`), type: RRType.A }),
  );
  const refused = await askMesh(mesh, a);
  assert.equal(refused.kind === "failed" && refused.reason, "busy");
  for (const resolve of finish) resolve(nothing);
  await Promise.all(asked);
  assert.equal(await Promise.race([askMesh(mesh, a), Promise.resolve("not refused")]), "not refused");
  for (const resolve of finish) resolve(nothing);
  await mesh.settled();
});

test("a client that joined a run which starved for another question gets a run of its own", async () => {
  const depths: number[] = [];
  const starving = Promise.withResolvers<void>();
  const mesh: Mesh = new Mesh(
    async (run: Omit<Run, "outcome">) => {
      if (run.sought === a) return (await mesh.askFor(run, b, 5)) ?? nothing;
      depths.push(run.depth);
      if (run.depth > 0) await starving.promise;
      return run.depth > 0 ? failed("quota", true) : nothing;
    },
    1000,
    new SimClock(),
  );
  const forA = askMesh(mesh, a);
  assert.equal(mesh.size, 2);
  const forB = askMesh(mesh, b);
  starving.resolve();
  assert.equal(await forB, nothing);
  assert.equal((await forA).kind, "failed");
  assert.deepEqual(depths, [1, 0]);
});

test("failures of a question are cached, those of circumstances are not [9520-3-a]", async () => {
  for (const [isCircumstantial, runsExpected] of [
    [false, 2],
    [true, 3],
  ] as const) {
    let runs = 0;
    const mesh: Mesh = new Mesh(
      async (run) => {
        runs++;
        if (run.sought === a) await mesh.askFor(run, b, 5);
        return run.sought === b ? failed("no reachable authority", isCircumstantial) : nothing;
      },
      1000,
      new SimClock(),
    );
    await askMesh(mesh, a);
    await askMesh(mesh, b);
    assert.equal(runs, runsExpected);
  }
});

test("runs for several types of a name are joined each by its own, and end in any order", async () => {
  const types = [RRType.A, RRType.AAAA, RRType.MX, RRType.TXT];
  const started: RRType[] = [];
  const finish = new Map<RRType, () => void>();
  const mesh = new Mesh(
    (run) => {
      started.push(run.sought.type);
      return new Promise((resolve) => finish.set(run.sought.type, () => resolve(nothing)));
    },
    1000,
    new SimClock(),
  );
  const ask = (type: RRType): Promise<Outcome> => askMesh(mesh, { name: a.name, type });
  const all = [...types, ...types].map(ask);
  assert.deepEqual([started, mesh.size], [types, 4]);
  for (const [i, type] of [RRType.AAAA, RRType.A, RRType.TXT, RRType.MX].entries()) {
    finish.get(type)?.();
    await all[types.indexOf(type)];
    assert.equal(mesh.size, 3 - i);
  }
  await Promise.all(all);
  assert.equal(started.length, 4);
});

async function askMesh(mesh: Mesh, sought: Sought): Promise<Outcome> {
  return (await mesh.ask(mesh.begin(sought))).outcome;
}
