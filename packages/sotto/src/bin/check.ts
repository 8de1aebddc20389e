/** `sotto check FILE`: everything that is wrong with a configuration file of a resolver or a stub, or that it is fine. */
import { loadConfigFile, problemToText } from "../config/index.ts";
import { ExitCode, type ProgramIo } from "../operations/index.ts";

/** Prints one line per problem; exit code 2 when there is one. */
export function runCheck(args: readonly string[], io: ProgramIo): Promise<number> {
  const [file, ...others] = args;
  if (file === undefined || others.length > 0) {
    io.stderr.write("usage: sotto check FILE\n");
    return Promise.resolve(ExitCode.Usage);
  }
  const loaded = loadConfigFile(file, "either");
  if (loaded.ok) {
    for (const warning of loaded.warnings) io.stderr.write(`${problemToText(warning)} (warning)\n`);
    io.stdout.write(`${file}: ok\n`);
    return Promise.resolve(ExitCode.Ok);
  }
  for (const problem of loaded.problems) io.stderr.write(`${problemToText(problem)}\n`);
  return Promise.resolve(ExitCode.Failed);
}
