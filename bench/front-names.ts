/**
 * What a block list costs: memory, time to load it, the longest pause while it is loaded, and time for one lookup.
 * `node --conditions=source --expose-gc bench/front-names.ts [NAMES]`
 */
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { concatOctets, parseName } from "@sotto/dns/wire";
import { type LoadedNames, NameListReader } from "../packages/sotto/src/front/rules/index.ts";

const CHUNK_OCTETS = 65_536;
const count = Number(process.argv[2] ?? 1_000_000);
const { random, clock } = nodeRuntime();

/** Names as lists have them: two to four labels, 10 to 40 characters. */
function nameOf(i: number): string {
  const word = (Math.imul(i + 1, 0x9e37_79b1) >>> 0).toString(36);
  const top = ["com", "net", "org", "info", "co.uk", "xyz", "top"][i % 7];
  const front = ["", "ads.", "tracking.", "metrics.cdn."][(i >>> 3) % 4];
  return `${front}${word}${i.toString(36)}-site.${top}`;
}

function load(): LoadedNames {
  const before = process.memoryUsage().arrayBuffers;
  const reader = new NameListReader({ format: "domains", source: "bench" }, random);
  let longestMs = 0;
  let totalMs = 0;
  let text = "";
  const push = (): void => {
    const octets = new TextEncoder().encode(text);
    text = "";
    const startMs = clock.nowMs();
    reader.push(octets);
    const tookMs = clock.nowMs() - startMs;
    longestMs = Math.max(longestMs, tookMs);
    totalMs += tookMs;
  };
  for (let i = 0; i < count; i++) {
    text += `${nameOf(i)}\n`;
    if (text.length >= CHUNK_OCTETS) push();
  }
  push();
  const loaded = reader.finish();
  if (!loaded.ok) throw new Error(loaded.problem);
  globalThis.gc?.();
  const { names, report } = loaded.value;
  const grown = process.memoryUsage().arrayBuffers - before;
  console.log(`${names.size} names of ${report.lines} lines, ${report.bad} bad`);
  console.log(`memory ${mib(names.bytes)} in typed arrays; arrayBuffers grew by ${mib(grown)}`);
  console.log(`loaded in ${totalMs.toFixed(0)} ms, longest piece of 64 KiB ${longestMs.toFixed(1)} ms`);
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

const loaded = load();
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
