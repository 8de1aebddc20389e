/** Whether the machine had other things to do while something was measured. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";

/** CPU time in ticks of the kernel. */
interface Ticks {
  readonly all: number;
  readonly busy: number;
  readonly stolen: number;
}

/** Shares of all processor time, 0 to 1. */
export interface MachineUse {
  /** Others than the processes that were measured. */
  readonly others: number;
  /** Taken by the host of a virtual machine. */
  readonly stolen: number;
  /** Load average of the last minute at the start. */
  readonly loadBefore: number;
}

export class MachineWatch {
  readonly #start: Ticks = ticks();
  readonly #own = new Map<number, number>();
  readonly #loadBefore = loadavg()[0] ?? 0;

  /** The processor time of this process shall not count as that of others; ask again before it ends. */
  note(pid: number): void {
    this.#own.set(pid, ticksOf(pid));
  }

  use(): MachineUse {
    const now = ticks();
    const all = now.all - this.#start.all;
    const own = [...this.#own.values()].reduce((sum, one) => sum + one, ticksOf(process.pid));
    return {
      others: Math.max(0, now.busy - this.#start.busy - own) / all,
      stolen: (now.stolen - this.#start.stolen) / all,
      loadBefore: this.#loadBefore,
    };
  }
}

/**
 * Keeps the server on the last core and clients on the others, with all of their threads: where they move, who wakes whom decides
 * about the figures. Does nothing where `taskset` or a second core is missing.
 */
export function pin(pid: number | undefined, side: "server" | "client"): void {
  const last = availableParallelism() - 1;
  if (pid === undefined || last < 1) return;
  spawnSync("taskset", ["-acp", side === "server" ? String(last) : `0-${last - 1}`, String(pid)]);
}

/** Why the figures are not to be trusted, undefined when they are. */
export function disturbance({ others, stolen }: MachineUse): string | undefined {
  if (others > OTHERS_MAX) return `others had ${Math.round(others * 100)} % of the processors`;
  if (stolen > STOLEN_MAX) return `the host took ${Math.round(stolen * 100)} % of the processors`;
  return undefined;
}

function ticks(): Ticks {
  const fields = readFileSync("/proc/stat", "ascii").split("\n")[0]?.trim().split(/\s+/).slice(1).map(Number);
  // user nice system idle iowait irq softirq steal (proc(5)); guests are counted as user already.
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, stolen = 0] =
    fields ?? [];
  const busy = user + nice + system + irq + softirq;
  return { all: busy + idle + iowait + stolen, busy, stolen };
}

/** User and system time of a process (proc(5), fields 14 and 15). */
function ticksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "ascii")
    .replace(/^.*\) /s, "")
    .split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

const OTHERS_MAX = 0.1;
const STOLEN_MAX = 0.02;
