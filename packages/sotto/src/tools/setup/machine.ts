/** What setup may look at: the files of a machine, and of which kind it is. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface Machine {
  /** As `process.platform`. */
  readonly platform: string;
  /** Text of a file; undefined when there is none or it may not be read. */
  read(path: string): string | undefined;
  /** Target of a symbolic link; undefined when it is none. */
  link(path: string): string | undefined;
  /** Names in a folder, sorted; undefined when there is no such folder. */
  list(path: string): readonly string[] | undefined;
}

/** This one. */
export const thisMachine: Machine = {
  platform: process.platform,
  read: (path) => orUndefined(() => readFileSync(path, "utf8")),
  link: (path) => orUndefined(() => readlinkSync(path)),
  list: (path) => orUndefined(() => readdirSync(path).sort()),
};

/** What cannot be read is as if it were not there: whoever runs setup may be anybody. */
function orUndefined<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
