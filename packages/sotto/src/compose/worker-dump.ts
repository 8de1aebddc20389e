/** The record caches of several workers as one text. */
import type { WorkerHandle } from "./worker-handle.ts";

/** One worker after another, by a number that no other dump has; a record set that an earlier one had is left out, signatures and all. */
export async function* dumpOfAll(
  workers: readonly Pick<WorkerHandle<unknown>, "call">[],
  dump: number,
): AsyncGenerator<string> {
  const seen = new Set<string>();
  for (const [i, worker] of workers.entries()) {
    const own = new Set<string>();
    for (
      let lines = await worker.call("dump", { dump, isFirst: true });
      lines.length > 0;
      lines = await worker.call("dump", { dump, isFirst: false })
    ) {
      for (const line of lines) {
        const isHead = line.startsWith(";");
        const key = setOf(line);
        if (isHead ? i > 0 : seen.has(key)) continue;
        if (!isHead && i < workers.length - 1 && seen.size + own.size < SETS_MAX) own.add(key);
        yield line;
      }
    }
    for (const key of own) seen.add(key);
  }
}

/** Owner and type; a signature belongs to the set that it signs. */
function setOf(line: string): string {
  const [owner = "", , , type = "", rdata = ""] = line.split("\t");
  return `${owner} ${type === "RRSIG" ? rdata.slice(0, rdata.indexOf(" ")) : type}`;
}

/** More are given twice rather than remembered: whoever loads them does not mind. */
const SETS_MAX = 1_000_000;
