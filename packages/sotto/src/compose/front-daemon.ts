/** The front end as a whole: listeners → front service → rules → packet cache or pools of backends. The only file that knows all of these parts. */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import type { MessageHandler, QueryChannel } from "@sotto/dns/transport";
import type { Name } from "@sotto/dns/wire";
import type { FrontConfig, ListenerConfig } from "../config/index.ts";
import {
  type BackendPool,
  type BanStatus,
  type BanTold,
  type FrontCounters,
  FrontService,
  PENDING_MAX_DEFAULT,
} from "../front/index.ts";
import type { InheritedSocket } from "../operations/index.ts";
import { type OutcomeCounters, OutcomeTally } from "../server/index.ts";
import { COOKIE_SECRET_OCTETS, cookieOptions } from "./cookie-options.ts";
import type { FrontPlace } from "./front-place.ts";
import { type FrontPoolStatus, FrontPools } from "./front-pools.ts";
import { FrontRules, type FrontRulesStatus } from "./front-rules.ts";
import { keyOf, type OpenListener } from "./listeners.ts";
import { type AdmissionStatus, Listening } from "./listening.ts";
import type { WorkerStatus } from "./steered-server.ts";
import { partOf } from "./worker-place.ts";

/** A front end that serves clients. */
export interface RunningFront {
  readonly listeners: readonly OpenListener[];
  /** Open ones of clients, as in {@link status}. */
  readonly connections: number;
  /** Everything that is counted. */
  readonly status: FrontStatus;
  /** Changes to another configuration; rejects and leaves everything as it was when that cannot be done. Tells what changed. */
  reload(config: FrontConfig): Promise<readonly string[]>;
  /** Forgets what is cached at a name, and beneath it when `isZone`; tells how many answers. */
  flush(name: Name, isZone: boolean): number;
  /** Takes a backend out of use, or back; throws a DnsError when there is none of that name. */
  drainBackend(pool: string, backend: string): void;
  resumeBackend(pool: string, backend: string): void;
  /** Clients that are banned now. */
  readonly bans: readonly BanStatus[];
  /** Lifts the bans of a client, a prefix as {@link bans} tells it or an address; false when there was none. */
  liftBan(client: string): boolean;
  /** Takes over bans of other workers. */
  adoptBans(bans: readonly BanTold[]): void;
  /** Stops accepting, lets clients finish for as long as configured, then closes. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Counters and gauges of a front end. */
export interface FrontStatus extends AdmissionStatus {
  readonly queries: OutcomeCounters;
  readonly front: FrontCounters;
  /** Queries that wait for backends. */
  readonly pending: number;
  readonly pools: readonly FrontPoolStatus[];
  readonly rules: FrontRulesStatus;
  /** Absent: it is one server. */
  readonly workers?: readonly WorkerStatus[] | undefined;
}

export interface FrontStartOptions {
  /** Sockets that the service manager has opened. */
  readonly sockets?: readonly InheritedSocket[] | undefined;
  /** Its place among several workers, whose share the configuration already is; absent: it serves alone. */
  readonly worker?: FrontPlace | undefined;
}

/** Opens everything or nothing; rejects with ERR_CONFIG, or what the network says. */
export async function startFront(
  config: FrontConfig,
  runtime: Runtime,
  options: FrontStartOptions = {},
): Promise<RunningFront> {
  const front = await FrontDaemon.make(config, options, runtime);
  await front.open();
  return front;
}

/** What lies behind the listeners, built anew at each reload. */
interface Engine {
  readonly service: FrontService;
  readonly pools: FrontPools;
  readonly rules: FrontRules;
}

class FrontDaemon implements RunningFront {
  readonly #runtime: Runtime;
  readonly #worker: FrontPlace | undefined;
  readonly #outcomes: OutcomeTally;
  readonly #drawnCookieSecret: Uint8Array;
  readonly #listening: Listening;
  readonly #handlers = new Map<string, ListenerHandler>();
  /** Pools of configurations before, on which something is still under way. */
  readonly #leaving = new Set<BackendPool>();
  /** Resolved when no service of before has queries any more, which a pool of several configurations may be asked by. */
  #whenOldIdle: Promise<unknown> = Promise.resolve();
  #config: FrontConfig;
  #engine: Engine;

  static async make(config: FrontConfig, options: FrontStartOptions, runtime: Runtime): Promise<FrontDaemon> {
    const { worker } = options;
    const pools = new FrontPools(config.pools, worker, runtime);
    let rules: FrontRules | undefined;
    try {
      rules = await FrontRules.load(config, pools, runtime, { worker });
      return new FrontDaemon(config, { pools, rules }, options, runtime);
    } catch (error) {
      rules?.stop();
      await pools.close();
      throw error;
    }
  }

  private constructor(
    config: FrontConfig,
    parts: Omit<Engine, "service">,
    { sockets = [], worker }: FrontStartOptions,
    runtime: Runtime,
  ) {
    this.#runtime = runtime;
    this.#config = config;
    this.#worker = worker;
    this.#outcomes = new OutcomeTally(worker?.cells);
    this.#drawnCookieSecret = worker?.secrets.cookies ?? runtime.random.octets(COOKIE_SECRET_OCTETS);
    this.#engine = this.#engineOf(config, parts);
    this.#listening = new Listening(
      config,
      { handlerOf: (key, listener) => this.#handlerOf(key, listener), sockets, worker },
      runtime,
    );
  }

