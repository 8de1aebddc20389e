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
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  #output = "";
  #why: "limit" | "ended" | undefined;
  #isGone = false;

  constructor({ argv, environment, folder }: Launch, clock: Clock) {
    this.#clock = clock;
    const [program = "", ...args] = argv;
    // A group of its own, so that what a shell has started ends with it.
    this.#child = spawn(program, args, {
      cwd: folder,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (octets: Buffer) => this.#print(octets.toString("latin1")));
    this.ended = new Promise((resolve) => {
      const settle = (end: ProcessEnd): void => {
        this.#isGone = true;
        resolve(this.#why === undefined ? end : { kind: this.#why });
      };
      this.#child.on("error", (cause: NodeJS.ErrnoException) =>
        settle({ kind: "failed", problem: cause.code === "ENOENT" ? "no such program" : cause.message }),
      );
      this.#child.on("close", (code, signal) =>
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
    const timer = this.#clock.startTimer("probe-client-kill", KILL_AFTER_MS, () => this.#kill("SIGKILL"));
    await this.ended;
    timer.cancel();
  }

  #kill(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
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
