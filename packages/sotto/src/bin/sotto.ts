/** The program `sotto`: the first argument names the command, the command's function does the rest. */
import { ExitCode, type ProgramIo } from "../operations/index.ts";

const HELP = `sotto: DNS over UDP, TCP and TLS

  sotto serve [--config FILE]       resolve for clients over UDP, TCP and TLS
  sotto stub --config FILE          a local resolver that asks others, encrypted (sotto stub --help)
  sotto front --config FILE         DNS over UDP, TCP, TLS and HTTPS before other resolvers (sotto front --help)
  sotto check FILE                  check a configuration file
  sotto show --effective [--config FILE]
                                    print the configuration with all defaults
  sotto show --reference | --schema print the settings as Markdown or JSON Schema
  sotto control COMMAND             look into and steer a running resolver (sotto control --help)
  sotto query …                     ask like dig and kdig (sotto query --help)
  sotto probe …                     what a server, a client or a path really does (sotto probe --help)
  sotto playground [--once] [--expose]
                                    a whole internet on this machine, to try things on
  sotto testserver [--list]         servers for tests of clients, right and wrong in every way
  sotto --version | --help
`;

type Command = (args: readonly string[], io: ProgramIo) => Promise<number>;

/** Loaded late: asking for help or a query must not load the server. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import("./serve.ts")).runServe,
  stub: async () => (await import("./stub.ts")).runStub,
  front: async () => (await import("./front.ts")).runFront,
  check: async () => (await import("./check.ts")).runCheck,
  show: async () => (await import("./show.ts")).runShow,
  control: async () => (await import("./control.ts")).runControl,
  query: async () => (await import("../tools/query/index.ts")).runQuery,
  probe: async () => (await import("./probe.ts")).runProbe,
  playground: async () => (await import("../playground/index.ts")).runPlayground,
  testserver: async () => (await import("../testserver/index.ts")).runTestServer,
};

async function run(argv: readonly string[], io: ProgramIo): Promise<number> {
  const [name = "--help", ...args] = argv;
  if (name === "--help" || name === "-h" || name === "help") {
    io.stdout.write(HELP);
    return ExitCode.Ok;
  }
  if (name === "--version" || name === "-V") {
    const { default: manifest } = await import("../../package.json", { with: { type: "json" } });
    io.stdout.write(`sotto ${manifest.version}\n`);
    return ExitCode.Ok;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    io.stderr.write(`sotto: ${JSON.stringify(name)} is not a command, see sotto --help\n`);
    return ExitCode.Usage;
  }
  const command = await load();
  return command(args, io);
}

const io: ProgramIo = {
  process: { environment: process.env, pid: process.pid },
  stdout: process.stdout,
  stderr: process.stderr,
  onSignal(signals, heard) {
    for (const signal of signals) process.on(signal, heard);
    return () => {
      for (const signal of signals) process.off(signal, heard);
    };
  },
};

// A reader that went away (`sotto query … | head -1`) is not an error worth a word.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(ExitCode.Ok);
  throw error;
});

try {
  process.exitCode = await run(process.argv.slice(2), io);
} catch (error) {
  const detail =
    process.env["SOTTO_STACK"] === undefined ? "" : `\n${error instanceof Error ? error.stack : ""}`;
  io.stderr.write(`sotto: ${error instanceof Error ? error.message : String(error)}${detail}\n`);
  process.exitCode = ExitCode.Internal;
}
