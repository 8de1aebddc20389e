/** The real world with the engine that the configuration names. */
import type { Runtime } from "@sotto/dns/runtime";
import { nativeRuntime } from "@sotto/dns/runtime/native";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import type { Config } from "../config/index.ts";
import type { Log } from "../operations/index.ts";

/** Where the native engine cannot be had, listeners are Node's own, and an event says why, which the log has a line for. */
export function openRuntime(
  engine: Config["engine"],
  { events, logger }: Pick<Log, "events" | "logger">,
): Runtime {
  if (engine === "node") return nodeRuntime(events);
  const runtime = nativeRuntime(events);
  if (runtime.engineProblem === undefined) logger.info({ engine }, "listeners are on the native engine");
  return runtime;
}
