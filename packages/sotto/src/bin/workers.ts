/** How many threads a daemon serves with, and what they are started with. */
import { extname } from "node:path";
import { DnsError } from "@sotto/dns/runtime";
import { canDuplicateDescriptors } from "@sotto/dns/runtime/node";
import type { WorkerGroupOptions } from "../compose/index.ts";
import { type Config, WORKERS_AUTO_MAX } from "../config/index.ts";
import {
  canSharePorts,
  coreCount,
  type InheritedSocket,
  mayStartThreads,
  threadsOf,
} from "../operations/index.ts";
import { closeConnection } from "./close-connection.ts";

/** Undefined: it serves in this thread. Rejects with ERR_CONFIG when there cannot be as many as are configured. */
export async function workerOptions(
  { workers, engine, log }: Pick<Config, "workers" | "engine" | "log">,
  sockets: readonly InheritedSocket[],
): Promise<WorkerGroupOptions | undefined> {
  const count = await workersFor(workers, sockets.length > 0);
  if (count === 1) return undefined;
  const entry = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
  return { count, sockets, startThread: threadsOf(entry), logLevel: log.level, engine, closeConnection };
}

async function workersFor(setting: Config["workers"], isActivated: boolean): Promise<number> {
  if (setting === 1) return 1;
  const problem = await problemOfThreads(isActivated);
  if (setting === "auto") return problem === undefined ? Math.min(coreCount(), WORKERS_AUTO_MAX) : 1;
  if (problem !== undefined) throw new DnsError("ERR_CONFIG", `workers: ${setting}: ${problem}`);
  return setting;
}

/** Why there can be one worker only. */
async function problemOfThreads(isActivated: boolean): Promise<string | undefined> {
  if (!canSharePorts()) return `on ${process.platform} only one can listen on a port`;
  if (!mayStartThreads()) return "Node was started with --permission and without --allow-worker";
  if (isActivated && !(await canDuplicateDescriptors()))
    return "sockets of the service manager cannot be duplicated for each (Node 26, or the package koffi)";
  return undefined;
}
