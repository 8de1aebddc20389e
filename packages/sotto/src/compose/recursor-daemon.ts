/**
 * The resolver as a whole: listeners → query service → pipeline → forward zones or recursor → network. The only file
 * that knows all of these parts.
 */
import { MessageCache } from "@sotto/dns/cache";
import type { Runtime } from "@sotto/dns/runtime";
import { Exchanger, type Responder, Upstream, UpstreamPool, upstreamTlsPolicy } from "@sotto/dns/transport";
import type { Config, ForwardZoneConfig } from "../config/index.ts";
import { Recursor, ROOT_HINTS } from "../recursor/index.ts";
import { buildPipeline, QueryService } from "../server/index.ts";
import { CertificateSource } from "./certificates.ts";
import { HandlerSwitch } from "./handler-switch.ts";
import { ListenerSet, type OpenListener } from "./listeners.ts";

/** A resolver that serves clients. */
export interface RunningServer {
  readonly listeners: readonly OpenListener[];
  /** Changes to another configuration; rejects and leaves everything as it was when that cannot be done. Tells what changed. */
  reload(config: Config): Promise<readonly string[]>;
  /** Stops accepting, lets clients finish for at most `drainMs`, then closes. */
  drain(drainMs: number): Promise<void>;
  close(): Promise<void>;
}

/** Parts that programs replace. */
export interface StartOptions {
  /** The world towards upstreams when it is another one than towards clients: the playground's is in memory. */
  readonly upstreamRuntime?: Runtime;
}

/** The parts behind the listeners, built anew at each reload. */
interface Engine {
  readonly service: QueryService;
  readonly exchanger: Exchanger;
  readonly recursor: Recursor;
}

/** A quarter of the message cache's size goes to record sets and what else the recursor remembers. */
const RECURSOR_CACHE_SHARE = 4;

/** Opens everything or nothing. */
export async function startRecursor(
  config: Config,
  runtime: Runtime,
  options: StartOptions = {},
): Promise<RunningServer> {
  const upstreamRuntime = options.upstreamRuntime ?? runtime;
  let current = config;
  let cache = new MessageCache(cacheOptions(config), runtime.random);
  let engine = buildEngine(config, cache, runtime, upstreamRuntime);
  const handler = new HandlerSwitch(engine.service);
  const listeners = new ListenerSet(handler, new CertificateSource(() => runtime.clock.wallMs()), runtime);
  const closeEngine = async (old: Engine): Promise<void> => {
    await old.recursor.close();
    await old.exchanger.close();
  };
  try {
    await listeners.apply(config);
  } catch (error) {
    await closeEngine(engine);
    throw error;
  }
  return {
    get listeners() {
      return listeners.open;
    },
    async reload(next) {
      const changes = [...(await listeners.apply(next)), ...settingChanges(current, next)];
      const keepsAnswers = sameAnswers(current, next);
      if (!keepsAnswers) cache = new MessageCache(cacheOptions(next), runtime.random);
      const old = engine;
      engine = buildEngine(next, cache, runtime, upstreamRuntime);
      handler.current = engine.service;
      current = next;
      // Queries that are under way finish with the parts they began with.
      void old.service
        .idle()
        .then(() => closeEngine(old))
        .catch((error: unknown) => {
          runtime.events.publish("server.bug", { where: "reload", error: String(error) });
        });
      return changes;
    },
    async drain(drainMs) {
      await listeners.drain(runtime.clock.nowMs() + drainMs);
      await closeEngine(engine);
    },
    async close() {
      await listeners.close();
      await closeEngine(engine);
    },
  };
}

function cacheOptions(config: Config): ConstructorParameters<typeof MessageCache>[0] {
  return {
    bytesMax: config.cache.sizeBytes,
    ttlSecondsMax: config.cache.maxTtlSeconds,
    negativeTtlSecondsMax: config.cache.maxNegativeTtlSeconds,
  };
}

function buildEngine(
  config: Config,
  cache: MessageCache,
  runtime: Runtime,
  upstreamRuntime: Runtime,
): Engine {
  const exchanger = new Exchanger({ localAddresses: config.resolver.outgoingAddresses }, upstreamRuntime);
  const recursor = new Recursor(
    {
      rootHints: config.resolver.rootHints ?? ROOT_HINTS,
      port: config.resolver.port,
      families: config.resolver.families,
      deadlineMs: config.resolver.deadlineMs,
      cacheBytesMax: Math.floor(config.cache.sizeBytes / RECURSOR_CACHE_SHARE),
      ttlSecondsMax: config.cache.maxTtlSeconds,
      ttlSecondsMin: config.cache.minTtlSeconds,
      negativeTtlSecondsMax: config.cache.maxNegativeTtlSeconds,
    },
    exchanger,
    upstreamRuntime,
  );
  const responder = buildPipeline({
    localZones: config.localZones,
    forwardZones: config.forwardZones.map((zone) => ({
      name: zone.name,
      responder: buildForwarder(zone, exchanger, upstreamRuntime),
    })),
    source: recursor,
  });
  const service = new QueryService(
    { responder, access: config.access, cache, deadlineMs: config.resolver.deadlineMs },
    runtime,
  );
  return { service, exchanger, recursor };
}

function buildForwarder(zone: ForwardZoneConfig, exchanger: Exchanger, runtime: Runtime): Responder {
  const upstreams = zone.upstreams.map(
    (address) => new Upstream({ ...address, tls: upstreamTlsPolicy(address) }, exchanger, runtime),
  );
  return new UpstreamPool({ upstreams }, runtime);
}

/** True when answers cached under one configuration are also right under the other. */
function sameAnswers(a: Config, b: Config): boolean {
  const relevant = ({ resolver, forwardZones, localZones, cache }: Config): string =>
    JSON.stringify({ resolver, forwardZones, localZones, cache });
  return relevant(a) === relevant(b);
}

/** What a reload changed, in words; settings that need a restart say so. */
function settingChanges(before: Config, after: Config): string[] {
  const changes: string[] = [];
  for (const key of ["access", "resolver", "forwardZones", "localZones", "cache"] as const) {
    if (JSON.stringify(before[key]) !== JSON.stringify(after[key])) changes.push(`changed ${key}`);
  }
  if (JSON.stringify(before.limits) !== JSON.stringify(after.limits))
    changes.push("limits: new listeners only, restart for the others");
  if (JSON.stringify(before.log) !== JSON.stringify(after.log)) changes.push("log: takes effect at restart");
  return changes;
}
