/**
 * A resolver as a daemon, whatever it resolves by. SIGHUP reloads the configuration, SIGUSR2 tells all counters, SIGTERM and
 * SIGINT drain and end. Under a service manager it takes the sockets that it is passed, and tells how it does.
 */
import { extname } from "node:path";
import { type Clock, DnsError, type Runtime } from "@sotto/dns/runtime";
import { canDuplicateDescriptors, nodeRuntime, sendUnixDatagram } from "@sotto/dns/runtime/node";
import { controlCommands, type SteeredServer, startRecursor, startWorkers } from "../compose/index.ts";
import { type Config, type LoadedConfig, problemToText, WORKERS_AUTO_MAX } from "../config/index.ts";
import {
  ControlServer,
  canSharePorts,
  coreCount,
  ExitCode,
  type InheritedSocket,
  type InheritedSockets,
  type Log,
  mayStartThreads,
  openLog,
  type ProgramIo,
  ServiceNotifier,
  takeInheritedSockets,
  threadsOf,
  trustSystemAuthorities,
} from "../operations/index.ts";
import { openRuntime } from "./engine.ts";
import { statusLine } from "./status-line.ts";

export interface Daemon {
  /** For messages. */
  readonly program: string;
  /** Reads the configuration, at start and at each reload. */
  readonly load: () => LoadedConfig;
  /** Control socket when the configuration names none. */
  readonly controlSocket?: string | undefined;
}

/** Runs until a signal ends it. Start-up problems are fatal and complete; reload problems leave all as it was. */
export async function runDaemon({ program, load, controlSocket }: Daemon, io: ProgramIo): Promise<number> {
  const loaded = load();
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.stderr.write(`${problemToText(problem)}\n`);
    return ExitCode.Failed;
  }
  for (const warning of loaded.warnings) io.stderr.write(`${problemToText(warning)} (warning)\n`);
  const clock = nodeRuntime().clock;
  const log = openLog({ ...loaded.config.log, stream: io.stderr }, clock);
  const runtime = openRuntime(loaded.config.engine, log);
  const notifier = openNotifier(io, log, clock);
  // Others are authenticated by certificates only when queries are forwarded to them.
  if (loaded.config.forwardZones.length > 0)
    log.logger.info({ ...trustSystemAuthorities() }, "authorities for upstreams without their own");
  let server: SteeredServer;
  try {
    server = await startServer(loaded, runtime, takeSockets(io, log).sockets);
  } catch (error) {
    io.stderr.write(`${program}: ${error instanceof Error ? error.message : String(error)}\n`);
    return ExitCode.Failed;
  }
  const steering = new Steering(io, log, notifier, server, load);
  let control: ControlServer | undefined;
  try {
    control = await openControl(controlSocket ?? loaded.config.controlSocket, server, steering);
  } catch (error) {
    io.stderr.write(`${program}: ${error instanceof Error ? error.message : String(error)}\n`);
    await server.close();
    return ExitCode.Failed;
  }
  // Only now: whoever reads "ready" may send a signal at once.
  announce(server, log);
  notifier.ready(statusLine(server));
  notifier.watch(
    () => steering.isEnding || server.listeners.length > 0,
    () => (steering.isEnding ? DRAINING : statusLine(server)),
  );
  const failure = await Promise.race([steering.ended, server.failed ?? steering.ended]);
  if (failure !== undefined) {
    log.logger.error({ problem: failure.message }, "cannot go on");
    await server.close();
  }
  await control?.close();
  await notifier.close();
  return failure === undefined ? ExitCode.Ok : ExitCode.Failed;
}

/** In this thread, or in as many as are configured. */
async function startServer(
  { config, source }: LoadedConfig & { ok: true },
  runtime: Runtime,
  sockets: readonly InheritedSocket[],
): Promise<SteeredServer> {
  const count = await workersFor(config.workers, sockets.length > 0);
  if (count === 1) return startRecursor(config, runtime, { sockets });
  const entry = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
  const { engine } = config;
  const options = { count, sockets, startThread: threadsOf(entry), logLevel: config.log.level, engine };
  return startWorkers(config, source, options, runtime);
}

async function workersFor(setting: Config["workers"], isActivated: boolean): Promise<number> {
  if (setting === 1) return 1;
  const problem = await problemOfThreads(isActivated);
  if (setting === "auto") return problem === undefined ? Math.min(coreCount(), WORKERS_AUTO_MAX) : 1;
  if (problem !== undefined) throw new DnsError("ERR_CONFIG", `workers: ${setting}: ${problem}`);
  return setting;
}

/** Why there can be one worker only. */
async function problemOfThreads(isActivated: boolean): Promise<string | undefined> {
  if (!canSharePorts()) return `on ${process.platform} only one can listen on a port`;
  if (!mayStartThreads()) return "Node was started with --permission and without --allow-worker";
  if (isActivated && !(await canDuplicateDescriptors()))
    return "sockets of the service manager cannot be duplicated for each (Node 26, or the package koffi)";
  return undefined;
}

function openNotifier({ process = NO_PROCESS }: ProgramIo, { events }: Log, clock: Clock): ServiceNotifier {
  return new ServiceNotifier({ ...process, send: sendUnixDatagram }, clock, events);
}

