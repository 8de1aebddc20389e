/**
 * The resolver as a whole: listeners → query service → pipeline → forward zones or recursor → network. The only file
 * that knows all of these parts.
 */
import { MessageCache, type SharedCacheMemory } from "@sotto/dns/cache";
import { keyTagsOf, type TrustAnchor } from "@sotto/dns/dnssec";
import { DnsError, type Endpoint, type Runtime } from "@sotto/dns/runtime";
import { Exchanger, type ExchangerOptions } from "@sotto/dns/transport";
import { type Name, Name as NameClass, type Parsed, type RRType } from "@sotto/dns/wire";
import type { Config } from "../config/index.ts";
import { type InheritedSocket, NetworkWatch } from "../operations/index.ts";
import {
  type AnchorKeeper,
  AuthorityEncryption,
  EncryptingExchange,
  type EncryptionCounters,
  type NameKnowledge,
  Recursor,
  ROOT_HINTS,
} from "../recursor/index.ts";
import {
  buildPipeline,
  type OutcomeCounters,
  OutcomeTally,
  privateRecords,
  QueryService,
} from "../server/index.ts";
import { anchorsOf, keepAnchors } from "./anchors.ts";
import { COOKIE_SECRET_OCTETS, cookieOptions } from "./cookie-options.ts";
import { EncryptionFile } from "./encryption-file.ts";
import { buildForwarders, type Forwarder, type ForwardZoneStatus, forwardZoneStatus } from "./forwarders.ts";
import { HandlerSwitch } from "./handler-switch.ts";
import { isOurself } from "./is-ourself.ts";
import type { OpenListener } from "./listeners.ts";
import { type AdmissionStatus, Listening } from "./listening.ts";
import { Portal, type PortalStatus } from "./portal.ts";
import { type StubStatus, stubStatusOf } from "./stub-status.ts";
import type { WorkerPlace } from "./worker-place.ts";

/** A resolver that serves clients. */
export interface RunningServer {
  readonly listeners: readonly OpenListener[];
  /** What has been counted, for status reports. */
  readonly status: ServerStatus;
  /** Open ones of clients, as in {@link status}. */
  readonly connections: number;
  /** Changes to another configuration; rejects and leaves everything as it was when that cannot be done. Tells what changed. */
  reload(config: Config): Promise<readonly string[]>;
  /** Forgets what is cached; tells how many replies and record sets. */
  flush(
    name: Name,
    what: "zone" | "name" | RRType,
  ): { readonly replies: number; readonly recordSets: number };
  /** One half of {@link flush}: workers share these, so that one of them is enough. */
  flushReplies(name: Name, what: "zone" | "name" | RRType): number;
  /** The other half, which comes first: replies are made of record sets. */
  flushRecordSets(name: Name, what: "zone" | "name" | RRType): number;
  /** The record sets as lines of a master file. */
  dump(): Generator<string>;
  load(text: string): Parsed<number>;
  lookUp(name: Name): NameKnowledge;
  /** Trust anchors as lines, and names that nothing is validated at. */
  trust(): { readonly anchors: readonly string[]; readonly negative: readonly string[] };
  /** The upstreams of forward zones. */
  upstreams(): readonly ForwardZoneStatus[];
  readonly stubStatus: StubStatus;
  /** Captive portals: `open NAMES SERVER [DURATION]`, `close`, or nothing to look. Throws a `DnsError` that says why not. */
  portal(words: readonly string[]): PortalStatus;
  /** Stops accepting, lets clients finish for as long as configured, then closes. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Counters and gauges of a server. */
export interface ServerStatus extends AdmissionStatus {
  readonly queries: OutcomeCounters;
  /** Queries to authorities over TLS (RFC 9539). */
  readonly authorities: EncryptionCounters & { readonly known: AuthorityEncryption["known"] };
}

/** Parts that programs replace. */
export interface StartOptions {
  /** The world towards upstreams when it is another one than towards clients: the playground's is in memory. */
  readonly upstreamRuntime?: Runtime;
  /** A text that is another one on another network. Default: made of this machine's addresses. */
  readonly lookAtNetwork?: (() => string) | undefined;
  /** Sockets that the service manager has opened; listeners take them instead of their own. */
  readonly sockets?: readonly InheritedSocket[] | undefined;
  /** Its place among several workers, whose share the configuration already is; absent: it serves alone. */
  readonly worker?: ResolverPlace | undefined;
}

/** The place of a worker of a resolver. */
export interface ResolverPlace extends WorkerPlace {
  /** Replies of all workers; changed before a reload that makes them wrong. */
  cache: SharedCacheMemory;
}

/** The parts behind the listeners, built anew at each reload. */
interface Engine {
  readonly service: QueryService;
  readonly exchanger: Exchanger;
  readonly recursor: Recursor;
  readonly keeper: AnchorKeeper | undefined;
  readonly encrypting: EncryptingExchange | undefined;
  readonly forwardZones: readonly Forwarder[];
}

/** A quarter of the message cache's size goes to record sets and what else the recursor remembers. */
const RECURSOR_CACHE_SHARE = 4;

/** Opens everything or nothing. */
export async function startRecursor(
  config: Config,
  runtime: Runtime,
  options: StartOptions = {},
): Promise<RunningServer> {
  const daemon = new RecursorDaemon(config, runtime, options);
  await daemon.open();
  return daemon;
}

class RecursorDaemon implements RunningServer {
  readonly #runtime: Runtime;
  readonly #worker: ResolverPlace | undefined;
  readonly #lasting: Lasting;
  #config: Config;
  #cache: MessageCache;
  #engine: Engine;
  readonly #handler: HandlerSwitch;
  readonly #listening: Listening;
  readonly #networkWatch: NetworkWatch;
  readonly #encryptionFile: EncryptionFile;
  readonly #portal: Portal | undefined;

