/**
 * A server as a daemon, whatever it serves. SIGHUP reloads the configuration, SIGUSR2 tells all counters, SIGTERM and
 * SIGINT drain and end. Under a service manager it takes the sockets that it is passed, and tells how it does.
 */
import type { Clock, Runtime } from "@sotto/dns/runtime";
import { nodeRuntime, sendUnixDatagram } from "@sotto/dns/runtime/node";
import type { OpenListener } from "../compose/index.ts";
import { type Config, type ConfigProblem, problemToText } from "../config/index.ts";
import {
  type ControlCommand,
  ControlServer,
  ExitCode,
  type InheritedSocket,
  type InheritedSockets,
  type Log,
  openLog,
  type ProgramIo,
  ServiceNotifier,
  takeInheritedSockets,
  trustSystemAuthorities,
} from "../operations/index.ts";
import { openRuntime } from "./engine.ts";

/** What every daemon's configuration has. */
export type DaemonConfig = Pick<Config, "engine" | "log" | "controlSocket">;

/** A configuration that can be used, whosever it is. */
export interface Usable {
  readonly ok: true;
  readonly config: DaemonConfig;
  readonly warnings: readonly ConfigProblem[];
}

type Loaded<L extends Usable> = L | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** What a daemon needs of the server that it is. */
export interface DaemonServer<L extends Usable> {
  readonly listeners: readonly OpenListener[];
  /** Everything that is counted. */
  readonly status: object;
  /** Changes to another configuration, or rejects and leaves all as it was; tells what changed. */
  reload(loaded: L): Promise<readonly string[]>;
  drain(): Promise<void>;
  close(): Promise<void>;
  /** Absent: it is one server. */
  readonly workers?: readonly object[] | undefined;
  /** Settles, with the reason, when it cannot go on. Absent: it goes on, or the process ends. */
  readonly failed?: Promise<Error>;
}

/** What commands do with the daemon as a whole. */
export interface Steer {
  /** Reads the configuration again; what changed. */
  reload(): Promise<readonly string[]>;
  /** Begins to end. */
  stop(): void;
}

export interface Daemon<L extends Usable, S extends DaemonServer<L>> {
  /** For messages. */
  readonly program: string;
  /** Reads the configuration, at start and at each reload. */
  readonly load: () => Loaded<L>;
  /** Control socket when the configuration names none. */
  readonly controlSocket?: string | undefined;
  /** Whether others are authenticated by certificates. */
  needsAuthorities(loaded: L): boolean;
  /** Rejects with a message for people. */
  start(loaded: L, runtime: Runtime, sockets: readonly InheritedSocket[]): Promise<S>;
  /** Commands of the control socket. */
  commands(server: S, steer: Steer): Readonly<Record<string, ControlCommand>>;
  /** How it does, in one line. */
  statusLine(server: S): string;
}

