/**
 * The processes of a benchmark: each pinned to cores, told from the others by its output file, and ended by whoever started it. The
 * kernel ends them when we die without a chance to.
 */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { treeOf } from "./accounting.ts";

/** A process and its descendants. */
export class PinnedProcess {
  readonly name: string;
  readonly child: ChildProcess;
  readonly #outputFile: string;
  #cores: string;

  private constructor(name: string, child: ChildProcess, cores: string, outputFile: string) {
    this.name = name;
    this.child = child;
    this.#cores = cores;
    this.#outputFile = outputFile;
  }

  /** Starts a program on cores (`0`, or `0,1`), with its output in a file of the folder. */
  static start(options: {
    readonly name: string;
    readonly command: readonly string[];
    readonly cores: string;
    readonly folder: string;
    readonly isIpc?: boolean;
    readonly cwd?: string;
  }): PinnedProcess {
    const { name, command, cores, folder, isIpc = false, cwd = folder } = options;
    const outputFile = join(folder, `${name}.out`);
    const output = openSync(outputFile, "w");
    const stdio: SpawnOptions["stdio"] = ["ignore", output, output, ...(isIpc ? (["ipc"] as const) : [])];
    // In a group of its own, so that Ctrl-C reaches us alone, who end it in order.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "taskset", "-c", cores, ...command], {
      stdio,
      cwd,
      detached: true,
    });
    closeSync(output);
    const started = new PinnedProcess(name, child, cores, outputFile);
    child.on("error", () => undefined);
    running.add(started);
    child.once("exit", () => running.delete(started));
    return started;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.child.pid === undefined || this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** All that it has printed. */
  output(): string {
    return readFileSync(this.#outputFile, "utf8");
  }

  /** Moves all of its threads. */
  pin(cores: string): void {
    if (cores === this.#cores) return;
    for (const pid of treeOf(this.pid)) spawnSync("taskset", ["-acp", cores, String(pid)]);
    this.#cores = cores;
  }

  /** Waits until `isReady`; rejects with the output when it has ended or takes too long. */
  async becomeReady(isReady: () => Promise<boolean>): Promise<void> {
    const limitMs = performance.now() + READY_MS;
    while (!(await isReady())) {
      if (this.hasEnded || performance.now() > limitMs) {
        const why = this.hasEnded ? "ended" : "gave no answer";
        throw new Error(`${this.name} ${why}: ${this.output().slice(-OUTPUT_TOLD)}`);
      }
      await pause(50);
    }
  }

  /** Waits until it ends by itself, so many milliseconds at most; whether it did. */
  async ended(limitMs: number): Promise<boolean> {
    if (this.hasEnded) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const onExit = (): void => resolve(true);
    const timer = setTimeout(() => resolve(false), limitMs);
    this.child.once("exit", onExit);
    const isInTime = await promise;
    clearTimeout(timer);
    this.child.off("exit", onExit);
    return isInTime;
  }

  async stop(): Promise<void> {
    if (this.hasEnded) return;
    const pids = treeOf(this.pid);
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(timer);
    // Descendants that outlive it.
    for (const pid of pids.slice(1)) kill(pid);
  }
}

const running = new Set<PinnedProcess>();

/** Ends all that runs at once, when there is no time to wait. */
export function killAll(): void {
  for (const one of running) for (const pid of treeOf(one.pid).reverse()) kill(pid);
}

function kill(pid: number): void {
  try {
    if (pid > 1) process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

const READY_MS = 20_000;
const STOP_MS = 5000;
const OUTPUT_TOLD = 2000;
