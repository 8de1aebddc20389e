/**
 * What a block list costs: memory, time to load it, the longest pause while it is loaded, and time for one lookup; and what rules cost.
 * `node --conditions=source --expose-gc bench/front-names.ts [NAMES]`
 */
import { PerformanceObserver } from "node:perf_hooks";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import {
  concatOctets,
  encodeMessage,
  MessageView,
  makeMessage,
  parseName,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import {
  type LoadedNames,
  type NameListFormat,
  NameListReader,
  type Rule,
  RuleSet,
} from "../packages/sotto/src/front/rules/index.ts";

const PIECE_OCTETS = 16_384;
const count = Number(process.argv[2] ?? 1_000_000);
const { random, clock } = nodeRuntime();

/** Names as lists have them: two to four labels, 10 to 40 characters. */
function nameOf(i: number): string {
  const word = (Math.imul(i + 1, 0x9e37_79b1) >>> 0).toString(36);
  const top = ["com", "net", "org", "info", "co.uk", "xyz", "top"][i % 7];
  const front = ["", "ads.", "tracking.", "metrics.cdn."][(i >>> 3) % 4];
  return `${front}${word}${i.toString(36)}-site.${top}`;
}

/** Reads `count` lines in pieces as a file is read, and tells what it cost. */
function load(format: NameListFormat, lineOf: (i: number) => string): LoadedNames {
  const before = process.memoryUsage().arrayBuffers;
  const reader = new NameListReader({ format, source: "bench" }, random);
  const pieces: number[] = [];
  let text = "";
  const push = (): void => {
    const octets = new TextEncoder().encode(text);
    text = "";
    const startMs = clock.nowMs();
    reader.push(octets);
    pieces.push(clock.nowMs() - startMs);
  };
  for (let i = 0; i < count; i++) {
    text += `${lineOf(i)}\n`;
    if (text.length >= PIECE_OCTETS) push();
  }
  push();
  const loaded = reader.finish();
  if (!loaded.ok) throw new Error(loaded.problem);
  globalThis.gc?.();
  const { names, report } = loaded.value;
  const grown = process.memoryUsage().arrayBuffers - before;
  const totalMs = pieces.reduce((sum, ms) => sum + ms, 0);
  pieces.sort((a, b) => a - b);
  const late = pieces[Math.floor(pieces.length * 0.99)] ?? 0;
  console.log(
    `${format}: ${names.size} names of ${report.lines} lines, ${report.bad} bad; ${mib(names.bytes)} in typed arrays, arrayBuffers grew by ${mib(grown)}`,
  );
  console.log(
    `  loaded in ${totalMs.toFixed(0)} ms; one piece of ${PIECE_OCTETS} octets: p99 ${late.toFixed(1)} ms, longest ${pieces.at(-1)?.toFixed(1)} ms`,
  );
  return loaded.value;
}

function mib(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/** Names in one piece of memory, one behind the other: a query that has just been read is in the processor's cache, too. */
interface Queries {
  readonly octets: Uint8Array;
  readonly starts: Uint32Array;
}

function measure(title: string, { octets, starts }: Queries, { names }: LoadedNames): void {
  const times: number[] = [];
  let found = 0;
  for (let round = 0; round < ROUNDS; round++) {
    found = 0;
    const startMs = clock.nowMs();
    for (const start of starts) if (names.find(octets, start) !== 0) found++;
    times.push(((clock.nowMs() - startMs) * 1e6) / starts.length);
  }
  times.sort((a, b) => a - b);
  const [best = 0] = times;
  const middle = times[ROUNDS >> 1] ?? 0;
  console.log(
    `${title}: ${middle.toFixed(0)} ns a lookup (best ${best.toFixed(0)}), ${found} of ${starts.length} found`,
  );
}

/** In no order of the list, and more than any cache holds. */
function queriesOf(make: (i: number) => string): Queries {
  const wires = Array.from({ length: QUERIES }, () => parseName(make(random.below(count))).wire);
  const starts = new Uint32Array(QUERIES);
  let at = 0;
  for (const [i, wire] of wires.entries()) {
    starts[i] = at;
    at += wire.length;
  }
  return { octets: concatOctets(wires), starts };
}

const QUERIES = 200_000;
const ROUNDS = 7;

/** A whole set of rules, as the front asks it for each query; garbage shows as collections. */
function judge(title: string, rules: readonly Rule[], list: LoadedNames): void {
  const pools = { isDown: () => false, isSaturated: () => false };
  const set = new RuleSet({ rules, sets: new Map([["list", list]]), pools }, nodeRuntime());
  const octets = encodeMessage(
    makeMessage({
      recursionDesired: true,
      questions: [{ name: parseName("www.example-names.com."), type: RRType.A, class: RRClass.IN }],
    }),
  );
  const view = new MessageView();
  view.reset(octets);
  const remote = { address: "192.0.2.1", port: 53 };
  const origin = { transport: "tls", remote, local: undefined, security: undefined } as const;
  let collections = 0;
  const observer = new PerformanceObserver((found) => {
    collections += found.getEntries().length;
  });
  observer.observe({ entryTypes: ["gc"] });
  const subject = { view, origin, listener: "main", nowMs: clock.nowMs(), wallMs: clock.wallMs() };
  const calls = 1_000_000;
  let bestNs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 4; round++) {
    const startMs = clock.nowMs();
    for (let i = 0; i < calls; i++) if (set.judge(subject).end !== "pass") throw new Error("a rule matched");
    bestNs = Math.min(bestNs, ((clock.nowMs() - startMs) * 1e6) / calls);
  }
  // Entries of the observer come in a later turn.
  setImmediate(() => {
    observer.disconnect();
    console.log(
      `judge, ${title}: ${bestNs.toFixed(0)} ns a query, ${collections} collections in ${4 * calls}`,
    );
  });
}

const loaded = load("domains", nameOf);
const miss = (i: number): string => `${(Math.imul(i, 0x85eb_ca6b) >>> 0).toString(36)}.example-${i}.com.`;
measure(
  "miss, three labels",
  queriesOf((i) => `www.${miss(i)}`),
  loaded,
);
measure(
  "miss, two labels",
  queriesOf((i) => `example-${i.toString(36)}.net.`),
  loaded,
);
measure(
  "miss, 30 labels",
  queriesOf((i) => `${"a.".repeat(27)}${miss(i)}`),
  loaded,
);
measure(
  "hit",
  queriesOf((i) => `${nameOf(i)}.`),
  loaded,
);
measure(
  "hit below",
  queriesOf((i) => `www.${nameOf(i)}.`),
  loaded,
);
load("hosts", (i) => `0.0.0.0 ${nameOf(i)}`);
load("rpz", (i) => (i === 0 ? "@ 60 SOA a. b. 1 2 3 4 5" : `${nameOf(i)} CNAME .`));

const masks = { ipv4Bits: 32, ipv6Bits: 56, exceptions: [] };
const drop = [{ kind: "drop" }] as const;
const block: Rule = {
  name: "block",
  when: [{ kind: "names", sets: ["list"], exact: [], suffixes: [] }],
  actions: drop,
};
const limit: Rule = {
  name: "limit",
  when: [],
  actions: [{ kind: "rate-limit", perSecond: 1e12, burst: 1e12, masks, overLimit: "drop" }],
};
const others = Array.from({ length: 8 }, (_, i): Rule => {
  const name = `other-${i}`;
  return i % 2 === 0
    ? { name, when: [{ kind: "qtype", types: [RRType.ANY, RRType.TXT] }], actions: drop }
    : { name, when: [{ kind: "client", prefixes: ["198.51.100.0/24"], sets: [] }], actions: drop };
});
judge("no rules", [], loaded);
judge("a block list", [block], loaded);
judge("ten rules", [...others, block, limit], loaded);