  constructor(config: Config, runtime: Runtime, options: StartOptions) {
    const { upstreamRuntime = runtime, sockets = [], lookAtNetwork, worker } = options;
    const writesState = worker === undefined || worker.index === 0;
    this.#runtime = runtime;
    this.#config = config;
    this.#worker = worker;
    this.#cache = new MessageCache(cacheOptions(config, worker), runtime.random);
    const isUs = (server: Endpoint): boolean => isOurself(server, this.listeners);
    this.#portal =
      config.portal && new Portal(config.portal, isUs, { ...upstreamRuntime, events: runtime.events });
    this.#lasting = {
      portal: this.#portal,
      runtime,
      upstreamRuntime,
      drawnCookieSecret: worker?.secrets.cookies ?? runtime.random.octets(COOKIE_SECRET_OCTETS),
      outcomes: new OutcomeTally(worker?.cells),
      encryption: new AuthorityEncryption(runtime.clock),
      writesState,
    };
    this.#encryptionFile = new EncryptionFile(this.#lasting.encryption, runtime, !writesState);
    this.#encryptionFile.use(config.resolver.encryptionStateFile);
    this.#engine = buildEngine(config, this.#cache, this.#lasting);
    this.#handler = new HandlerSwitch(this.#engine.service);
    const handlerOf = (): HandlerSwitch => this.#handler;
    this.#listening = new Listening(config, { handlerOf, sockets, worker }, runtime);
    // The world towards upstreams may be another one, in which this machine's addresses say nothing; it does no harm there.
    const onOtherNetwork = (): void => {
      this.#portal?.close("the network changed");
      this.#engine.exchanger.networkMayHaveChanged();
      this.#listening.networkChanged();
      // What anybody may have told is good on the network only on which it was.
      if (this.#engine.forwardZones.some(({ config }) => config.profiled?.profile === "opportunistic"))
        this.flush(NameClass.root, "zone");
    };
    this.#networkWatch = new NetworkWatch(runtime.clock, onOtherNetwork, lookAtNetwork);
  }

  async open(): Promise<void> {
    try {
      await this.#listening.open();
    } catch (error) {
      this.#stopTimers();
      await closeEngine(this.#engine);
      throw error;
    }
  }

  get listeners(): readonly OpenListener[] {
    return this.#listening.listeners;
  }

  get connections(): number {
    return this.#listening.connections;
  }

  get status(): ServerStatus {
    const queries = this.#lasting.outcomes.counters;
    const { encryption } = this.#lasting;
    const authorities = { ...encryption.counters, known: encryption.known };
    return { ...this.#listening.status, queries, authorities };
  }

  flush(name: Name, what: "zone" | "name" | RRType): { replies: number; recordSets: number } {
    const recordSets = this.flushRecordSets(name, what);
    return { replies: this.flushReplies(name, what), recordSets };
  }

  flushReplies(name: Name, what: "zone" | "name" | RRType): number {
    return this.#cache.flush(name, what === "zone");
  }

  flushRecordSets(name: Name, what: "zone" | "name" | RRType): number {
    return this.#engine.recursor.flush(name, what);
  }

  dump(): Generator<string> {
    return this.#engine.recursor.dump();
  }

  load(text: string): Parsed<number> {
    return this.#engine.recursor.load(text);
  }

  lookUp(name: Name): NameKnowledge {
    return this.#engine.recursor.lookUp(name);
  }

  trust(): { anchors: string[]; negative: string[] } {
    const { dnssec } = this.#config;
    return {
      anchors: this.#engine.recursor.trustAnchors.map(({ zone, ds, keys }) => {
        const tags = [...ds.map(({ keyTag }) => `DS ${keyTag}`), ...keys.map(({ tag }) => `DNSKEY ${tag}`)];
        return `${zone} ${tags.join(", ")}`;
      }),
      negative: dnssec.negativeAnchors.map((name) => name.toString()),
    };
  }

