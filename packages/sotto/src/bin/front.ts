/** `sotto front`: the DNS-aware front end before other people's resolvers. */
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import type { Runtime } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import {
  checkFrontSets,
  frontCommands,
  type SteeredFront,
  startFront,
  startFrontWorkers,
} from "../compose/index.ts";
import {
  effectiveSettings,
  frontReference,
  frontSchema,
  type LoadedFront,
  loadFrontFile,
  problemToText,
} from "../config/index.ts";
import { ExitCode, type InheritedSocket, type ProgramIo } from "../operations/index.ts";
import { runFrontBans, runFrontExplain, runFrontStatus } from "../tools/front/index.ts";
import { withControl } from "./control-client.ts";
import { type DaemonServer, listenersOf, runDaemon } from "./daemon.ts";
import { frontStatusLine } from "./status-line.ts";
import { workerOptions } from "./workers.ts";

const HELP = `sotto front: DNS over UDP, TCP, TLS and HTTPS before other resolvers

  sotto front --config FILE [--socket PATH]
                        run
  sotto front check FILE
                        check the file and the sets that it names
  sotto front show --config FILE
                        what the file means, with all defaults
  sotto front show --reference | --schema
                        the settings as Markdown or JSON Schema
  sotto front status [--config FILE | --socket PATH] [--json] [--watch]
                        backends, rules and answers of the running front end
  sotto front explain --config FILE NAME [TYPE] [--client ADDRESS] [--transport udp|tcp|tls|https] [--listener NAME]
                      [--tls-version TLSv1.2|TLSv1.3] [--alpn PROTOCOL] [--at YYYYMMDDHHMMSS] [--json] [+dnssec] [+cd] [+ad]
                      [+nord] [+noedns] [+bufsize=OCTETS] [+ednsopt=CODE:HEX] [+subnet=PREFIX]
                        which rule would match this query, and why the others do not
  sotto front drain POOL BACKEND | resume POOL BACKEND [--config FILE | --socket PATH]
                        take a backend out of use, and back
  sotto front bans [--config FILE | --socket PATH] [--json]
                        clients that get nothing now, for how long, and how often in a row
  sotto front unban PREFIX | ADDRESS [--config FILE | --socket PATH]
                        lift a ban
  sotto front flush NAME | --zone NAME | --all [--config FILE | --socket PATH]
                        forget answers: at a name, at and below it, or all
  sotto front reload [--config FILE | --socket PATH]
                        take the changed file, and tell what changed or why not
`;

type Loaded = LoadedFront & { readonly ok: true };

export function runFront(args: readonly string[], io: ProgramIo): Promise<number> {
  const read = readArguments(args);
  if (read === undefined || read.help) {
    (read === undefined ? io.stderr : io.stdout).write(HELP);
    return Promise.resolve(read === undefined ? ExitCode.Usage : ExitCode.Ok);
  }
  const { command, words, config } = read;
  switch (command) {
    case "check":
      return withFile(words[0] ?? config, io, (loaded) => check(words[0] ?? config ?? "", loaded, io));
    case "show":
      if (read.reference || read.schema) {
        io.stdout.write(read.schema ? `${JSON.stringify(frontSchema(), null, 2)}\n` : frontReference());
        return Promise.resolve(ExitCode.Ok);
      }
      return withFile(config, io, ({ settings }) => {
        io.stdout.write(effectiveSettings(settings));
        return ExitCode.Ok;
      });
    case "explain":
      return withFile(config, io, (loaded) => runFrontExplain(loaded.config, read, nodeRuntime(), io));
    case "status":
      return withSocket(read, io, (ask) => runFrontStatus(ask, read, nodeRuntime().clock, io));
    case "bans":
      return withSocket(read, io, (ask) => runFrontBans(ask, read, io));
    case "drain":
    case "resume":
    case "unban":
    case "reload":
      return withSocket(read, io, (ask) => steer(ask, [command, ...words], io));
    case "flush":
      return withSocket(read, io, (ask) => steer(ask, ["flush", ...flushed(read)], io));
    case undefined:
      return config === undefined ? usage(io) : serve(config, read.socket, io);
    default:
      return usage(io);
  }
}

async function check(file: string, { config }: Loaded, io: ProgramIo): Promise<number> {
  const { problems, warnings } = await checkFrontSets(config, nodeRuntime());
  for (const warning of warnings) io.stderr.write(`${warning} (warning)\n`);
  for (const problem of problems) io.stderr.write(`${problem}\n`);
  if (problems.length > 0) return ExitCode.Failed;
  io.stdout.write(`${file}: ok\n`);
  return ExitCode.Ok;
}

function usage(io: ProgramIo): Promise<number> {
  io.stderr.write(HELP);
  return Promise.resolve(ExitCode.Usage);
}

