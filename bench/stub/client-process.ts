/** One client in a process of its own: runs rounds when it is told to, and tells what they took. */
import { CLIENTS } from "./clients.ts";
import { type ServerFacts, ZONE } from "./server.ts";

/** What the parent sends. */
export interface RoundOrder {
  /** Questions under way at once. */
  readonly concurrency: number;
  readonly durationMs: number;
  /** Absent: as many as there is time for. */
  readonly lookupsMax?: number;
}

/** What comes back. */
export interface Round {
  readonly lookups: number;
  readonly wallMs: number;
  /** User and system time of the process, microseconds. */
  readonly cpuUs: number;
  /** Latencies, milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Names that come again, where they shall. */
const REPEATED_NAMES = 100;
/** Latencies that are kept of a round; later ones are not. */
const LATENCIES_MAX = 1_000_000;

const [key = "", factsText = "", tag = ""] = process.argv.slice(2);
// The parent wrote it.
const facts = JSON.parse(factsText) as ServerFacts;
const client = CLIENTS.find((one) => one.key === key);
if (client === undefined) throw new Error(`there is no client ${key}`);
const ask = await client.make(facts);
const { repeats = false } = client;
let asked = 0;

function nextName(): string {
  const number = asked++;
  return `n${repeats ? number % REPEATED_NAMES : number}-${tag}.${ZONE}`;
}

async function run(order: RoundOrder): Promise<Round> {
  const { concurrency, durationMs, lookupsMax = Number.POSITIVE_INFINITY } = order;
  const latencies: number[] = [];
  let lookups = 0;
  const usage = process.resourceUsage();
  const startMs = performance.now();
  const endMs = startMs + durationMs;
  const keepAsking = async (): Promise<void> => {
    for (let nowMs = performance.now(); nowMs < endMs && lookups < lookupsMax; ) {
      await ask(nextName());
      const doneMs = performance.now();
      if (latencies.length < LATENCIES_MAX) latencies.push(doneMs - nowMs);
      lookups++;
      nowMs = doneMs;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, keepAsking));
  const wallMs = performance.now() - startMs;
  const after = process.resourceUsage();
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0;
  return {
    lookups,
    wallMs,
    cpuUs: after.userCPUTime + after.systemCPUTime - usage.userCPUTime - usage.systemCPUTime,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

process.on("message", (order: RoundOrder) => {
  run(order).then(
    (round) => process.send?.(round),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
// The parent waits for it.
process.send?.({ ready: true });