  upstreams(): ForwardZoneStatus[] {
    return this.#engine.forwardZones.map(forwardZoneStatus);
  }

  get stubStatus(): StubStatus {
    return stubStatusOf(this.upstreams(), this.#portal?.status, this.#lasting.outcomes.counters);
  }

  portal([what, ...words]: readonly string[]): PortalStatus {
    if (this.#portal === undefined)
      throw new DnsError("ERR_CONFIG", "only `sotto stub` knows captive portals");
    if (what === "open") return this.#portal.open(words);
    if (what === "close") return this.#portal.close("closed by command");
    return this.#portal.status;
  }

  async reload(next: Config): Promise<readonly string[]> {
    const before = this.#config;
    const cache = sameAnswers(before, next)
      ? this.#cache
      : new MessageCache(cacheOptions(next, this.#worker), this.#runtime.random);
    // All that can refuse comes before anything that others see.
    const engine = buildEngine(next, cache, this.#lasting);
    let opened: readonly string[];
    try {
      opened = await this.#listening.change(next);
    } catch (error) {
      await closeEngine(engine);
      throw error;
    }
    const changes = [...opened, ...settingChanges(before, next)];
    const old = this.#engine;
    this.#cache = cache;
    this.#encryptionFile.use(next.resolver.encryptionStateFile);
    this.#engine = engine;
    this.#handler.current = this.#engine.service;
    this.#config = next;
    if (next.portal !== undefined) this.#portal?.reconfigure(next.portal);
    // Queries that are under way finish with the parts they began with.
    void old.service
      .idle()
      .then(() => closeEngine(old))
      .catch((error: unknown) => {
        this.#runtime.events.publish("server.bug", { where: "reload", error: String(error) });
      });
    return changes;
  }

  async drain(): Promise<void> {
    this.#stopTimers();
    await this.#portal?.end();
    await this.#listening.drain();
    await closeEngine(this.#engine);
    await this.#encryptionFile.save();
  }

  async close(): Promise<void> {
    this.#stopTimers();
    await this.#portal?.end();
    await this.#listening.close();
    await closeEngine(this.#engine);
    await this.#encryptionFile.save();
  }

  #stopTimers(): void {
    this.#listening.stop();
    this.#networkWatch.stop();
    this.#encryptionFile.stop();
  }
}

async function closeEngine(old: Engine): Promise<void> {
  await old.keeper?.close();
  old.encrypting?.close();
  await old.recursor.close();
  await old.exchanger.close();
}

function cacheOptions(
  config: Config,
  worker: ResolverPlace | undefined,
): ConstructorParameters<typeof MessageCache>[0] {
  return {
    bytesMax: config.cache.sizeBytes,
    shared: worker?.cache,
    workerId: worker?.index,
    ttlSecondsMax: config.cache.maxTtlSeconds,
    negativeTtlSecondsMax: config.cache.maxNegativeTtlSeconds,
  };
}

/** What outlives a reload. */
export interface Lasting {
  readonly runtime: Runtime;
  readonly upstreamRuntime: Runtime;
  /** For cookies, when none is configured. */
  readonly drawnCookieSecret: Uint8Array;
  readonly outcomes: OutcomeTally;
  /** False when another worker writes the files in which something is kept. Absent: true. */
  readonly writesState?: boolean | undefined;
  /** What is known of authorities over TLS. */
  readonly encryption: AuthorityEncryption;
  /** Undefined: none can be opened. */
  readonly portal?: Portal | undefined;
}

function exchangerOptions({ resolver, upstreamConnections }: Config): ExchangerOptions {
  return {
    localAddresses: resolver.outgoingAddresses,
    fastOpen: resolver.fastOpen,
    // A and AAAA of one name leave together.
    acknowledges: true,
    sharesUdpSockets: resolver.sharesPorts ? "when busy" : false,
    ...upstreamConnections,
  };
}

export function buildEngine(config: Config, cache: MessageCache, lasting: Lasting): Engine {
  const { runtime, upstreamRuntime, outcomes } = lasting;
  const exchanger = new Exchanger(exchangerOptions(config), upstreamRuntime);
  const { writesState = true } = lasting;
  const trustAnchors = (): readonly TrustAnchor[] => recursor.trustAnchors;
  const forwardZones = buildForwarders(config, exchanger, trustAnchors, upstreamRuntime, writesState);
  const encrypting = config.resolver.encryptsToAuthorities
    ? new EncryptingExchange(
        exchanger,
        lasting.encryption,
        { clearPort: config.resolver.port, port: config.resolver.encryptionPort },
        upstreamRuntime,
      )
    : undefined;
  const recursor = new Recursor(
    {
      cookies: config.resolver.cookies,
      caseRandomisation: config.resolver.caseRandomisation,
      ednsPayloadOctets: config.resolver.ednsPayloadOctets,
      errorReporting: config.resolver.errorReporting,
      trustsAllGlue: !config.resolver.hardenGlue,
      stubZones: config.stubZones,
      qnameMinimisation: config.resolver.qnameMinimisation,
      forwardZones,
      rootHints: config.resolver.rootHints ?? ROOT_HINTS,
      port: config.resolver.port,
      families: config.resolver.families,
      deadlineMs: config.resolver.deadlineMs,
      cacheBytesMax: Math.floor(config.cache.sizeBytes / RECURSOR_CACHE_SHARE),
      ttlSecondsMax: config.cache.maxTtlSeconds,
      ttlSecondsMin: config.cache.minTtlSeconds,
      negativeTtlSecondsMin: config.cache.minNegativeTtlSeconds,
      negativeTtlSecondsMax: config.cache.maxNegativeTtlSeconds,
      nxdomainCut: config.cache.nxdomainCut,
      aggressiveDenial: config.cache.aggressiveDenial,
      stale: config.cache.stale,
      isUnwanted: privateRecords(config.resolver.privateAddresses),
      validation: config.dnssec.validation
        ? { ...config.dnssec, anchors: anchorsOf(config.dnssec, upstreamRuntime) }
        : undefined,
    },
    encrypting ?? exchanger,
    upstreamRuntime,
  );
  const responder = buildPipeline({
    identity: {
      ...config.identity,
      trustAnchors: config.identity.trustAnchors ? () => recursor.trustAnchors.map(tagsText) : undefined,
    },
    portal: lasting.portal?.member,
    designation: config.designation,
    snooping: config.access.snooping,
    localZones: config.localZones,
    privateAddresses: config.resolver.privateAddresses,
    any: config.access.any,
    dns64: config.dns64,
    forwardZones: { zones: forwardZones, which: "what the recursor cannot" },
    source: recursor,
  });
  const service = new QueryService(
    {
      responder,
      access: config.access,
      cookies: cookieOptions(config, lasting.drawnCookieSecret),
      cache,
      bypassesCache: lasting.portal && ((view) => lasting.portal?.covers(view) === true),
      prefetch: config.cache.prefetch,
      deadlineMs: config.resolver.deadlineMs,
      outcomes,
    },
    runtime,
  );
  const keeper = keepAnchors(config.dnssec, recursor, upstreamRuntime, writesState);
  return { service, exchanger, recursor, keeper, encrypting, forwardZones };
}

/** A zone with the tags of the keys that are trusted for it. */
function tagsText(anchor: TrustAnchor): string {
  return `${anchor.zone} ${keyTagsOf(anchor).join(" ")}`;
}

/** True when answers cached under one configuration are also right under the other. */
export function sameAnswers(a: Config, b: Config): boolean {
  const relevant = (config: Config): string => {
    const { resolver, dnssec, forwardZones, stubZones, localZones, cache, dns64 } = config;
    const { any } = config.access;
    return JSON.stringify({ resolver, dnssec, forwardZones, stubZones, localZones, cache, dns64, any });
  };
  return relevant(a) === relevant(b);
}

/** What a reload changed, in words; settings that need a restart say so. */
function settingChanges(before: Config, after: Config): string[] {
  const changes: string[] = [];
  for (const key of [
    "access",
    "resolver",
    "dnssec",
    "forwardZones",
    "stubZones",
    "localZones",
    "designation",
    "cache",
    "limits",
    "tls",
  ] as const) {
    if (JSON.stringify(before[key]) !== JSON.stringify(after[key])) changes.push(`changed ${key}`);
  }
  if (before.workers !== after.workers) changes.push("workers: takes effect at restart");
  if (JSON.stringify(before.log) !== JSON.stringify(after.log)) changes.push("log: takes effect at restart");
  if (before.engine !== after.engine) changes.push("engine: takes effect at restart");
  return changes;
}
