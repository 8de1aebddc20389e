import assert from "node:assert/strict";
import { test } from "node:test";
import { parseOptions } from "./options.ts";
import { needsPeak, planOf } from "./plan.ts";
import { endpointsOf, PEERS, type Server } from "./servers.ts";
import { chosenTests, PEAK_TEST, TESTS, takesPart } from "./tests.ts";

function ours(name: string, coreCount: number): Server {
  const endpoints = endpointsOf(21);
  return { name, isOurs: true, endpoints, program: "", coreCount, command: () => [] };
}

const servers = [...PEERS, ours("sotto", 1), ours("sotto-2", 2)];
const names = PEERS.map(({ name }) => name);

test("the servers of a round are measured one after the other, every other round backwards", () => {
  const steps = planOf(chosenTests(["dot-1"]), servers, 2);
  assert.deepEqual(
    steps.map(({ server, round }) => `${round} ${server.name}`),
    [
      "0 unbound",
      "0 named",
      "0 kresd",
      "0 dnsdist",
      "0 sotto",
      "1 sotto",
      "1 dnsdist",
      "1 kresd",
      "1 named",
      "1 unbound",
    ],
  );
});

test("the peak comes before what depends on it, and memory last", () => {
  const keys = [...new Set(planOf(TESTS, servers, 3).map(({ test: { key } }) => key))];
  assert.equal(keys[0], PEAK_TEST);
  assert.equal(keys.at(-1), "idle");
  assert.equal(keys.length, TESTS.length);
  assert.equal(needsPeak(chosenTests(["p99"])), true);
  assert.equal(needsPeak(TESTS), false);
});

test("memory has a third of the rounds, one at least", () => {
  const rounds = (count: number): number => planOf(chosenTests(["idle"]), PEERS.slice(0, 1), count).length;
  assert.deepEqual([1, 3, 4, 9].map(rounds), [1, 1, 2, 3]);
});

test("nobody is measured in what it cannot do, or does otherwise", () => {
  const taking = (key: string): string[] =>
    chosenTests([key]).flatMap((one) =>
      servers.filter((server) => takesPart(server, one)).map(({ name }) => name),
    );
  assert.ok(!taking("dot-1").includes("pdns"), "it has no DNS over TLS");
  assert.ok(!taking("cold").includes("dnsdist"), "it does not resolve");
  assert.ok(!taking("udp").includes("sotto-2"), "one worker is compared with one thread");
  assert.deepEqual(taking("workers"), ["sotto", "sotto-2"]);
});

test("scaling needs somebody with several workers", () => {
  assert.deepEqual(planOf(chosenTests(["workers"]), [ours("sotto", 1)], 3), []);
});

test("words choose tests by their key or its beginning, and a word for none is told", () => {
  const keys = (words: readonly string[]): string[] => chosenTests(words).map(({ key }) => key);
  assert.deepEqual(keys(["tls", "udp"]), ["udp", "tls-full", "tls-resumed"]);
  assert.equal(keys([]).length, TESTS.length);
  assert.deepEqual(keys(["dot-1"]), ["dot-1"]);
  assert.throws(() => chosenTests(["quic"]), /no test quic, but dot-1, /);
});

test("a command line without words means all peers and tests, with a revision no peers", () => {
  const plain = parseOptions([], names);
  assert.deepEqual(
    [plain.servers, plain.tests.length, plain.rounds, plain.secs],
    [names, TESTS.length, 3, 2],
  );
  assert.deepEqual(plain.cores, { server: 0, load: 1 });
  assert.deepEqual([plain.load, parseOptions(["--load", "own"], names).load], ["dnsperf", "own"]);
  assert.deepEqual(parseOptions(["--against", "main"], names).servers, []);
  assert.deepEqual(parseOptions(["--engine", "both", "--servers", "none"], names).engines, [
    "node",
    "native",
  ]);
});

test("a command line that makes no sense is refused with a reason", () => {
  const rows: readonly (readonly [args: readonly string[], reason: RegExp])[] = [
    [["--servers", "bind"], /no server bind, but unbound/],
    [["--rounds", "0"], /--rounds wants/],
    [["--secs", "x"], /--secs wants/],
    [["--cores", "1,1"], /--cores wants/],
    [["--engine", "fast"], /--engine is/],
    [["--load", "flame"], /--load is dnsperf or own/],
    [["--write", "--against", "main"], /--write is/],
    [["--quick"], /Unknown option/],
  ];
  for (const [args, reason] of rows) assert.throws(() => parseOptions(args, names), reason);
});