  #engineOf(config: FrontConfig, { pools, rules }: Omit<Engine, "service">): Engine {
    const service = new FrontService(
      {
        access: config.access,
        transfers: config.access.transfers,
        cookies: cookieOptions(config, this.#drawnCookieSecret),
        outcomes: this.#outcomes,
        rules: rules.set,
        pools: pools.byName,
        deadlineMs: config.deadlineMs,
        pendingMax: this.#worker && partOf(PENDING_MAX_DEFAULT, this.#worker.count),
      },
      this.#runtime,
    );
    return { service, pools, rules };
  }

  #handlerOf(key: string, { name }: ListenerConfig): MessageHandler {
    const handler = new ListenerHandler(name, this.#engine.service);
    this.#handlers.set(key, handler);
    return handler;
  }

  async open(): Promise<void> {
    try {
      await this.#listening.open();
    } catch (error) {
      this.#listening.stop();
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

  get status(): FrontStatus {
    const { service, pools, rules } = this.#engine;
    return {
      ...this.#listening.status,
      queries: service.outcomes,
      front: service.counters,
      pending: service.pending,
      pools: pools.status,
      rules: rules.status,
    };
  }

  async reload(next: FrontConfig): Promise<readonly string[]> {
    const before = this.#config;
    // All that can refuse comes before anything that others see.
    const pools = await this.#engine.pools.prepare(next.pools);
    let rules: FrontRules | undefined;
    let engine: Engine;
    let opened: readonly string[];
    try {
      rules = await FrontRules.load(next, pools, this.#runtime, {
        before: this.#engine.rules,
        worker: this.#worker,
      });
      engine = this.#engineOf(next, { pools, rules });
      opened = await this.#listening.change(next);
    } catch (error) {
      rules?.stop();
      await Promise.all(pools.leftBy(this.#engine.pools).map((pool) => pool.close()));
      throw error;
    }
    const old = this.#engine;
    // Sets take a while to read.
    pools.adoptDrains(old.pools);
    this.#engine = engine;
    this.#config = next;
    old.rules.stop();
    const names = new Map(next.listeners.map((listener, i) => [keyOf(listener, i), listener.name]));
    for (const [key, handler] of this.#handlers) {
      const name = names.get(key);
      if (name === undefined) this.#handlers.delete(key);
      else handler.change(name, engine.service);
    }
    this.#retire(old, pools);
    return [...opened, ...settingChanges(before, next)];
  }

  /** What is under way, transfers included, finishes with the parts it began with. */
  #retire({ service, pools }: Engine, next: FrontPools): void {
    const left = pools.leftBy(next);
    for (const pool of left) this.#leaving.add(pool);
    this.#whenOldIdle = Promise.all([this.#whenOldIdle, service.idle()]);
    const leave = async (pool: BackendPool): Promise<void> => {
      await pool.idle();
      await pool.close();
      this.#leaving.delete(pool);
    };
    void this.#whenOldIdle
      .then(() => Promise.all(left.map(leave)))
      .catch((error: unknown) => {
        this.#runtime.events.publish("server.bug", { where: "reload", error: String(error) });
      });
  }

  flush(name: Name, isZone: boolean): number {
    return this.#engine.pools.flush((cache) => cache.flush(name, isZone));
  }

  drainBackend(pool: string, backend: string): void {
    if (!this.#engine.pools.poolOf(pool).drain(backend)) throw noBackend(pool, backend);
  }

  resumeBackend(pool: string, backend: string): void {
    if (!this.#engine.pools.poolOf(pool).resume(backend)) throw noBackend(pool, backend);
  }

  get bans(): readonly BanStatus[] {
    return this.#engine.rules.set.guard.bans.status(this.#runtime.clock.nowMs());
  }

  liftBan(client: string): boolean {
    return this.#engine.rules.set.guard.bans.lift(client);
  }

  adoptBans(bans: readonly BanTold[]): void {
    this.#engine.rules.set.guard.adopt(bans);
  }

  async drain(): Promise<void> {
    await this.#listening.drain();
    await this.#closeParts();
  }

  async close(): Promise<void> {
    await this.#listening.close();
    await this.#closeParts();
  }

  async #closeParts(): Promise<void> {
    await Promise.all([closeEngine(this.#engine), ...[...this.#leaving].map((pool) => pool.close())]);
  }
}

/** Lets a listener outlive reloads: it keeps this, and what is behind it changes. */
class ListenerHandler implements MessageHandler {
  #handler: MessageHandler;

  constructor(name: string, service: FrontService) {
    this.#handler = service.handlerOf(name);
  }

  change(name: string, service: FrontService): void {
    this.#handler = service.handlerOf(name);
  }

  answer(octets: Uint8Array, channel: QueryChannel): ReturnType<MessageHandler["answer"]> {
    return this.#handler.answer(octets, channel);
  }
}

function noBackend(pool: string, backend: string): DnsError {
  return new DnsError("ERR_CONFIG", `pool ${pool} has no backend ${JSON.stringify(backend)}`);
}

async function closeEngine({ rules, pools }: Engine): Promise<void> {
  rules.stop();
  await pools.close();
}

const CHANGEABLE = [
  "access",
  "pools",
  "rules",
  "sets",
  "clients",
  "cookies",
  "deadlineMs",
  "watchSetsMs",
  "limits",
  "tls",
] as const;

/** What a reload changed, in words; settings that need a restart say so. */
function settingChanges(before: FrontConfig, after: FrontConfig): string[] {
  const changes: string[] = [];
  for (const key of CHANGEABLE)
    if (JSON.stringify(before[key]) !== JSON.stringify(after[key])) changes.push(`changed ${key}`);
  for (const key of ["workers", "log", "engine"] as const)
    if (JSON.stringify(before[key]) !== JSON.stringify(after[key]))
      changes.push(`${key}: takes effect at restart`);
  return changes;
}
