/** Notices that files have changed, by looking: works on every file system, and through the links that renewal tools swap. */
import { statSync } from "node:fs";
import type { Clock, Timer } from "@sotto/dns/runtime";

/** Looks at a set of files now and then. */
export class FileWatch {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #files: readonly string[] = [];
  #seen = "";
  #timer: Timer | undefined = undefined;

  /** `onChange` is called once for all files that changed between two looks. */
  constructor(clock: Clock, onChange: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Watches these from now on, as they are now; no files, or an undefined interval, watches nothing. */
  watch(files: readonly string[], intervalMs: number | undefined): void {
    this.stop();
    if (files.length === 0 || intervalMs === undefined) return;
    this.#files = files;
    this.#seen = this.#look();
    this.#wait(intervalMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(intervalMs: number): void {
    this.#timer = this.#clock.startTimer(
      "file watch",
      intervalMs,
      () => {
        const now = this.#look();
        const hasChanged = now !== this.#seen;
        this.#seen = now;
        this.#wait(intervalMs);
        if (hasChanged) this.#onChange();
      },
      true,
    );
  }

  #look(): string {
    return this.#files.map(lookAt).join("|");
  }
}

/** What changes with a file's content, or with the file that a link leads to. */
function lookAt(file: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(file);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return "missing";
  }
}
