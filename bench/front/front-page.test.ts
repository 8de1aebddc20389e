import assert from "node:assert/strict";
import { test } from "node:test";
import { frontPage, frontVerdicts } from "./front-page.ts";
import type { FrontMeasurement, FrontRecord } from "./front-session.ts";

function measurements(name: string, figures: readonly Partial<FrontMeasurement>[]): FrontMeasurement[] {
  return figures.map((figure, round) => ({
    name,
    round,
    answers: 1000,
    wrong: 0,
    lost: 0,
    perSecond: 500,
    cpuUs: 1,
    ...figure,
  }));
}

function record(
  key: string,
  all: Readonly<Record<string, readonly Partial<FrontMeasurement>[]>>,
): FrontRecord {
  return {
    key,
    measurements: Object.entries(all).flatMap(([name, figures]) => measurements(name, figures)),
    failures: [],
  };
}

const cpu = (...values: readonly number[]) => values.map((cpuUs) => ({ cpuUs }));

test("ours is compared with the best of the peers that the goal names, by medians", () => {
  const passed = record("pass-100", {
    nginx: cpu(15, 14, 99),
    haproxy: cpu(16, 16, 16),
    dnsdist: cpu(1, 1, 1),
    sotto: cpu(14, 15, 15),
    "sotto-native": cpu(16, 16, 16),
  });
  assert.deepEqual(
    frontVerdicts([passed]).map(({ isMet, text }) => [isMet, text]),
    [
      [true, "sotto 15.00 µs, nginx 15.00 µs: 1.00× (≤ 1×)"],
      [false, "sotto-native 16.00 µs, nginx 15.00 µs: 1.07× (≤ 1×)"],
    ],
  );
});

test("wrong answers are never a goal that is met", () => {
  const [verdict] = frontVerdicts([record("hit-1", { dnsdist: cpu(9), sotto: [{ cpuUs: 1, wrong: 1 }] })]);
  assert.equal(verdict?.isMet, false);
});

test("who loses queries, or was left out, has met no goal and sets none", () => {
  // Ours could lose them all but one, or fail in its first round, and the goals were met: there was no figure against it.
  const lossy = record("hit-1", { dnsdist: cpu(9), sotto: [{ cpuUs: 1, lost: 3 }] });
  assert.equal(frontVerdicts([lossy])[0]?.isMet, false);
  const failed = { ...record("hit-1", { dnsdist: cpu(9) }), failures: ["sotto: no answer", "kresd: no"] };
  assert.deepEqual(
    frontVerdicts([failed]).map(({ isMet, text }) => [isMet, text]),
    [[false, "sotto: no answer"]],
  );
  const peers = record("pass-100", { nginx: [{ cpuUs: 1, lost: 500 }], haproxy: cpu(9), sotto: cpu(8) });
  assert.match(frontVerdicts([peers])[0]?.text ?? "", /haproxy 9\.00/);
  const list = record("blocking", { sotto: cpu(5), "sotto with list": [{ cpuUs: 5, lost: 500 }] });
  assert.ok(frontVerdicts([list]).every(({ isMet }) => !isMet));
});

test("rounds that were disturbed count only when there are no others, and are said to be", () => {
  const busy = { disturbed: "others had 50 % of the server's core" };
  const mixed = record("hit-1", {
    dnsdist: cpu(5, 5, 5),
    sotto: [{ cpuUs: 9, ...busy }, { cpuUs: 4 }, { cpuUs: 4 }],
  });
  assert.deepEqual(
    frontVerdicts([mixed]).map(({ isMet, isDisturbed }) => [isMet, isDisturbed]),
    [[true, false]],
  );
  const spoilt = record("hit-1", { dnsdist: cpu(5), sotto: [{ cpuUs: 4, ...busy }] });
  assert.equal(frontVerdicts([spoilt])[0]?.isDisturbed, true);
});

test("the block list costs the difference of pairs in the same rounds", () => {
  const mib = (value: number) => value * 1024;
  const list = record("blocking", {
    sotto: [
      { cpuUs: 5, memoryKib: mib(100) },
      { cpuUs: 9, memoryKib: mib(100) },
    ],
    "sotto with list": [
      { cpuUs: 5.1, memoryKib: mib(140) },
      { cpuUs: 9.1, memoryKib: mib(170) },
    ],
  });
  assert.deepEqual(
    frontVerdicts([list]).map(({ isMet, text }) => [isMet, text]),
    [
      [true, "sotto 0.10 µs more per query (< 0.2 µs)"],
      [true, "sotto 55 MiB more (< 64 MiB)"],
    ],
  );
});

test("the page tells every front end, what it adds to the backend, and who was left out", () => {
  const direct = { "backend itself, over TCP": [{ p50Ms: 0.1, p99Ms: 1 }] };
  const latency = record("p50", { ...direct, nginx: [{ p50Ms: 0.3, p99Ms: 2 }] });
  const page = frontPage({
    environment: {
      node: "26",
      openssl: "3",
      kernel: "6",
      processor: "p",
      cores: 2,
      packages: { nginx: "1.22" },
    },
    revision: "abc",
    secs: 2,
    records: [latency, { key: "idle", measurements: [], failures: ["haproxy: no answer"] }],
  });
  assert.match(page, /\| nginx \| 0\.300 ms .*0\.200 ms added/);
  assert.match(page, /Left out: haproxy: no answer/);
});
