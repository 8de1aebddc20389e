/**
 * Who used the processors: the kernel's accounting of threads in nanoseconds (`/proc/PID/task/TID/schedstat`), and of cores in
 * ticks (`/proc/stat`, whose idle time is exact also where its user and system times are samples).
 */
import { readdirSync, readFileSync } from "node:fs";

/** State of the accounts at one moment. */
export interface Snapshot {
  readonly atMs: number;
  /** Nanoseconds of all threads of each watched process and its descendants. */
  readonly cpuNs: Readonly<Record<number, number>>;
  /** Nanoseconds of each thread of the first watched process. */
  readonly threadsNs: Readonly<Record<number, number>>;
  /** Milliseconds that each core was idle. */
  readonly idleMs: readonly number[];
}

/** Takes a snapshot; a process that has ended counts as zero. */
export function takeSnapshot(pids: readonly number[]): Snapshot {
  const trees = pids.map((pid) => treeOf(pid));
  const cpuNs = Object.fromEntries(
    pids.map((pid, i) => [pid, sum((trees[i] ?? []).flatMap((one) => Object.values(threadsOf(one))))]),
  );
  const threadsNs = Object.assign({}, ...(trees[0] ?? []).map((one) => threadsOf(one)));
  return {
    atMs: performance.now(),
    cpuNs,
    threadsNs,
    idleMs: parseIdleMs(readFileSync("/proc/stat", "ascii")),
  };
}

/** Nanoseconds of all children of this process that have ended and been waited for, with what they waited for. */
export function childrenNs(): number {
  return parseChildrenMs(readFileSync("/proc/self/stat", "ascii")) * 1e6;
}

/** `cutime` and `cstime` of proc(5) in milliseconds, to the tick. The name before them may hold anything. */
export function parseChildrenMs(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[CUTIME_AT]) + Number(fields[CUTIME_AT + 1])) * TICK_MS;
}

/** A process and its descendants. */
export function treeOf(pid: number): number[] {
  const children = threadIds(pid).flatMap((tid) =>
    read(`/proc/${pid}/task/${tid}/children`).trim().split(" ").filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap((child) => treeOf(child))];
}

/** Proportional set size of a process and its descendants, kibibytes. */
export function memoryKib(pid: number): number {
  return sum(
    treeOf(pid).map((one) => Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${one}/smaps_rollup`))?.[1] ?? 0)),
  );
}

/** What a measurement used, in shares of one core. */
export interface Use {
  readonly wallMs: number;
  /** CPU of the server, milliseconds. */
  readonly serverMs: number;
  readonly loadMs: number;
  /** Used on the server's and on the load's core by nobody we know. */
  readonly othersOnServerCore: number;
  readonly othersOnLoadCore: number;
  /** CPU of the server's busiest thread, milliseconds. */
  readonly busiestMs: number;
}

/** Where the processes of a measurement run. */
export interface Placement {
  readonly serverPid: number;
  readonly loadPid: number;
  readonly serverCore: number;
  readonly loadCore: number;
}

/** Everything watched but the server is on the core of the load. */
export function useBetween(before: Snapshot, after: Snapshot, place: Placement): Use {
  const wallMs = after.atMs - before.atMs;
  const cpuMs = (pid: number): number => ((after.cpuNs[pid] ?? 0) - (before.cpuNs[pid] ?? 0)) / 1e6;
  const serverMs = cpuMs(place.serverPid);
  const besideMs = sum(
    Object.keys(after.cpuNs)
      .map(Number)
      .filter((pid) => pid !== place.serverPid)
      .map(cpuMs),
  );
  const others = (core: number, knownMs: number): number => {
    const idleMs = (after.idleMs[core] ?? 0) - (before.idleMs[core] ?? 0);
    return Math.max(0, (wallMs - idleMs - knownMs) / wallMs);
  };
  const threads = Object.entries(after.threadsNs).map(
    ([tid, ns]) => ns - (before.threadsNs[Number(tid)] ?? 0),
  );
  return {
    wallMs,
    serverMs,
    loadMs: cpuMs(place.loadPid),
    othersOnServerCore: others(place.serverCore, serverMs),
    othersOnLoadCore: others(place.loadCore, besideMs),
    busiestMs: Math.max(0, ...threads) / 1e6,
  };
}

/** Why a measurement does not count, undefined when it does. */
export function disturbanceOf(use: Use): string | undefined {
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  if (use.othersOnServerCore > OTHERS_MAX)
    return `others had ${percent(use.othersOnServerCore)} of the server's core`;
  if (use.othersOnLoadCore > OTHERS_MAX)
    return `others had ${percent(use.othersOnLoadCore)} of the load's core`;
  return undefined;
}

/** Idle time of each core in milliseconds: idle and iowait of `cpuN` lines (proc(5)). */
export function parseIdleMs(stat: string): number[] {
  return [...stat.matchAll(/^cpu\d+ \d+ \d+ \d+ (\d+) (\d+)/gm)].map(
    ([, idle, wait]) => (Number(idle) + Number(wait)) * TICK_MS,
  );
}

function threadsOf(pid: number): Record<number, number> {
  return Object.fromEntries(
    threadIds(pid).map((tid) => [tid, Number(read(`/proc/${pid}/task/${tid}/schedstat`).split(" ")[0])]),
  );
}

function threadIds(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}

/** Nothing of a process that has ended between two looks. */
function read(path: string): string {
  try {
    return readFileSync(path, "ascii");
  } catch {
    return "";
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((all, one) => all + one, 0);
}

/** Field 16 of `/proc/PID/stat`, counted from the third, which stands behind the name. */
const CUTIME_AT = 13;
/** USER_HZ is 100 on all Linux of our architectures. */
const TICK_MS = 10;
/** More than this share of a core used by others spoils a measurement. */
const OTHERS_MAX = 0.1;
