/**
 * `npm run bench:load -- [--scenario NAME] [--scale N] [--json] [--write]`: real load on a real server. Takes some minutes; a
 * scale of 10 takes a tenth of the connections. Exits 1 when a goal is missed.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { parseArgs, styleText } from "node:util";
import { idleAndActive, openAndClose } from "./load/many-connections.ts";
import type { Outcome, Scale } from "./load/scenario.ts";
import { slowLoris } from "./load/slow-loris.ts";
import { swapsAndSignals } from "./load/swaps.ts";

const SCENARIOS: Readonly<Record<string, (scale: Scale) => Promise<Outcome>>> = {
  idle: idleAndActive,
  loris: slowLoris,
  churn: openAndClose,
  swaps: swapsAndSignals,
};
/** For both ends of 12,000 connections, and some. */
const DESCRIPTORS = 200_000;

const { values: options } = parseArgs({
  options: {
    scenario: { type: "string" },
    scale: { type: "string" },
    json: { type: "boolean" },
    write: { type: "boolean" },
    inside: { type: "boolean" },
  },
});

if (options.inside !== true) {
  const args = [...process.execArgv, import.meta.filename, ...process.argv.slice(2), "--inside"];
  const command = `ulimit -n ${DESCRIPTORS} 2>/dev/null || ulimit -n $(ulimit -Hn); exec "$0" "$@"`;
  const run = spawnSync("sh", ["-c", command, process.execPath, ...args], { stdio: "inherit" });
  process.exit(run.status ?? 1);
}

const names = options.scenario === undefined ? Object.keys(SCENARIOS) : [options.scenario];
const outcomes: Outcome[] = [];
for (const name of names) {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) {
    process.stderr.write(`unknown scenario ${name}, there are ${Object.keys(SCENARIOS).join(", ")}\n`);
    process.exit(2);
  }
  process.stderr.write(`${name} …\n`);
  const outcome = await scenario(Number(options.scale ?? "1"));
  outcomes.push(outcome);
  if (options.json !== true) process.stdout.write(asText(outcome));
}
if (options.json === true) process.stdout.write(`${JSON.stringify(outcomes, null, 2)}\n`);
if (options.write === true)
  writeFileSync(join(import.meta.dirname, "../docs/evidence/load.md"), page(outcomes));
process.exit(outcomes.every(({ isMet }) => isMet) ? 0 : 1);

function asText({ scenario, goal, isMet, figures }: Outcome): string {
  const mark = isMet ? styleText("green", "● met   ") : styleText("red", "✗ missed");
  return `${mark} ${styleText("bold", scenario)}: ${goal}\n${figures.map(([what, value]) => `         ${what.padEnd(42)} ${value}\n`).join("")}`;
}

function page(all: readonly Outcome[]): string {
  const sections = all.map(
    ({ scenario, goal, isMet, figures }) =>
      `## ${scenario}\n\nGoal: ${goal}. ${isMet ? "● Met." : "✗ Missed."}\n\n| figure | value |\n|---|---|\n${figures.map(([what, value]) => `| ${what} | ${value} |`).join("\n")}\n`,
  );
  return `# Load

Written by \`npm run bench:load -- --write\` on Node ${process.versions.node}, Linux ${release()}, ${cpus().length} cores that server and clients share. Do not edit.

${sections.join("\n")}`;
}
