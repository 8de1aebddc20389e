/** The resolver as a daemon, whatever it resolves by: in this thread, or in as many as are configured. */
import { extname } from "node:path";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { canDuplicateDescriptors } from "@sotto/dns/runtime/node";
import { controlCommands, type SteeredServer, startRecursor, startWorkers } from "../compose/index.ts";
import { type Config, type LoadedConfig, WORKERS_AUTO_MAX } from "../config/index.ts";
import {
  type ControlCommand,
  canSharePorts,
  coreCount,
  type InheritedSocket,
  mayStartThreads,
  type ProgramIo,
  threadsOf,
} from "../operations/index.ts";
import { closeConnection } from "./close-connection.ts";
import { type DaemonServer, listenersOf, runDaemon, type Steer } from "./daemon.ts";
import { statusLine } from "./status-line.ts";

type Loaded = LoadedConfig & { readonly ok: true };
type ResolverServer = DaemonServer<Loaded> & { readonly resolver: SteeredServer };

export interface ResolverDaemon {
  /** For messages. */
  readonly program: string;
  /** Reads the configuration, at start and at each reload. */
  readonly load: () => LoadedConfig;
  /** Control socket when the configuration names none. */
  readonly controlSocket?: string | undefined;
}

/** Runs until a signal ends it. */
export function runResolver(daemon: ResolverDaemon, io: ProgramIo): Promise<number> {
  return runDaemon<Loaded, ResolverServer>(
    {
      ...daemon,
      // Others are authenticated by certificates only when queries are forwarded to them.
      needsAuthorities: ({ config }) => config.forwardZones.length > 0,
      start: async (loaded, runtime, sockets) => asServer(await startServer(loaded, runtime, sockets)),
      commands: ({ resolver }, steer) => commandsOf(resolver, steer),
      statusLine: ({ resolver }) => statusLine(resolver),
    },
    io,
  );
}

function asServer(resolver: SteeredServer): ResolverServer {
  return {
    resolver,
    get listeners() {
      return resolver.listeners;
    },
    get status() {
      return resolver.status;
    },
    get workers() {
      return resolver.workers;
    },
    reload: ({ config, source }) => resolver.reload(config, source),
    drain: () => resolver.drain(),
    close: () => resolver.close(),
    ...(resolver.failed === undefined ? {} : { failed: resolver.failed }),
  };
}

function commandsOf(server: SteeredServer, steer: Steer): Readonly<Record<string, ControlCommand>> {
  return controlCommands({
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
    ...steer,
  });
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
  const startThread = threadsOf(entry);
  const options = { count, sockets, startThread, logLevel: config.log.level, engine, closeConnection };
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
