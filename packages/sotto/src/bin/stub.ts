/**
 * `sotto stub`: the local resolver that asks others, by a usage profile. Reads sotto's settings with a `stub` section, or
 * Stubby's `stubby.yml` as it is.
 */
import { parseArgs } from "node:util";
import { effectiveSettings, type LoadedConfig, loadConfigFile, problemToText } from "../config/index.ts";
import { ExitCode, type ProgramIo } from "../operations/index.ts";
import { runStubSetup } from "../tools/setup/index.ts";
import { runStubStatus } from "../tools/stub/index.ts";
import { askControl } from "./control-client.ts";
import { runDaemon } from "./daemon.ts";

const HELP = `sotto stub: a local resolver that asks others, encrypted

  sotto stub --config FILE [--socket PATH]
                        run; FILE is sotto's own, or stubby.yml unchanged
  sotto stub show --config FILE
                        what the file means, with all defaults
  sotto stub status [--config FILE | --socket PATH] [--json]
                        state of the upstreams
  sotto stub setup [systemd-resolved|networkmanager|resolv.conf|macos] [--config FILE]
                   [--address ADDRESS] [--port PORT] [--json]
                        how to make this machine ask the stub, and how to undo it; only prints
`;

/** Runs a command of the stub; without one, the stub itself. */
export function runStub(args: readonly string[], io: ProgramIo): Promise<number> {
  const read = readArguments(args);
  if (read === undefined || read.help) {
    (read === undefined ? io.stderr : io.stdout).write(HELP);
    return Promise.resolve(read === undefined ? ExitCode.Usage : ExitCode.Ok);
  }
  const { command, config, socket, json } = read;
  if (command === "status") return status(config, socket, json, io);
  if (command === "setup") return Promise.resolve(runStubSetup(read, io));
  if (config === undefined || (command !== undefined && command !== "show")) {
    io.stderr.write(HELP);
    return Promise.resolve(ExitCode.Usage);
  }
  const load = (): LoadedConfig => loadConfigFile(config, "stub");
  if (command === "show") return Promise.resolve(show(load(), io));
  return runDaemon({ program: "sotto stub", load, controlSocket: socket }, io);
}

function show(loaded: LoadedConfig, io: ProgramIo): number {
  const told = loaded.ok ? loaded.warnings : loaded.problems;
  for (const problem of told) io.stderr.write(`${problemToText(problem)}\n`);
  if (!loaded.ok) return ExitCode.Failed;
  io.stdout.write(effectiveSettings(loaded.settings));
  return ExitCode.Ok;
}

async function status(
  config: string | undefined,
  given: string | undefined,
  json: boolean,
  io: ProgramIo,
): Promise<number> {
  const socket = given ?? (config === undefined ? undefined : socketOf(config));
  if (socket === undefined) {
    io.stderr.write(
      "sotto stub status: say where the stub listens: --socket PATH as it was started, or --config FILE with control.socket\n",
    );
    return ExitCode.Usage;
  }
  return runStubStatus((words) => askControl(socket, words), json, io);
}

function socketOf(config: string): string | undefined {
  const loaded = loadConfigFile(config, "stub");
  return loaded.ok ? loaded.config.controlSocket : undefined;
}

interface Arguments {
  readonly command: string | undefined;
  readonly system: string | undefined;
  readonly address: string | undefined;
  readonly port: string | undefined;
  readonly config: string | undefined;
  readonly socket: string | undefined;
  readonly json: boolean;
  readonly help: boolean;
}

/** Undefined when they make no sense. */
function readArguments(args: readonly string[]): Arguments | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: "string", short: "c" },
        socket: { type: "string" },
        address: { type: "string" },
        port: { type: "string" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    const [command, system] = positionals;
    if (positionals.length > (command === "setup" ? 2 : 1)) return undefined;
    const { config, socket, address, port, json = false, help = false } = values;
    return { command, system, address, port, config, socket, json, help };
  } catch {
    return undefined;
  }
}
