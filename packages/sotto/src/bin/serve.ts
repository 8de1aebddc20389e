/** `sotto serve`: the resolver as a daemon. */
import { parseArgs } from "node:util";
import { type LoadedConfig, loadConfig, loadConfigFile } from "../config/index.ts";
import { ExitCode, type ProgramIo } from "../operations/index.ts";
import { runResolver } from "./resolver-daemon.ts";

/** Runs until a signal ends it. */
export async function runServe(args: readonly string[], io: ProgramIo): Promise<number> {
  const file = readConfigArgument(args);
  if (file === undefined) {
    io.stderr.write("usage: sotto serve [--config FILE]\n");
    return ExitCode.Usage;
  }
  const load = (): LoadedConfig => (file === "" ? loadConfig("", "(defaults)") : loadConfigFile(file));
  return runResolver({ program: "sotto serve", load }, io);
}

/** The file, empty for none; undefined when the arguments are wrong. */
function readConfigArgument(args: readonly string[]): string | undefined {
  try {
    const { values } = parseArgs({ args: [...args], options: { config: { type: "string", short: "c" } } });
    return values.config ?? "";
  } catch {
    return undefined;
  }
}