/** Runs until a signal ends it. Start-up problems are fatal and complete; reload problems leave all as it was. */
export async function runDaemon<L extends Usable, S extends DaemonServer<L>>(
  daemon: Daemon<L, S>,
  io: ProgramIo,
): Promise<number> {
  const { program } = daemon;
  const loaded = daemon.load();
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.stderr.write(`${problemToText(problem)}\n`);
    return ExitCode.Failed;
  }
  for (const warning of loaded.warnings) io.stderr.write(`${problemToText(warning)} (warning)\n`);
  const clock = nodeRuntime().clock;
  const log = openLog({ ...loaded.config.log, stream: io.stderr }, clock);
  const runtime = openRuntime(loaded.config.engine, log);
  const notifier = openNotifier(io, log, clock);
  if (daemon.needsAuthorities(loaded))
    log.logger.info({ ...trustSystemAuthorities() }, "authorities for upstreams without their own");
  let server: S;
  try {
    server = await daemon.start(loaded, runtime, takeSockets(io, log).sockets);
  } catch (error) {
    io.stderr.write(`${program}: ${error instanceof Error ? error.message : String(error)}\n`);
    return ExitCode.Failed;
  }
  const tell = (): string => daemon.statusLine(server);
  const steering = new Steering({ io, log, notifier, server, load: daemon.load, tell });
  let control: ControlServer | undefined;
  try {
    control = await openControl(daemon, loaded.config, server, steering);
  } catch (error) {
    io.stderr.write(`${program}: ${error instanceof Error ? error.message : String(error)}\n`);
    await server.close();
    return ExitCode.Failed;
  }
  // Only now: whoever reads "ready" may send a signal at once.
  announce(server, log);
  notifier.ready(tell());
  notifier.watch(
    () => steering.isEnding || server.listeners.length > 0,
    () => (steering.isEnding ? DRAINING : tell()),
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

function announce(server: Announced, log: Log): void {
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

type Announced = Pick<DaemonServer<Usable>, "listeners" | "workers">;

interface SteeringParts<L extends Usable> {
  readonly io: ProgramIo;
  readonly log: Log;
  readonly notifier: ServiceNotifier;
  readonly server: DaemonServer<L>;
  readonly load: () => Loaded<L>;
  /** How it does, in one line. */
  readonly tell: () => string;
}

/** Signals and commands, one after another. A second ending signal ends at once. */
class Steering<L extends Usable> {
  readonly #parts: SteeringParts<L>;
  readonly #ended = Promise.withResolvers<void>();
  readonly #stopListening: () => void;
  #isEnding = false;
  #reloading: Promise<unknown> = Promise.resolve();

  constructor(parts: SteeringParts<L>) {
    this.#parts = parts;
    this.#stopListening = parts.io.onSignal(["SIGHUP", "SIGTERM", "SIGINT", "SIGUSR2"], (signal) => {
      if (signal === "SIGUSR2") tellStatus(parts.server, parts.log);
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
    const { log, notifier, server, load, tell } = this.#parts;
    const reloaded = this.#reloading.then(async () => {
      notifier.reloading();
      try {
        return await reload(log, server, load);
      } finally {
        // Also when it was refused: the old configuration serves on.
        if (!this.#isEnding) notifier.ready(tell());
      }
    });
    this.#reloading = reloaded.catch(() => undefined);
    return reloaded;
  }

  end(signal: string): void {
    const { log, notifier, server } = this.#parts;
    const finished = this.#isEnding ? server.close() : this.#reloading.then(() => server.drain());
    if (!this.#isEnding) {
      log.logger.info({ signal }, "draining");
      notifier.stopping(DRAINING);
    }
    this.#isEnding = true;
    void finished
      .catch((error: unknown) => log.logger.error({ error: String(error) }, "drain failed"))
      .then(() => {
        this.#stopListening();
        log.logger.info({}, "ended");
        this.#ended.resolve();
      });
  }
}

/** At the path that was asked for. */
async function openControl<L extends Usable, S extends DaemonServer<L>>(
  { commands, controlSocket }: Daemon<L, S>,
  config: DaemonConfig,
  server: S,
  steering: Steering<L>,
): Promise<ControlServer | undefined> {
  const path = controlSocket ?? config.controlSocket;
  if (path === undefined) return undefined;
  const reload = () => steering.reload();
  return ControlServer.open(path, commands(server, { reload, stop: () => steering.end("control") }));
}

/** Everything that is counted, in one line. */
function tellStatus(server: Announced & { readonly status: object }, log: Log): void {
  log.logger.info({ ...server.status, listeners: listenersOf(server) }, "status");
}

/** Listeners as commands tell them. */
export function listenersOf(server: Announced): readonly object[] {
  return server.listeners.map(({ transport, local, fastOpen, inherited, counters }) => ({
    transport,
    ...local,
    fastOpen,
    inherited,
    counters,
  }));
}

async function reload<L extends Usable>(
  log: Log,
  server: DaemonServer<L>,
  load: () => Loaded<L>,
): Promise<readonly string[]> {
  const loaded = load();
  if (!loaded.ok) {
    const problems = loaded.problems.map(problemToText);
    for (const problem of problems) log.logger.error({}, `reload refused: ${problem}`);
    throw new Error(problems.join("; "));
  }
  for (const warning of loaded.warnings) log.logger.warn({}, problemToText(warning));
  try {
    const changes = await server.reload(loaded);
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
