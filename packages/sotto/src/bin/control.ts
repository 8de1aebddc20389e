/** `sotto control`: commands to a running resolver over its control socket. */
import { readFileSync, writeFileSync } from "node:fs";
import { loadConfigFile, problemToText } from "../config/index.ts";
import { ExitCode, type ProgramIo } from "../operations/index.ts";
import { askControl } from "./control-client.ts";

const HELP = `sotto control [--socket PATH | --config FILE] [--json] COMMAND

  status                what is counted
  flush NAME [TYPE]     forget a name, or one type of it
  flush --zone NAME     forget everything at and below a name
  flush --all           forget everything
  dump [FILE]           the record sets as lines of a master file
  load FILE             take over such lines; they are validated before anybody gets them
  lookup NAME           who is asked for a name, and what is known of it
  trust                 trust anchors
  upstreams             state, protection and failures of the servers of forward zones
  portal                captive portals of a stub; sotto stub portal opens and closes them
  reload | stop         read the configuration again; finish and end
`;

const COMMANDS: ReadonlySet<string> = new Set([
  "status",
  "flush",
  "dump",
  "load",
  "lookup",
  "trust",
  "upstreams",
  "portal",
  "reload",
  "stop",
]);

interface Arguments {
  readonly socket: string;
  readonly words: readonly string[];
  readonly isJson: boolean;
}

export async function runControl(args: readonly string[], io: ProgramIo): Promise<number> {
  const read = readArguments(args, io);
  if (typeof read === "number") return read;
  const { socket, words, isJson } = read;
  const [command = "", file] = words;
  if (!COMMANDS.has(command)) {
    io.stderr.write(HELP);
    return ExitCode.Usage;
  }
  try {
    const sent = command === "load" && file !== undefined ? ["load", readFileSync(file, "utf8")] : words;
    const output = command === "dump" && file !== undefined && file !== "-" ? file : undefined;
    const pieces: string[] = [];
    const take = (text: string): void =>
      void (output === undefined ? io.stdout.write(text) : pieces.push(text));
    const result = await askControl(socket, command === "dump" ? ["dump"] : sent, take);
    if (output !== undefined) writeFileSync(output, pieces.join(""));
    if (isJson) io.stdout.write(`${JSON.stringify(result)}\n`);
    else if (command !== "dump" || output !== undefined) io.stdout.write(asText(result));
    return ExitCode.Ok;
  } catch (error) {
    io.stderr.write(`sotto control ${command}: ${error instanceof Error ? error.message : String(error)}\n`);
    return ExitCode.Failed;
  }
}

function readArguments(args: readonly string[], io: ProgramIo): Arguments | number {
  const options: Record<string, string> = {};
  const words: string[] = [];
  let isJson = false;
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? "";
    if (word === "--help" || word === "-h") {
      io.stdout.write(HELP);
      return ExitCode.Ok;
    }
    if (word === "--json") isJson = true;
    else if (word === "--socket" || word === "--config" || word === "-c") options[word] = args[++i] ?? "";
    else words.push(word);
  }
  const socket = options["--socket"] ?? socketOf(options["--config"] ?? options["-c"], io);
  return socket === undefined ? ExitCode.Usage : { socket, words, isJson };
}

/** The socket that a configuration names. */
function socketOf(file: string | undefined, io: ProgramIo): string | undefined {
  if (file === undefined) {
    io.stderr.write(
      "sotto control: say where the resolver listens: --socket PATH, or --config FILE with control.socket\n",
    );
    return undefined;
  }
  const loaded = loadConfigFile(file, "either");
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.stderr.write(`${problemToText(problem)}\n`);
    return undefined;
  }
  if (loaded.config.controlSocket === undefined)
    io.stderr.write(`sotto control: ${file} has no control.socket; add one and reload the resolver\n`);
  return loaded.config.controlSocket;
}

/** Nested values as lines of `path: value`. */
function asText(value: unknown, path = ""): string {
  if (Array.isArray(value) && value.every((one) => typeof one === "string"))
    return value.map((one) => `${one.trimEnd()}\n`).join("");
  if (typeof value !== "object" || value === null) return `${path.padEnd(40)} ${String(value)}\n`;
  return Object.entries(value)
    .map(([key, inner]) => asText(inner, path === "" ? key : `${path}.${key}`))
    .join("");
}
