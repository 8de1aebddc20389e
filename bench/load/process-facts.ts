/** What the kernel says of a process. */
import { readdirSync, readFileSync } from "node:fs";

/** Resident memory, kibibytes. */
export function residentKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "ascii"))?.[1]);
}

/** Open descriptors. */
export function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
