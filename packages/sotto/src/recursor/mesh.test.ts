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

test("types of one name are joined and end each for itself, however many are under way", async () => {
  const soughts = Array.from({ length: 40 }, (_, i): Sought => ({ name: a.name, type: i + 1 }));
  const running = new Map<RRType, (outcome: Outcome) => void>();
  let runs = 0;
  const mesh = new Mesh(
    ({ sought }) => {
      runs++;
      return new Promise((resolve) => running.set(sought.type, resolve));
    },
    1000,
    new SimClock(),
  );
  const asked = soughts.map((sought) => askMesh(mesh, sought));
  // Every third ends, from both ends in turns, and is asked for again.
  const ended = soughts.filter((_, i) => i % 3 === 0);
  for (const [i, { type }] of ended.entries()) {
    const { type: other } = ended[ended.length - 1 - i] ?? { type };
    running.get(i % 2 === 0 ? type : other)?.(failed("busy", true));
  }
  for (const { type } of ended) running.get(type)?.(failed("busy", true));
  await Promise.all(asked.filter((_, i) => i % 3 === 0));
  assert.equal(mesh.size, 40 - ended.length);
  asked.push(...soughts.map((sought) => askMesh(mesh, sought)));
  assert.equal(runs, 40 + ended.length);
  assert.equal(mesh.size, 40);
  const settled = mesh.settled();
  for (const resolve of running.values()) resolve(nothing);
  await Promise.all(asked);
  await settled;
  assert.equal(mesh.size, 0);
});

test("types beyond a few are found without looking at all of the name", async () => {
  // 4096 types of one name made a look-up 60 times as dear for whoever asked for the next one.
  let looks = 0;
  const soughtOf = (type: RRType): Sought => ({
    name: a.name,
    get type() {
      looks++;
      return type;
    },
  });
  const mesh = new Mesh(() => new Promise(() => undefined), 1000, new SimClock());
  for (let type = 1; type <= 1000; type++) void mesh.ask(mesh.begin(soughtOf(type)));
  looks = 0;
  void mesh.ask(mesh.begin({ name: a.name, type: 1001 }));
  assert.ok(looks < 50, `${looks} looks`);
});

test("a bug in a resolution reaches who waits for it, and leaves no run that others would join for ever", async () => {
  const bugs: [name: string, resolve: () => Promise<Outcome>, onFailure: () => void][] = [
    ["thrown", raise, () => undefined],
    ["rejected", () => Promise.reject(new Error("bug")), () => undefined],
    ["behind the outcome", () => Promise.resolve(failed("no reachable authority", false)), raise],
  ];
  for (const [name, resolve, onFailure] of bugs) {
    const mesh = new Mesh(resolve, 1000, new SimClock(), onFailure);
    await assert.rejects(askMesh(mesh, a), /bug/, name);
    assert.equal(mesh.size, 0, name);
    mesh.prime(b);
    await mesh.settled();
    assert.equal(mesh.size, 0, name);
  }
});

function raise(): never {
  throw new Error("bug");
}

async function askMesh(mesh: Mesh, sought: Sought): Promise<Outcome> {
  return (await mesh.ask(mesh.begin(sought))).outcome;
}
