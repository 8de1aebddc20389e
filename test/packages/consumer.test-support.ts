/** The folder where the packages are installed from their tarballs, and programs that run there. */
import { type ExecFileException, execFile } from "node:child_process";

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run npm run check:packages`);
  return value;
}

/** Outside this tree, so that nothing is found that a user would not have. */
export const CONSUMER: string = given("SOTTO_CONSUMER");
/** The library with its optional peer. */
export const CONSUMER_WITH_KOFFI: string = given("SOTTO_CONSUMER_KOFFI");
export const TARBALLS: Readonly<Record<"dns" | "sotto", string>> = {
  dns: given("SOTTO_TARBALL_DNS"),
  sotto: given("SOTTO_TARBALL"),
};

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in the consumer's folder to its end. */
export function runThere(command: string, args: readonly string[], cwd = CONSUMER): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd, timeout: 120_000 };
    execFile(command, [...args], options, (error: ExecFileException | null, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
  });
}

/** Runs this Node with a program as text. */
export function runText(kind: "module" | "commonjs", text: string, cwd = CONSUMER): Promise<Ended> {
  return runThere(process.execPath, [`--input-type=${kind}`, "--eval", text], cwd);
}
