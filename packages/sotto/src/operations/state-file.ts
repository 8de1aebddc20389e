/**
 * A small text file that a program keeps for its next run. It is replaced whole: whoever reads it, also after a crash or a
 * power cut, finds the old text or the new one. Nothing is ever changed in place.
 */
import { readFileSync } from "node:fs";
import { open, realpath, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DnsError } from "@sotto/dns/runtime";

export class StateFile {
  readonly path: string;
  readonly #isReadOnly: boolean;
  /** Writers wait for each other; only the newest text that waits is written. */
  #writing: Promise<void> = Promise.resolve();
  #newest = 0;

  /** One that is read only belongs to another writer: replacing it does nothing. */
  constructor(path: string, isReadOnly = false) {
    this.path = path;
    this.#isReadOnly = isReadOnly;
  }

  /** The text; undefined when there is no such file yet. Throws ERR_CONFIG when there is one that cannot be read. */
  read(): string | undefined {
    try {
      return readFileSync(this.path, "utf8");
    } catch (cause) {
      if (isMissing(cause)) return undefined;
      throw new DnsError("ERR_CONFIG", `${this.path} cannot be read: ${textOf(cause)}`, { cause });
    }
  }

  /** Replaces the text; rejects with ERR_SYSTEM when that cannot be done, and the file is as it was. */
  replace(text: string): Promise<void> {
    if (this.#isReadOnly) return Promise.resolve();
    const number = ++this.#newest;
    const written = this.#writing.then(() => (number === this.#newest ? this.#write(text) : undefined));
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #write(text: string): Promise<void> {
    // The file behind a link is replaced, not the link.
    const path = await realpath(this.path).catch(() => this.path);
    const folder = dirname(path);
    const temporary = join(folder, `.${basename(path)}.new`);
    try {
      // Left by a run that was killed; `wx` then makes sure that the file is ours.
      await rm(temporary, { force: true });
      await writeThrough(temporary, text);
      await rename(temporary, path);
      await syncFolder(folder);
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw new DnsError("ERR_SYSTEM", `${this.path} cannot be written: ${textOf(cause)}`, { cause });
    }
  }
}

/** On the disk when the promise settles. */
async function writeThrough(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o644);
  try {
    await file.writeFile(text, "utf8");
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The new name is on the disk too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isMissing(cause: unknown): boolean {
  return typeof cause === "object" && cause !== null && "code" in cause && cause.code === "ENOENT";
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
