/** Notices that files have changed, by looking: works on every file system, and through the links that renewal tools swap. */
import { statSync } from "node:fs";
import type { Clock, Timer } from "@sotto/dns/runtime";

/** Looks at a set of files now and then. */
export class FileWatch {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #restMs: number;
  #files: readonly string[] = [];
  #seen = "";
  #timer: Timer | undefined = undefined;

  /**
   * `onChange` is called once for all files that changed between two looks; with `restMs` when they have not changed for so long,
   * because somebody may still be writing.
   */
  constructor(clock: Clock, onChange: () => void, restMs = 0) {
    this.#clock = clock;
    this.#onChange = onChange;
    this.#restMs = restMs;
  }

  /** Watches these from now on, as they are now; no files, or an undefined interval, watches nothing. */
  watch(files: readonly string[], intervalMs: number | undefined): void {
    this.stop();
    if (files.length === 0 || intervalMs === undefined) return;
    this.#files = files;
    this.#seen = this.#look();
    this.#wait(intervalMs, intervalMs, 0);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** `changes`: looks in a row that found one which has not been told. */
  #wait(waitMs: number, intervalMs: number, changes: number): void {
    this.#timer = this.#clock.startTimer(
      "file watch",
      waitMs,
      () => {
        const now = this.#look();
        const hasChanged = now !== this.#seen;
        this.#seen = now;
        const restMs = Math.min(this.#restMs, intervalMs);
        if (hasChanged && restMs > 0 && changes < CHANGES_MAX) {
          this.#wait(restMs, intervalMs, changes + 1);
          return;
        }
        this.#wait(intervalMs, intervalMs, 0);
        if (hasChanged || changes > 0) this.#onChange();
      },
      true,
    );
  }

  #look(): string {
    return this.#files.map(lookAt).join("|");
  }
}

/** What never comes to rest is taken as it is. */
const CHANGES_MAX = 60;

/** What changes with a file's content, or with the file that a link leads to. */
function lookAt(file: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(file);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return "missing";
  }
}
