/**
 * `npm run evidence:recovery`: how stubs come back after what happens to networks and servers, ours beside Debian's stubby, in
 * network namespaces. Needs root. `--write` puts the page into docs/evidence; `--quick` has shorter disturbances; `--servers`,
 * `--events` and `--stubs` choose, separated by commas.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { EVENTS } from "./evidence/recovery-events.ts";
import { INSIDE } from "./evidence/recovery-network.ts";
import { SERVER_NAMES, STUB_NAMES } from "./evidence/recovery-programs.ts";
import type { WorldPlan, WorldResult } from "./evidence/recovery-world.ts";

const { values: options } = parseArgs({
  options: {
    write: { type: "boolean" },
    quick: { type: "boolean" },
    servers: { type: "string" },
    events: { type: "string" },
    stubs: { type: "string" },
  },
});
const WORLD = join(import.meta.dirname, "evidence/recovery-world.ts");

async function runWorld(plan: WorldPlan): Promise<WorldResult[]> {
  const [unshare = "", ...flags] = INSIDE;
  const node = [process.execPath, "--conditions=source", "--disable-warning=ExperimentalWarning"];
  const child = spawn(unshare, [...flags, ...node, WORLD, JSON.stringify(plan)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const results: WorldResult[] = [];
  for await (const line of createInterface(child.stdout)) {
    const result = JSON.parse(line) as WorldResult; // Printed so by recovery-world.ts.
    results.push(result);
    for (const { stub, firstGoodMs, lost, refused, avoidable, gapMs, settledMs } of result.cells)
      process.stderr.write(
        `${result.servers.join("+")} ${result.event} ${stub}: first ${firstGoodMs} settled ${settledMs} lost ${lost} refused ${refused} avoidable ${avoidable} gap ${gapMs}\n`,
      );
  }
  return results;
}
const list = <T extends string>(given: string | undefined, all: readonly T[]): T[] =>
  all.filter((one) => given === undefined || given.split(",").includes(one));
const common = {
  stubs: list(options.stubs, STUB_NAMES),
  lastsMsMax: options.quick ? 6000 : 60_000,
  observeMsMax: options.quick ? 15_000 : 45_000,
};
const events = list(
  options.events,
  EVENTS.map(({ id }) => id),
);
const results = await Promise.all([
  ...list(options.servers, SERVER_NAMES).map((server) =>
    runWorld({ ...common, servers: [server], events: events.filter((id) => id !== "first-black-hole") }),
  ),
]);
