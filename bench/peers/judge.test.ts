import assert from "node:assert/strict";
import { test } from "node:test";
import { type BenchDocument, merge, type TestRecord } from "./document.ts";
import { judge } from "./judge.ts";
import type { Measurement } from "./measure.ts";
import { goalTable, page } from "./page.ts";
import { plot } from "./plot.ts";
import { TESTS } from "./tests.ts";

const environment = {
  node: "26.0.0",
  openssl: "3.5",
  kernel: "6",
  processor: "x",
  cores: 2,
  packages: { bind9: "9.18" },
};

function taken(server: string, round: number, more: Partial<Measurement>): Measurement {
  return {
    server,
    round,
    answers: 1000,
    wrong: 0,
    lost: 0,
    perSecond: 1000,
    cpuUs: 10,
    busiestUs: 9,
    serverShare: 0.9,
    loadShare: 0.8,
    p50Ms: 1,
    p99Ms: 2,
    ...more,
  };
}

function record(key: string, figures: Readonly<Record<string, readonly Partial<Measurement>[]>>): TestRecord {
  const measurements = Object.entries(figures).flatMap(([server, rounds]) =>
    rounds.map((more, round) => taken(server, round, more)),
  );
  return { key, taken: "2026-11-29", revision: "abc", secs: 2, measurements };
}

function documentOf(...tests: readonly TestRecord[]): BenchDocument {
  return { environment, tests };
}

function ours(...tests: readonly TestRecord[]) {
  return judge(documentOf(...tests), TESTS).flatMap((result) => result.ours);
}

const cpu = (...all: readonly number[]) => all.map((cpuUs) => ({ cpuUs }));

test("the ratio is by the peer whose median is least, and the goal that of the engine", () => {
  const [node, native] = ours(
    record("dot-1", {
      kresd: cpu(10, 11, 9),
      named: cpu(20, 20, 5),
      sotto: cpu(4, 5, 3),
      "sotto-native": cpu(3.6, 3.7, 3.8),
    }),
  );
  assert.deepEqual([node?.ratio, node?.goal, node?.verdict], [0.4, 0.4, "met"]);
  assert.deepEqual([native?.ratio, native?.goal, native?.verdict], [0.37, 0.35, "missed"]);
});

test("rounds that were disturbed do not count, unless all were", () => {
  const disturbed = "others";
  const [half] = ours(
    record("udp", {
      kresd: cpu(10, 10, 10),
      sotto: [{ cpuUs: 12 }, { cpuUs: 99, disturbed }, { cpuUs: 14 }],
    }),
  );
  assert.deepEqual([half?.ratio, half?.verdict], [1.3, "met"]);
  const [most] = ours(record("udp", { kresd: [{ disturbed }, { disturbed }, {}], sotto: cpu(1, 1, 1) }));
  assert.equal(most?.verdict, "disturbed");
});

test("a server that answers wrongly, or loses queries, is neither the best peer nor good enough", () => {
  const [one] = ours(
    record("udp", {
      named: [{ cpuUs: 1, wrong: 1 }],
      kresd: [{ cpuUs: 2, lost: 3 }],
      pdns: cpu(10),
      sotto: cpu(10),
    }),
  );
  assert.deepEqual([one?.ratio, one?.verdict], [1, "met"]);
  const [wrong] = ours(record("udp", { pdns: cpu(10), sotto: [{ cpuUs: 1, wrong: 1 }] }));
  assert.equal(wrong?.verdict, "missed");
});

test("without a peer there is a figure and no verdict, but for goals that need none", () => {
  const [udp] = ours(record("udp", { sotto: cpu(10) }));
  assert.deepEqual([udp?.figure.median, udp?.ratio, udp?.verdict], [10, undefined, undefined]);
  const [idle] = ours(record("idle", { sotto: [{ memoryKib: 52 }] }));
  assert.deepEqual([idle?.verdict, idle?.ratio], ["met", undefined]);
});

test("two workers are measured by the busiest thread of each", () => {
  const busy = (busiestUs: number) => [{ busiestUs }, { busiestUs }, { busiestUs }];
  const [two] = ours(record("workers", { sotto: busy(10), "sotto-2": busy(5.5) }));
  assert.equal(two?.server, "sotto-2");
  assert.ok(Math.abs((two?.ratio ?? 0) - 10 / 5.5) < 1e-9);
  assert.equal(two?.verdict, "met");
});

test("tests that did not run keep their old figures, in the order of the tests", () => {
  const [old, now] = [
    documentOf(record("udp", { a: cpu(1) }), record("idle", { a: cpu(1) })),
    documentOf(record("udp", { a: cpu(2) }), record("dot-1", { a: cpu(3) })),
  ];
  const merged = merge(
    old,
    now,
    TESTS.map(({ key }) => key),
  );
  assert.deepEqual(
    merged.tests.map(({ key, measurements }) => [key, measurements[0]?.cpuUs]),
    [
      ["dot-1", 3],
      ["udp", 2],
      ["idle", 10],
    ].map(([key, us]) => [key, key === "idle" ? 1 : us]),
  );
});

test("the page tells the load and the rounds of each test, and no quantiles where the load tells none", () => {
  const silent = record("udp", { kresd: cpu(10), sotto: cpu(9) });
  const measurements = silent.measurements.map(({ p50Ms: _, p99Ms: __, ...rest }) => rest);
  const document = documentOf(
    { ...silent, secs: 4, load: "dnsperf", measurements },
    record("dot-1", { kresd: cpu(10, 11), sotto: cpu(4, 4) }),
  );
  const text = page(document, judge(document, TESTS));
  assert.match(text, /`udp`, 1 round of 4 s, load dnsperf, taken 2026-11-29 of abc\./);
  assert.match(text, /\*\*sotto\*\* \| 9\.00 .*\| 80 % \| – \| – \|/);
  assert.match(text, /`dot-1`, 2 rounds of 2 s, load our generator, taken/);
  assert.match(text, /\*\*sotto\*\* \| 4\.00 .*\| 80 % \| 1\.000 \| 2\.000 \|/);
});

test("the page and the plot tell each server, the ratio and what went wrong", () => {
  const document = documentOf(
    record("dot-1", { kresd: cpu(10, 12, 11), sotto: [{ cpuUs: 4, wrong: 3, lost: 2 }] }),
  );
  const results = judge(document, TESTS);
  const text = page(document, results);
  assert.match(
    text,
    /\| DoT, 1 connection, deep pipeline \| kresd \| 11\.00 \(10\.00–12\.00\) µs \| sotto \| 4\.00/,
  );
  assert.match(text, /\*\*0\.36×\*\* \| 0\.40× \| ≤ 0\.4× \| ✗ missed \|/);
  assert.match(text, /\*\*sotto\*\* .*3 wrong, 2 lost/);
  assert.ok(text.includes(goalTable(results)));
  const svg = plot(results);
  assert.match(svg, /prefers-color-scheme: dark/);
  assert.match(svg, /class="ours".*4\.0 \(0\.36×\)/);
});
