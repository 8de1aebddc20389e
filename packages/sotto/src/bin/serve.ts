/** `sotto serve`: the resolver as a daemon. SIGHUP reloads the configuration, SIGUSR2 tells all counters, SIGTERM and SIGINT drain and end. */
import { parseArgs } from "node:util";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { type RunningServer, startRecursor } from "../compose/index.ts";
import { type LoadedConfig, loadConfig, loadConfigFile, problemToText } from "../config/index.ts";
import { ExitCode, type Log, openLog, type ProgramIo } from "../operations/index.ts";

/** Runs until a signal ends it. Start-up problems are fatal and complete; reload problems leave all as it was. */
export async function runServe(args: readonly string[], io: ProgramIo): Promise<number> {
  const file = readConfigArgument(args);
  if (file === undefined) {
    io.stderr.write("usage: sotto serve [--config FILE]\n");
    return ExitCode.Usage;
  }
  const load = (): LoadedConfig => (file === "" ? loadConfig("", "(defaults)") : loadConfigFile(file));
  const loaded = load();
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.stderr.write(`${problemToText(problem)}\n`);
    return ExitCode.Failed;
  }
  const clock = nodeRuntime().clock;
  const log = openLog({ ...loaded.config.log, stream: io.stderr }, clock);
  const runtime = nodeRuntime(log.events);
  let server: RunningServer;
  try {
    server = await startRecursor(loaded.config, runtime);
  } catch (error) {
    io.stderr.write(`sotto serve: ${error instanceof Error ? error.message : String(error)}\n`);
    return ExitCode.Failed;
  }
  const ended = untilEnd(io, log, server, load);
  // Only now: whoever reads "ready" may send a signal at once.
  announce(server, log);
  await ended;
  return ExitCode.Ok;
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

function announce(server: RunningServer, log: Log): void {
  for (const listener of server.listeners) {
    log.logger.info(
      {
        transport: listener.transport,
        ...listener.local,
        ...(listener.pin === undefined ? {} : { pin: `sha256:${listener.pin}` }),
        ...(listener.fastOpen === undefined ? {} : { fastOpen: listener.fastOpen }),
      },
      "listening",
    );
  }
  log.logger.info({}, "ready");
}

/** Handles signals one after another; resolves when the server has drained. A second ending signal ends at once. */
function untilEnd(io: ProgramIo, log: Log, server: RunningServer, load: () => LoadedConfig): Promise<void> {
  return new Promise((resolve) => {
    let isEnding = false;
    let reloading = Promise.resolve();
    const stop = io.onSignal(["SIGHUP", "SIGTERM", "SIGINT", "SIGUSR2"], (signal) => {
      if (signal === "SIGUSR2") {
        tellStatus(server, log);
        return;
      }
      if (signal === "SIGHUP") {
        reloading = reloading.then(() => reload(log, server, load));
        return;
      }
      const finished = isEnding ? server.close() : reloading.then(() => server.drain());
      if (!isEnding) log.logger.info({ signal }, "draining");
      isEnding = true;
      void finished
        .catch((error: unknown) => log.logger.error({ error: String(error) }, "drain failed"))
        .then(() => {
          stop();
          log.logger.info({}, "ended");
          resolve();
        });
    });
  });
}

/** Everything that is counted, in one line. */
function tellStatus(server: RunningServer, log: Log): void {
  const listeners = server.listeners.map(({ transport, local, fastOpen, counters }) => ({
    transport,
    ...local,
    fastOpen,
    counters,
  }));
  log.logger.info({ ...server.status, listeners }, "status");
}

async function reload(log: Log, server: RunningServer, load: () => LoadedConfig): Promise<void> {
  const loaded = load();
  if (!loaded.ok) {
    for (const problem of loaded.problems) log.logger.error({}, `reload refused: ${problemToText(problem)}`);
    return;
  }
  try {
    const changes = await server.reload(loaded.config);
    log.logger.info({ changes }, "reloaded");
    announce(server, log);
  } catch (error) {
    log.logger.error(
      { error: error instanceof Error ? error.message : String(error) },
      "reload refused, the old configuration stays",
    );
  }
}
