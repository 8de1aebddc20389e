import assert from "node:assert/strict";
import { test } from "node:test";
import { compare, Histogram, median, spreadOf } from "./statistics.ts";

test("the median of an even number of figures is between both middle ones", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.ok(Number.isNaN(median([])));
  assert.deepEqual(spreadOf([5, 1, 3]), { median: 3, least: 1, most: 5 });
});

test("quantiles of a histogram are right within its steps", () => {
  const histogram = new Histogram();
  for (let ms = 1; ms <= 1000; ms++) histogram.add(ms / 10);
  assert.equal(histogram.count, 1000);
  for (const [share, expected] of [
    [0.5, 50],
    [0.99, 99],
    [1, 100],
  ] as const)
    assert.ok(Math.abs(histogram.quantile(share) / expected - 1) < 0.02, `${share}`);
});

test("a histogram takes nothing, no time and very long times", () => {
  const histogram = new Histogram();
  assert.equal(histogram.quantile(0.5), 0);
  histogram.add(0);
  assert.ok(histogram.quantile(0.5) < 0.002);
  histogram.add(1e12);
  assert.ok(histogram.quantile(1) > 3_600_000);
});

test("a difference counts when every round shows it, and when it is large enough", () => {
  const rows = [
    { name: "all better", now: [8, 9, 8], old: [10, 10, 10], verdict: "better" },
    { name: "all worse", now: [12, 11, 12], old: [10, 10, 10], verdict: "worse" },
    { name: "one round disagrees", now: [8, 8, 11], old: [10, 10, 10], verdict: undefined },
    { name: "one round hardly agrees", now: [8, 8, 9.95], old: [10, 10, 10], verdict: undefined },
    { name: "small", now: [9.8, 9.8, 9.8], old: [10, 10, 10], verdict: undefined },
    { name: "too few rounds", now: [5, 5], old: [10, 10], verdict: undefined },
    { name: "pairs move together", now: [8, 16, 24], old: [10, 20, 30], verdict: "better" },
  ];
  for (const { name, now, old, verdict } of rows) assert.equal(compare(now, old).verdict, verdict, name);
});
