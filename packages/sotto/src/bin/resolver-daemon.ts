/** The resolver as a daemon, whatever it resolves by: in this thread, or in as many as are configured. */
import type { Runtime } from "@sotto/dns/runtime";
import { controlCommands, type SteeredServer, startRecursor, startWorkers } from "../compose/index.ts";
import type { LoadedConfig } from "../config/index.ts";
import type { ControlCommand, InheritedSocket, ProgramIo } from "../operations/index.ts";
import { type DaemonServer, listenersOf, runDaemon, type Steer } from "./daemon.ts";
import { statusLine } from "./status-line.ts";
import { workerOptions } from "./workers.ts";

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
  const options = await workerOptions(config, sockets);
  return options === undefined
    ? startRecursor(config, runtime, { sockets })
    : startWorkers(config, source, options, runtime);
}
