/** The file of `--key-log`: secrets of our own TLS connections (RFC 9850), for whoever reads a capture of them. */
import { closeSync, fchmodSync, fstatSync, openSync, writeSync } from "node:fs";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";

/** Whoever reads the file reads the connections. */
const OWNER_ONLY = 0o600;

export class KeyLogFile {
  readonly #file: string;
  readonly #descriptor: number;
  /** Why lines are missing; undefined: none is. */
  problem: string | undefined;

  private constructor(file: string, descriptor: number) {
    this.#file = file;
    this.#descriptor = descriptor;
  }

  /** Opens the file for its owner only and writes behind what is there, as other programs do with their key logs. */
  static open(file: string): Parsed<KeyLogFile> {
    let descriptor: number | undefined;
    try {
      descriptor = openSync(file, "a", OWNER_ONLY);
      // The mode above is for a new file; one that was there may be open to others. Devices and pipes are the system's.
      if (fstatSync(descriptor).isFile()) fchmodSync(descriptor, OWNER_ONLY);
      return parsed(new KeyLogFile(file, descriptor));
    } catch (error) {
      if (descriptor !== undefined) closeSync(descriptor);
      return problem(`cannot write ${file}: ${textOf(error)}`);
    }
  }

  /** Writes one line. Never throws: a full disk is no reason to end a probe. */
  write(line: string): void {
    if (this.problem !== undefined) return;
    try {
      writeSync(this.#descriptor, `${line}\n`);
    } catch (error) {
      this.problem = `cannot write all of ${this.#file}: ${textOf(error)}`;
    }
  }

  /** Called once, at the end. */
  close(): void {
    closeSync(this.#descriptor);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