/** Throws when the service manager's variables make no sense. */
function takeSockets({ process = NO_PROCESS }: ProgramIo, { logger }: Log): InheritedSockets {
  const taken = takeInheritedSockets(process.environment, process.pid);
  for (const problem of taken.problems) logger.warn({ problem }, "listener.socket-unused");
  return taken;
}

/** For programs within programs, which no service manager knows. */
const NO_PROCESS: NonNullable<ProgramIo["process"]> = { environment: {}, pid: 0 };
const DRAINING = "draining: no new connections, answering what was asked";

function announce(server: SteeredServer, log: Log): void {
  for (const listener of server.listeners) {
    log.logger.info(
      {
        transport: listener.transport,
        ...listener.local,
        ...(listener.pin === undefined ? {} : { pin: `sha256:${listener.pin}` }),
        ...(listener.fastOpen === undefined ? {} : { fastOpen: listener.fastOpen }),
        ...(listener.inherited === undefined ? {} : { inherited: listener.inherited }),
      },
      "listening",
    );
  }
  const { workers } = server;
  log.logger.info(workers === undefined ? {} : { workers: workers.length }, "ready");
}

/** Signals and commands, one after another. A second ending signal ends at once. */
class Steering {
  readonly #log: Log;
  readonly #notifier: ServiceNotifier;
  readonly #server: SteeredServer;
  readonly #load: () => LoadedConfig;
  readonly #ended = Promise.withResolvers<void>();
  readonly #stopListening: () => void;
  #isEnding = false;
  #reloading: Promise<unknown> = Promise.resolve();

  constructor(
    io: ProgramIo,
    log: Log,
    notifier: ServiceNotifier,
    server: SteeredServer,
    load: () => LoadedConfig,
  ) {
    this.#log = log;
    this.#notifier = notifier;
    this.#server = server;
    this.#load = load;
    this.#stopListening = io.onSignal(["SIGHUP", "SIGTERM", "SIGINT", "SIGUSR2"], (signal) => {
      if (signal === "SIGUSR2") tellStatus(server, log);
      // What is wrong has been logged.
      else if (signal === "SIGHUP") this.reload().catch(() => undefined);
      else this.end(signal);
    });
  }

  /** Settles when the server has drained. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Takes over the configuration; rejects, after saying why, when it cannot. */
  reload(): Promise<readonly string[]> {
    const reloaded = this.#reloading.then(async () => {
      this.#notifier.reloading();
      try {
        return await reload(this.#log, this.#server, this.#load);
      } finally {
        // Also when it was refused: the old configuration serves on.
        if (!this.#isEnding) this.#notifier.ready(statusLine(this.#server));
      }
    });
    this.#reloading = reloaded.catch(() => undefined);
    return reloaded;
  }

  end(signal: string): void {
    const finished = this.#isEnding ? this.#server.close() : this.#reloading.then(() => this.#server.drain());
    if (!this.#isEnding) {
      this.#log.logger.info({ signal }, "draining");
      this.#notifier.stopping(DRAINING);
    }
    this.#isEnding = true;
    void finished
      .catch((error: unknown) => this.#log.logger.error({ error: String(error) }, "drain failed"))
      .then(() => {
        this.#stopListening();
        this.#log.logger.info({}, "ended");
        this.#ended.resolve();
      });
  }
}

async function openControl(
  path: string | undefined,
  server: SteeredServer,
  steering: Steering,
): Promise<ControlServer | undefined> {
  if (path === undefined) return undefined;
  const commands = controlCommands({
    get status() {
      return server.status;
    },
    get listeners() {
      return listenersOf(server);
    },
    flush: (name, what) => server.flush(name, what),
    dump: () => server.dump(),
    load: (text) => server.load(text),
    lookUp: (name) => server.lookUp(name),
    trust: () => server.trust(),
    upstreams: () => server.upstreams(),
    get stubStatus() {
      return server.stubStatus;
    },
    portal: (words) => server.portal(words),
    reload: () => steering.reload(),
    stop: () => steering.end("control"),
  });
  return ControlServer.open(path, commands);
}

/** Everything that is counted, in one line. */
function tellStatus(server: SteeredServer, log: Log): void {
  log.logger.info({ ...server.status, listeners: listenersOf(server) }, "status");
}

function listenersOf(server: SteeredServer): readonly object[] {
  return server.listeners.map(({ transport, local, fastOpen, inherited, counters }) => ({
    transport,
    ...local,
    fastOpen,
    inherited,
    counters,
  }));
}

async function reload(log: Log, server: SteeredServer, load: () => LoadedConfig): Promise<readonly string[]> {
  const loaded = load();
  if (!loaded.ok) {
    const problems = loaded.problems.map(problemToText);
    for (const problem of problems) log.logger.error({}, `reload refused: ${problem}`);
    throw new Error(problems.join("; "));
  }
  for (const warning of loaded.warnings) log.logger.warn({}, problemToText(warning));
  try {
    const changes = await server.reload(loaded.config, loaded.source);
    log.logger.info({ changes }, "reloaded");
    announce(server, log);
    return changes;
  } catch (error) {
    log.logger.error(
      { error: error instanceof Error ? error.message : String(error) },
      "reload refused, the old configuration stays",
    );
    throw error;
  }
}
