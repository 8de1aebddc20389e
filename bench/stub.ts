/**
 * `npm run bench:stub -- [--only WORD…] [--concurrency N…] [--rounds N] [--json] [--write [--force]]`: what a lookup costs through the
 * library and through what else there is for Node, beside each other at one local server. Needs Debian's unbound and kdig; takes
 * about three minutes. Exits 1 when a goal is missed, 3 when the machine was too loaded to write what came out.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CLIENTS } from "./stub/clients.ts";
import { measureFirstLookups } from "./stub/first-lookup.ts";
import { disturbance, MachineWatch, pin } from "./stub/machine.ts";
import { goalsOf, page, type StubOutcome, tables } from "./stub/page.ts";
import { plot } from "./stub/plot.ts";
import { runRounds } from "./stub/rounds.ts";
import { startServer } from "./stub/server.ts";

const ROUND_MS = 400;
const FIRST_LOOKUPS = 7;

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    concurrency: { type: "string", multiple: true },
    rounds: { type: "string" },
    json: { type: "boolean" },
    write: { type: "boolean" },
    force: { type: "boolean" },
  },
});

const outcome = await measure();
const disturbed = disturbance(outcome.machine);
if (options.json === true) process.stdout.write(json(outcome));
else {
  process.stdout.write(`${tables(outcome)}\n`);
  for (const { text, isMet } of goalsOf(outcome.figures))
    process.stdout.write(`${isMet ? "● met   " : "✗ missed"} ${text}\n`);
}
if (disturbed !== undefined) process.stderr.write(`the machine was loaded: ${disturbed}\n`);
if (options.write === true && (disturbed === undefined || options.force === true)) write(outcome);
process.exitCode = exitCode();

async function measure(): Promise<StubOutcome> {
  const clients = CLIENTS.filter(({ key }) => options.only?.some((word) => key.includes(word)) ?? true);
  const rounds = Number(options.rounds ?? 5);
  const folder = mkdtempSync(join(tmpdir(), "sotto-stub-"));
  const { facts, peer } = await startServer(folder);
  pin(peer.process.pid, "server");
  try {
    const firstLookups = options.only === undefined ? measureFirstLookups(facts, folder, FIRST_LOOKUPS) : [];
    const watch = new MachineWatch();
    const concurrencies = (options.concurrency ?? ["1", "10", "100"]).map(Number);
    const figures = await runRounds({ clients, facts, concurrencies, rounds, roundMs: ROUND_MS, watch });
    watch.note(peer.process.pid ?? 0);
    return { figures, firstLookups, machine: watch.use(), rounds, roundMs: ROUND_MS };
  } finally {
    await peer.stop();
    rmSync(folder, { recursive: true });
  }
}

function json(all: StubOutcome): string {
  const figures = all.figures.map(({ client, ...rest }) => ({
    client: client.key,
    group: client.group,
    ...rest,
  }));
  return `${JSON.stringify({ ...all, figures, goals: goalsOf(all.figures) }, null, 2)}\n`;
}

function write(all: StubOutcome): void {
  const evidence = join(import.meta.dirname, "../docs/evidence");
  writeFileSync(join(evidence, "stub-overhead.md"), page(all));
  writeFileSync(join(evidence, "stub-overhead.json"), json(all));
  writeFileSync(join(evidence, "stub-overhead.svg"), plot(all.figures));
}

function exitCode(): number {
  if (options.write === true && disturbed !== undefined && options.force !== true) return 3;
  return goalsOf(outcome.figures).every(({ isMet }) => isMet) ? 0 : 1;
}
