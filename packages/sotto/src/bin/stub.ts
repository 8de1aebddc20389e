/**
 * `sotto stub`: the local resolver that asks others, by a usage profile. Reads sotto's settings with a `stub` section, or
 * Stubby's `stubby.yml` as it is.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { effectiveSettings, type LoadedConfig, loadConfigFile, problemToText } from "../config/index.ts";
import { ExitCode, type ProgramIo } from "../operations/index.ts";
import { runStubSetup } from "../tools/setup/index.ts";
import { runStubPortal, runStubStatus } from "../tools/stub/index.ts";
import { withControl } from "./control-client.ts";
import { runResolver } from "./resolver-daemon.ts";

const HELP = `sotto stub: a local resolver that asks others, encrypted

  sotto stub --config FILE [--socket PATH]
                        run; FILE is sotto's own, or stubby.yml unchanged
  sotto stub show --config FILE
                        what the file means, with all defaults
  sotto stub status [--config FILE | --socket PATH] [--json] [--watch]
                        state of the upstreams; --watch goes on until interrupted
  sotto stub portal [open --names NAME[,NAME…] --server ADDRESS[@PORT]|system [--for 5m] | close]
                    [--config FILE | --socket PATH] [--json]
                        captive portals: for some minutes these names, and nothing else, are asked in clear
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
  const { command, action, config, socket } = read;
  if (command === "status" && action === undefined)
    return withSocket(read, io, (ask) => runStubStatus(ask, read, nodeRuntime().clock, io));
  if (command === "portal" && (action === undefined || action === "open" || action === "close"))
    return withSocket(read, io, (ask) => runStubPortal({ ...read, action }, { ask, readText }, io));
  if (command === "setup") return Promise.resolve(runStubSetup({ ...read, system: action }, io));
  if (config === undefined || action !== undefined || (command !== undefined && command !== "show")) {
    io.stderr.write(HELP);
    return Promise.resolve(ExitCode.Usage);
  }
  const load = (): LoadedConfig => loadConfigFile(config, "stub");
  if (command === "show") return Promise.resolve(show(load(), io));
  return runResolver({ program: "sotto stub", load, controlSocket: socket }, io);
}

function show(loaded: LoadedConfig, io: ProgramIo): number {
  const told = loaded.ok ? loaded.warnings : loaded.problems;
  for (const problem of told) io.stderr.write(`${problemToText(problem)}${loaded.ok ? " (warning)" : ""}\n`);
  if (!loaded.ok) return ExitCode.Failed;
  io.stdout.write(effectiveSettings(loaded.settings));
  return ExitCode.Ok;
}

function withSocket(
  { command, socket, config }: Arguments,
  io: ProgramIo,
  run: (ask: (words: readonly string[]) => Promise<unknown>) => Promise<number>,
): Promise<number> {
  const load = config === undefined ? undefined : () => loadConfigFile(config, "stub");
  return withControl({ command: `sotto stub ${command}`, who: "the stub", socket, load }, io, run);
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // Who does DHCP here writes elsewhere.
    return undefined;
  }
}

interface Arguments {
  readonly command: string | undefined;
  /** What `portal` should do, or what `setup` is for. */
  readonly action: string | undefined;
  readonly address: string | undefined;
  readonly port: string | undefined;
  readonly config: string | undefined;
  readonly socket: string | undefined;
  readonly names: string | undefined;
  readonly server: string | undefined;
  readonly forText: string | undefined;
  readonly json: boolean;
  readonly watch: boolean;
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
        names: { type: "string" },
        server: { type: "string" },
        for: { type: "string" },
        address: { type: "string" },
        port: { type: "string" },
        json: { type: "boolean" },
        watch: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    const [command, action, ...more] = positionals;
    if (more.length > 0) return undefined;
    const { for: forText, json = false, watch = false, help = false, ...texts } = values;
    const { config, socket, names, server, address, port } = texts;
    return { command, action, config, socket, names, server, address, port, forText, json, watch, help };
  } catch {
    return undefined;
  }
}
