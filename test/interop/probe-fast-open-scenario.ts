/** Probes clients for Fast Open and prints their verdicts as JSON; for a network namespace that has it on for both sides. */
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { probeClient } from "../../packages/sotto/src/tools/probe/client/index.ts";
import { SOTTO } from "./peers.ts";

const verdicts: Record<string, string | undefined> = {};
for (const preset of process.argv.slice(2)) {
  const options = { preset, sotto: [process.execPath, ...SOTTO], rows: ["fast-open"] };
  const { cells } = await probeClient(undefined, options, nodeRuntime(), () => undefined);
  verdicts[preset] = cells[0]?.verdict;
}
process.stdout.write(`${JSON.stringify(verdicts)}\n`);
