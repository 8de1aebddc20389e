import assert from "node:assert/strict";
import { test } from "node:test";
import type { PipelineOrder } from "../generator/orders.ts";
import { type BenchTest, loadOf, TESTS, windowMsOf } from "../tests.ts";
import { dnsperfCommand, questionsText } from "./arguments.ts";

const run = { questionsFile: "/tmp/questions.txt", windowMs: 4000 };

function testOf(key: string): BenchTest {
  const found = TESTS.find((one) => one.key === key);
  assert.ok(found !== undefined, key);
  return found;
}

/** The order of a test, as it is given to dnsperf. */
function orderOf({ key, order, transport }: BenchTest): PipelineOrder {
  const target = { transport, address: "192.0.2.1", port: 853 };
  const made = order?.(target, { coldFirst: 0, peakPerSecond: 1000 });
  assert.ok(made?.kind === "pipeline", key);
  return made;
}

function wordsOf(key: string): string {
  return dnsperfCommand(orderOf(testOf(key)), run).join(" ");
}

test("the shapes are those that the goals were set with", () => {
  const rows: readonly (readonly [key: string, mode: string, shape: string])[] = [
    ["dot-1", "dot", "-c 1 -q 1000"],
    ["dot-10", "dot", "-c 10 -q 2000"],
    ["dot-100", "dot", "-c 100 -q 2000"],
    ["dot-100x1", "dot", "-c 100 -q 100"],
    ["dot-padded", "dot", "-c 10 -q 2000"],
    ["dot-rate", "dot", "-c 100 -q 2000"],
    ["tcp-1", "tcp", "-c 1 -q 1000"],
    ["tcp-10", "tcp", "-c 10 -q 2000"],
    ["tcp-100", "tcp", "-c 100 -q 2000"],
    ["tcp-100x1", "tcp", "-c 100 -q 100"],
    ["udp", "udp", "-c 16 -q 150"],
  ];
  for (const [key, mode, shape] of rows) {
    const words = `-s 192.0.2.1 -p 853 -m ${mode} -d /tmp/questions.txt ${shape} -T 1 -t 2 -l 4`;
    assert.ok(wordsOf(key).includes(words), `${key}: ${wordsOf(key)}`);
    assert.equal(loadOf(testOf(key), "dnsperf"), "dnsperf", key);
  }
});

test("the rate and the padding are told where a test has them", () => {
  assert.match(wordsOf("dot-rate"), / -Q 10000$/);
  assert.match(wordsOf("dot-padded"), / -E 12:(00){70}$/);
  assert.doesNotMatch(wordsOf("dot-100"), / -[QE] /);
});

test("dnsperf takes what it can, and ours all else, with windows of its own length", () => {
  const own = TESTS.filter((one) => loadOf(one, "dnsperf") === "own").map(({ key }) => key);
  assert.deepEqual(own, ["tls-full", "tls-resumed", "first-answer", "idle", "cold", "p99", "workers"]);
  assert.ok(TESTS.every((one) => loadOf(one, "own") === "own"));
  assert.equal(windowMsOf(testOf("udp"), "dnsperf", 3), 6000);
  assert.equal(windowMsOf(testOf("udp"), "own", 3), 3000);
  assert.equal(windowMsOf(testOf("first-answer"), "own", 3), 1500);
  const order = orderOf(testOf("cold"));
  assert.throws(() => dnsperfCommand(order, run), /questions of the zone/);
});

test("all questions are in its file, by mnemonics that it knows", () => {
  const lines = questionsText().trimEnd().split("\n");
  assert.equal(lines.length, 10_000);
  const types = new Set(lines.map((line) => line.split(" ")[1]));
  assert.deepEqual([...types].sort(), ["A", "AAAA", "TXT"]);
  assert.ok(lines.every((line) => /^[a-z]+\d{5}\.bench\.example\. [A-Z]+$/.test(line)));
  assert.equal(lines.filter((line) => line.startsWith("none")).length, 300);
});
