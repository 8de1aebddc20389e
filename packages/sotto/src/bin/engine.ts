/** The real world with the engine that the configuration names. */
import type { Runtime } from "@sotto/dns/runtime";
import { nativeRuntime } from "@sotto/dns/runtime/native";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import type { Config } from "../config/index.ts";
import type { Log } from "../operations/index.ts";

/** Where the native engine cannot be had, listeners are Node's own, and the log says why. */
export function openRuntime(
  engine: Config["engine"],
  { events, logger }: Pick<Log, "events" | "logger">,
): Runtime {
  if (engine === "node") return nodeRuntime(events);
  const runtime = nativeRuntime(events);
  const problem = runtime.engineProblem;
  if (problem === undefined) logger.info({ engine }, "listeners are on the native engine");
  else logger.warn({ engine: "node", problem }, "no native engine, listeners are Node's own");
  return runtime;
}
