/**
 * `npm run simulate -- --seeds 10000`: plays seeds of lossy, slow and lying internets against the resolver in virtual time and
 * tells what became of the client queries. `--seed N` plays one and shows everything that happens in it. `--json` prints the
 * figures as JSON, `--write` writes docs/evidence/simulation.md. Exits 1 when a seed breaks a rule.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { addFigures, newFigures, type SeedFigures } from "../test/simulation/seeds/figures.ts";
import { FAULT_NAMES, FORGERY_NAMES, LIE_NAMES } from "../test/simulation/seeds/lies.ts";
import { playSeed, Stage } from "../test/simulation/seeds/play-seed.ts";

const PAGE = join(import.meta.dirname, "../docs/evidence/simulation.md");
/** More failures than anybody reads. */
const FAILURES_SHOWN = 20;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});

/** A run over many seeds. */
interface Summary {
  readonly from: number;
  readonly seeds: number;
  readonly failures: readonly { readonly seed: number; readonly problems: readonly string[] }[];
  readonly figures: SeedFigures;
  /** The seeds of the worst cases. */
  readonly costliestSeed: number;
  readonly slowestSeed: number;
  readonly seconds: number;
}

const stage = new Stage();
const first = numberOf(values.from, "from");
if (values.seed !== undefined) process.exitCode = await showSeed(numberOf(values.seed, "seed"));
else process.exitCode = await playMany(first, numberOf(values.seeds, "seeds"));

function numberOf(text: string, option: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0) throw new RangeError(`--${option} is a number, not ${text}`);
  return number;
}

async function showSeed(seed: number): Promise<number> {
  const { trace, problems, figures } = await playSeed(seed, stage, { isTraced: true });
  for (const line of trace) console.log(line);
  console.log(figures);
  for (const problem of problems) console.log(`WRONG ${problem}`);
  return problems.length === 0 ? 0 : 1;
}

async function playMany(from: number, seeds: number): Promise<number> {
  const summary = await summarise(from, seeds);
  if (values.json) {
    const tricks = Object.fromEntries(summary.figures.tricks);
    console.log(JSON.stringify({ ...summary, figures: { ...summary.figures, tricks } }, null, 2));
  } else console.log(summaryText(summary));
  if (values.write) writeFileSync(PAGE, page(summary));
  return summary.failures.length === 0 ? 0 : 1;
}

async function summarise(from: number, seeds: number): Promise<Summary> {
  const figures = newFigures();
  const failures: { seed: number; problems: readonly string[] }[] = [];
  let [costliestSeed, slowestSeed] = [from, from];
  const startedMs = performance.now();
  for (let seed = from; seed < from + seeds; seed++) {
    const played = await playSeed(seed, stage);
    if (played.figures.exchangesWorst > figures.exchangesWorst) costliestSeed = seed;
    if (played.figures.slowestShare > figures.slowestShare) slowestSeed = seed;
    addFigures(figures, played.figures);
    if (played.problems.length > 0) {
      failures.push({ seed, problems: played.problems });
      if (failures.length <= FAILURES_SHOWN) tellFailure(seed, played.problems);
    }
    const done = seed - from + 1;
    if (done % Math.max(1, Math.floor(seeds / 50)) === 0)
      process.stderr.write(`\r${done} of ${seeds} seeds, ${failures.length} failed `);
  }
  process.stderr.write("\n");
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  return { from, seeds, failures, figures, costliestSeed, slowestSeed, seconds };
}

function tellFailure(seed: number, problems: readonly string[]): void {
  process.stderr.write(
    `\nseed ${seed}: ${problems.slice(0, 3).join("\n  ")}\n  npm run simulate -- --seed ${seed}\n`,
  );
}

/** What is told of a run, as rows of two. */
function rows({ figures, failures, seeds, costliestSeed, slowestSeed }: Summary): [string, string][] {
  const { clientQueries, answered, failed } = figures;
  const share = (count: number, of: number): string =>
    `${count} (${((100 * count) / Math.max(1, of)).toFixed(1)} %)`;
  return [
    ["seeds played", String(seeds)],
    ["seeds in which a rule was broken", String(failures.length)],
    ["client queries, each with one outcome", String(clientQueries + figures.afterwards)],
    ["… answered NOERROR or NXDOMAIN", String(answered)],
    ["… of these NXDOMAIN", String(figures.nxdomain)],
    ["… of these with AD", String(figures.authentic)],
    ["… of these stale and marked so", String(figures.stale)],
    ["… answered SERVFAIL or REFUSED", String(failed)],
    ["times that validation refused something", String(figures.bogus)],
    ["replies of servers", String(figures.upstreamQueries)],
    ["… of these over TLS", String(figures.encrypted)],
    ["queries to servers, by client query", (figures.exchanges / Math.max(1, clientQueries)).toFixed(1)],
    ["most queries for one client query (quota 100)", `${figures.exchangesWorst} (seed ${costliestSeed})`],
    ["longest time, in parts of the deadline", `${figures.slowestShare.toFixed(3)} (seed ${slowestSeed})`],
    ["questions right again when all is well", share(figures.recovered, figures.afterwards)],
  ];
}

function summaryText(summary: Summary): string {
  const lines = rows(summary).map(([what, count]) => `${what.padEnd(50)} ${count}`);
  return [...lines, `${summary.seconds} s`].join("\n");
}

function page(summary: Summary): string {
  const { figures, from, seeds } = summary;
  const table = rows(summary).map(([what, count]) => `| ${what} | ${count} |`);
  const tricks = (title: string, names: readonly string[]): string =>
    `| ${title} | ${names.map((name) => `${name}: ${figures.tricks.get(name) ?? 0}`).join("; ")} |`;
  return `# Ten thousand lying internets

Written by \`npm run simulate -- --seeds ${seeds} --write\` (seeds ${from} to ${from + seeds - 1}) on Node ${process.versions.node}. Do not edit.

Each seed is an internet of its own: the zones of the fake internet, signed in every right and wrong way, on a network that loses,
doubles, delays and reorders; servers that lie, fail, or cannot do EDNS or TCP; some that speak TLS; forgers who cannot see queries; addresses that
vanish; servers of unsigned zones that want the names of
others; clients that ask with and without DO, CD and AD, at once, again, and when TTLs or all signatures have just ended; and settings: minimisation
relaxed, strict and off, random case, cookies, stale answers, aggressive denial, NXDOMAIN cut, prefetch, deadlines, cache sizes.

What every seed is held against:

- Each client query has exactly one outcome, before its deadline, also when the resolver is closed while clients wait.
- Without CD everything that is answered is what the zones hold, as far as signatures protect it or no liar is on its way; what
  nobody can sign may be forged by its own servers and those above only. Zones that are signed wrongly are SERVFAIL.
- AD stands only beside the truth of signed zones, and beside signatures that are valid now.
- No record is given for longer than the last server that said it allowed, unless the answer is marked stale (EDE 3, 19), and then
  with 30 seconds, for a day.
- One client query costs at most 100 queries to servers.
- Where nothing goes wrong every answer is as the table of expectations says (\`test/interop/dnssec-expectations.ts\`).
- Two days after everything is well again everything is as if it had never been otherwise.
- At the end no timer, socket or stream is left.

| what | count |
|---|---|
${table.join("\n")}

Questions that are not right again are those of zones that have no working server.

| done to replies | times |
|---|---|
${tricks("faults", FAULT_NAMES)}
${tricks("forged datagrams", FORGERY_NAMES)}
${tricks("lies", LIE_NAMES)}
`;
}
