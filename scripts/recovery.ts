/**
 * `npm run evidence:recovery`: how stubs come back after what happens to networks and servers, ours beside Debian's stubby, in
 * network namespaces. Needs root and about ten minutes. `--write` puts page, picture and numbers into docs/evidence; `--quick` has
 * shorter disturbances; `--servers`, `--events` and `--stubs` choose, separated by commas. Prints the page, or with `--json` the
 * numbers; progress goes to stderr.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { EVENTS } from "./evidence/recovery-events.ts";
import { misses, recoveryPage, recoveryPicture } from "./evidence/recovery-page.ts";
import { SERVER_NAMES, STUB_NAMES } from "./evidence/recovery-programs.ts";
import { playWorld, type WorldPlan, type WorldResult } from "./evidence/recovery-run.ts";

const { values: options } = parseArgs({
  options: {
    write: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    servers: { type: "string" },
    events: { type: "string" },
    stubs: { type: "string" },
  },
});

const chosen = <T extends string>(given: string | undefined, all: readonly T[]): T[] =>
  all.filter((one) => given === undefined || given.split(",").includes(one));

/** What is different when there are several servers. */
const OF_SEVERAL = ["black-hole", "killed", "first-black-hole"];

const common = {
  stubs: chosen(options.stubs, STUB_NAMES),
  lastsMsMax: options.quick ? 6000 : 60_000,
  observeMsMax: options.quick ? 15_000 : 45_000,
};
const events = chosen(
  options.events,
  EVENTS.filter(({ isOurs }) => isOurs !== true).map(({ id }) => id),
);
const servers = chosen(options.servers, SERVER_NAMES);
const plans: WorldPlan[] = servers.map((name) => ({
  ...common,
  servers: [name],
  events: events.filter((id) => id !== "first-black-hole"),
}));
const ofSeveral = events.filter((id) => OF_SEVERAL.includes(id));
if (servers.length > 1) plans.push({ ...common, servers, events: ofSeveral });

const results: WorldResult[] = [];
const played = await Promise.allSettled(plans.map((plan) => playWorld(plan, keep)));
// What was played before a world failed counts nevertheless.
for (const one of played)
  if (one.status === "rejected") {
    process.stderr.write(`${String(one.reason)}\n`);
    process.exitCode = 1;
  }
const page = recoveryPage(results, options.quick);
const numbers = `${JSON.stringify({ takenAt: new Date().toISOString(), isQuick: options.quick, results }, withoutTraces, 1)}\n`;
process.stdout.write(options.json ? numbers : page);
if (options.write) {
  const folder = join(import.meta.dirname, "../docs/evidence");
  writeFileSync(join(folder, "recovery.md"), page);
  writeFileSync(join(folder, "recovery.svg"), recoveryPicture(results));
  writeFileSync(join(folder, "recovery.json"), numbers);
}
for (const text of misses(results)) process.stderr.write(`missed: ${text}\n`);

function keep(result: WorldResult): void {
  results.push(result);
  const { event, servers: asked, cells } = result;
  for (const { stub, firstGoodMs, lost, early, avoidable, gapMs } of cells)
    process.stderr.write(
      `${asked.join("+")}, ${event}, ${stub}: back after ${firstGoodMs} ms, gap ${gapMs} ms, lost ${lost}, early ${early}, avoidable ${avoidable}\n`,
    );
}

/** Every single query is in the picture. */
function withoutTraces(key: string, value: unknown): unknown {
  return key === "trace" ? undefined : value;
}
