/** `sotto show`: the configuration in force, or what can be configured. */
import { parseArgs } from "node:util";
import {
  effectiveSettings,
  loadConfig,
  loadConfigFile,
  problemToText,
  settingsReference,
  settingsSchema,
} from "../config/index.ts";
import { ExitCode, type ProgramIo } from "../operations/index.ts";

const USAGE = "usage: sotto show --effective [--config FILE] | --reference | --schema\n";

/** Prints YAML, Markdown or JSON Schema to standard output. */
export function runShow(args: readonly string[], io: ProgramIo): Promise<number> {
  return Promise.resolve(show(args, io));
}

function show(args: readonly string[], io: ProgramIo): number {
  const options = readArguments(args);
  if (options === undefined) {
    io.stderr.write(USAGE);
    return ExitCode.Usage;
  }
  if (options.reference === true) io.stdout.write(settingsReference());
  else if (options.schema === true) io.stdout.write(`${JSON.stringify(settingsSchema(), null, 2)}\n`);
  else {
    const loaded =
      options.config === undefined ? loadConfig("", "(defaults)") : loadConfigFile(options.config, "either");
    if (!loaded.ok) {
      for (const problem of loaded.problems) io.stderr.write(`${problemToText(problem)}\n`);
      return ExitCode.Failed;
    }
    for (const warning of loaded.warnings) io.stderr.write(`${problemToText(warning)} (warning)\n`);
    io.stdout.write(effectiveSettings(loaded.settings));
  }
  return ExitCode.Ok;
}

interface ShowOptions {
  readonly config?: string | undefined;
  readonly reference?: boolean | undefined;
  readonly schema?: boolean | undefined;
}

/** Undefined unless exactly one thing is asked for. */
function readArguments(args: readonly string[]): ShowOptions | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        effective: { type: "boolean" },
        reference: { type: "boolean" },
        schema: { type: "boolean" },
        config: { type: "string" },
      },
    });
    const asked = [values.effective, values.reference, values.schema].filter((value) => value === true);
    return asked.length === 1 ? values : undefined;
  } catch {
    return undefined;
  }
}
