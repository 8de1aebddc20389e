/** Runs a world of stubs and servers (`recovery-world.ts`) inside namespaces of its own. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Captured } from "./recovery-capture.ts";
import type { RecoveryCell } from "./recovery-measures.ts";
import type { ServerName, StubName } from "./recovery-programs.ts";

/** What is played. */
export interface WorldPlan {
  /** All of them are upstreams of each stub. */
  readonly servers: readonly ServerName[];
  readonly stubs: readonly StubName[];
  /** Ids of events, in this order. */
  readonly events: readonly string[];
  /** Longer events are cut to this, milliseconds. */
  readonly lastsMsMax: number;
  /** How long stubs may take to come back before nobody waits any longer, milliseconds. */
  readonly observeMsMax: number;
  /** Captures what leaves the client. */
  readonly captures?: boolean;
}

/** All that came of a plan. */
export interface Played {
  readonly results: readonly WorldResult[];
  readonly captured: Captured | undefined;
}

/** What became of the stubs in one event. */
export interface WorldResult {
  readonly event: string;
  readonly servers: readonly ServerName[];
  readonly cells: readonly RecoveryCell[];
}

/** New namespaces for network, mounts and processes: names cannot clash with anybody's, and everything ends with the first process. */
const INSIDE = ["--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"] as const;

/** Plays it; each event is told when it is over. Rejects with what the world printed when it fails. */
export async function playWorld(
  plan: WorldPlan,
  tell: (result: WorldResult) => void = () => undefined,
): Promise<Played> {
  const node = [process.execPath, "--conditions=source", "--disable-warning=ExperimentalWarning"];
  const world = [join(import.meta.dirname, "recovery-world.ts"), JSON.stringify(plan)];
  const child = spawn("unshare", [...INSIDE, ...node, ...world], { stdio: ["ignore", "pipe", "pipe"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), RUN_MS_MAX);
  let problem = "";
  child.stderr.on("data", (chunk: Buffer) => {
    problem += chunk.toString();
  });
  const ended = new Promise<number>((resolve) => {
    child.once("close", (code) => resolve(code ?? -1));
  });
  const results: WorldResult[] = [];
  let captured: Captured | undefined;
  for await (const line of createInterface(child.stdout)) {
    const printed = JSON.parse(line) as WorldResult | Captured; // Printed so by recovery-world.ts.
    if ("packets" in printed) {
      captured = printed;
      continue;
    }
    results.push(printed);
    tell(printed);
  }
  const code = await ended;
  clearTimeout(timer);
  if (code !== 0) throw new Error(`the world of ${plan.servers.join()} ended with ${code}: ${problem}`);
  return { results, captured };
}

/** Longer than all events of a full run take. */
const RUN_MS_MAX = 14 * 60_000;
