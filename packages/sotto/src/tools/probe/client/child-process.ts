/** A client under test as a process: started, watched, and ended by its number, with all that it has started itself. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "@sotto/dns/runtime";

/** How a process came to its end. `limit`: it was ended because it took too long; `ended`: because nobody needed it. */
export type ProcessEnd =
  | { readonly kind: "exit"; readonly code: number }
  | { readonly kind: "signal"; readonly signal: string }
  | { readonly kind: "limit" | "ended" }
  /** It could not be started. */
  | { readonly kind: "failed"; readonly problem: string };

/** What is started. */
export interface Launch {
  readonly argv: readonly string[];
  /** On top of this program's own. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where it runs. */
  readonly folder: string;
}

/** One process and what it prints. */
export class ClientProcess {
  /** Settles when the process is gone and all it printed has been read; never rejects. */
  readonly ended: Promise<ProcessEnd>;
  /** Undefined: it could not be started. */
  readonly #child: ChildProcess | undefined;
  readonly #clock: Clock;
  #output = "";
  #why: "limit" | "ended" | undefined;
  #isGone = false;

  constructor(launch: Launch, clock: Clock) {
    this.#clock = clock;
    const child = trySpawn(launch);
    if (typeof child === "string") {
      this.#isGone = true;
      this.ended = Promise.resolve({ kind: "failed", problem: child });
      return;
    }
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (octets: Buffer) => this.#print(octets.toString("latin1")));
    this.ended = new Promise((resolve) => {
      const settle = (end: ProcessEnd): void => {
        this.#isGone = true;
        resolve(this.#why === undefined ? end : { kind: this.#why });
      };
      child.on("error", (cause: NodeJS.ErrnoException) =>
        settle({ kind: "failed", problem: cause.code === "ENOENT" ? "no such program" : cause.message }),
      );
      child.on("close", (code, signal) =>
        settle(signal === null ? { kind: "exit", code: code ?? 0 } : { kind: "signal", signal }),
      );
    });
  }

  /** All that it printed, the first {@link OUTPUT_CHARACTERS_MAX} of it. */
  get output(): string {
    return this.#output;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Asks it to end, and ends it if it does not. */
  async end(why: "limit" | "ended"): Promise<void> {
    if (this.#isGone) return;
    this.#why ??= why;
    this.#kill("SIGTERM");
    const timer = this.#clock.startTimer("probe-client-kill", KILL_AFTER_MS, () => this.#giveUp());
    await this.ended;
    timer.cancel();
  }

  /** What it left behind in another process group may hold its output open, for ever. */
  #giveUp(): void {
    this.#kill("SIGKILL");
    this.#child?.stdout?.destroy();
    this.#child?.stderr?.destroy();
  }

  #kill(signal: NodeJS.Signals): void {
    const pid = this.#child?.pid;
    if (pid === undefined || this.#isGone) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // It went in this moment.
    }
  }

  #print(text: string): void {
    this.#output += text.slice(0, OUTPUT_CHARACTERS_MAX - this.#output.length);
  }
}

/** The process in a group of its own, so that what a shell has started ends with it; or why the system will not even try. */
function trySpawn({ argv, environment, folder }: Launch): ChildProcess | string {
  const [program = "", ...args] = argv;
  try {
    return spawn(program, args, {
      cwd: folder,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
  } catch (cause) {
    // Most failures are events; a path through a file, or arguments too long, are thrown.
    return cause instanceof Error ? cause.message : String(cause);
  }
}

/** A folder that runs write their files into. */
export class RunFolder {
  readonly path: string = mkdtempSync(join(tmpdir(), "sotto-probe-"));

  /** One folder for one run, with files. */
  make(name: string, files: (folder: string) => Readonly<Record<string, string>>): string {
    const folder = join(this.path, name);
    mkdirSync(folder, { recursive: true });
    for (const [file, text] of Object.entries(files(folder))) writeFileSync(join(folder, file), text);
    return folder;
  }

  close(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** What is kept of its output. */
const OUTPUT_CHARACTERS_MAX = 262_144;
/** Patience with a process that was asked to end. */
const KILL_AFTER_MS = 2000;