function serve(file: string, controlSocket: string | undefined, io: ProgramIo): Promise<number> {
  setFlagsFromString(SHORT_LIVED_STAYS_YOUNG);
  return runDaemon<Loaded, DaemonServer<Loaded> & { readonly front: SteeredFront }>(
    {
      program: "sotto front",
      load: () => loadFrontFile(file),
      controlSocket,
      needsAuthorities: ({ config }) =>
        config.pools.some(({ backends }) => backends.some(({ address }) => address.transport === "tls")),
      start: async (loaded, runtime, sockets) => asServer(await startServer(loaded, runtime, sockets)),
      commands: ({ front }, { reload, stop }) =>
        frontCommands(front, { listeners: () => listenersOf(front), reload, stop }),
      statusLine: ({ front }) => frontStatusLine(front),
    },
    io,
  );
}

/** In this thread, or in as many as are configured. */
async function startServer(
  { config, source }: Loaded,
  runtime: Runtime,
  sockets: readonly InheritedSocket[],
): Promise<SteeredFront> {
  const options = await workerOptions(config, sockets);
  return options === undefined
    ? startFront(config, runtime, { sockets })
    : startFrontWorkers(config, source, options, runtime);
}

function asServer(front: SteeredFront): DaemonServer<Loaded> & { readonly front: SteeredFront } {
  return {
    front,
    get listeners() {
      return front.listeners;
    },
    get status() {
      return front.status;
    },
    get workers() {
      return front.workers;
    },
    reload: ({ config, source }) => front.reload(config, source),
    drain: () => front.drain(),
    close: () => front.close(),
    ...(front.failed === undefined ? {} : { failed: front.failed }),
  };
}

/**
 * V8 makes objects old from the start where most that it saw at one place survived a scavenge. With a thousand queries under way a scavenge
 * comes while they wait, all survive, and from then on each query is garbage that only a full collection finds, with all that it
 * points to: half of what the JavaScript of a query costs. Nothing of a query lives for long.
 */
const SHORT_LIVED_STAYS_YOUNG = "--no-allocation-site-pretenuring";

/** Reads the file; what is wrong with it is told, and so is what is worth knowing. */
function withFile(
  file: string | undefined,
  io: ProgramIo,
  run: (loaded: Loaded) => number | Promise<number>,
): Promise<number> {
  if (file === undefined) return usage(io);
  const loaded = loadFrontFile(file);
  for (const problem of loaded.ok ? loaded.warnings : loaded.problems)
    io.stderr.write(`${problemToText(problem)}${loaded.ok ? " (warning)" : ""}\n`);
  return Promise.resolve(loaded.ok ? run(loaded) : ExitCode.Failed);
}

/** As the control channel has it. */
function flushed({ words, zone, all }: Arguments): readonly string[] {
  if (all) return ["--all"];
  return zone === undefined ? words : ["--zone", zone];
}

function withSocket(
  { command, socket, config }: Arguments,
  io: ProgramIo,
  run: (ask: (words: readonly string[]) => Promise<unknown>) => Promise<number>,
): Promise<number> {
  const load = config === undefined ? undefined : () => loadFrontFile(config);
  return withControl({ command: `sotto front ${command}`, who: "the front end", socket, load }, io, run);
}

async function steer(
  ask: (words: readonly string[]) => Promise<unknown>,
  words: readonly string[],
  io: ProgramIo,
): Promise<number> {
  try {
    io.stdout.write(`${JSON.stringify(await ask(words))}\n`);
    return ExitCode.Ok;
  } catch (error) {
    io.stderr.write(`sotto front ${words[0]}: ${error instanceof Error ? error.message : String(error)}\n`);
    return ExitCode.Failed;
  }
}

interface Arguments {
  readonly command: string | undefined;
  readonly words: readonly string[];
  readonly config: string | undefined;
  readonly socket: string | undefined;
  readonly client: string | undefined;
  readonly transport: string | undefined;
  readonly listener: string | undefined;
  readonly zone: string | undefined;
  readonly all: boolean;
  readonly tlsVersion: string | undefined;
  readonly alpn: string | undefined;
  readonly at: string | undefined;
  readonly reference: boolean;
  readonly schema: boolean;
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
        client: { type: "string" },
        transport: { type: "string" },
        listener: { type: "string" },
        zone: { type: "string" },
        all: { type: "boolean" },
        "tls-version": { type: "string" },
        alpn: { type: "string" },
        at: { type: "string" },
        reference: { type: "boolean" },
        schema: { type: "boolean" },
        json: { type: "boolean" },
        watch: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    const [command, ...words] = positionals;
    const { config, socket, client, transport, listener, zone, alpn, at } = values;
    const { reference = false, schema = false, json = false, watch = false, help = false } = values;
    const texts = {
      config,
      socket,
      client,
      transport,
      listener,
      zone,
      alpn,
      at,
      tlsVersion: values["tls-version"],
    };
    return { command, words, ...texts, all: values.all === true, reference, schema, json, watch, help };
  } catch {
    return undefined;
  }
}
