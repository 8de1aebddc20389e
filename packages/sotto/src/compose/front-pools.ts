/** Pools of a front end as they are configured: backends with what is remembered of their answers. Those that stay the same outlive a reload. */
import { MessageCache, type MessageCacheCounters } from "@sotto/dns/cache";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { Rcode } from "@sotto/dns/wire";
import type { PoolConfig } from "../config/index.ts";
import {
  BackendPool,
  type Balancing,
  type FrontPool,
  PENDING_MAX_DEFAULT,
  POOL_QUERIES_MAX,
  type PoolStatus,
} from "../front/index.ts";
import type { FrontPlace } from "./front-place.ts";

export class FrontPools {
  readonly #worker: FrontPlace | undefined;
  readonly #runtime: Runtime;
  #pools = new Map<string, ConfiguredPool>();

  constructor(configs: readonly PoolConfig[], worker: FrontPlace | undefined, runtime: Runtime) {
    this.#worker = worker;
    this.#runtime = runtime;
    for (const config of configs) this.#pools.set(config.name, makePool(config, worker, runtime));
  }

  get byName(): ReadonlyMap<string, FrontPool & { readonly backends: BackendPool }> {
    return this.#pools;
  }

  get status(): readonly FrontPoolStatus[] {
    return [...this.#pools.values()].map(({ backends, cache }) => ({
      ...backends.status,
      cache:
        cache === undefined
          ? undefined
          : { entries: cache.count, usedBytes: cache.usedBytes, ...cache.counters },
    }));
  }

  /** Throws ERR_CONFIG when there is none of that name. */
  poolOf(name: string): BackendPool {
    const pool = this.#pools.get(name);
    if (pool === undefined)
      throw new DnsError(
        "ERR_CONFIG",
        `there is no pool ${JSON.stringify(name)}, but ${[...this.#pools.keys()].join(", ")}`,
      );
    return pool.backends;
  }

  /** The pools of another configuration: those of this one that are the same, and new ones. Rejects, and none are left, when one cannot be made. */
  async prepare(configs: readonly PoolConfig[]): Promise<FrontPools> {
    const worker = this.#worker;
    const next = new FrontPools([], worker, this.#runtime);
    try {
      for (const config of configs) {
        const before = this.#pools.get(config.name);
        const isSame = before?.key === keyOf(config, worker);
        next.#pools.set(config.name, isSame ? before : makePool(config, worker, this.#runtime, before));
      }
    } catch (error) {
      await Promise.all(next.leftBy(this).map((pool) => pool.close()));
      throw error;
    }
    return next;
  }

  /** What was drained or resumed in `before` since this was prepared. */
  adoptDrains(before: FrontPools): void {
    for (const [name, { backends }] of this.#pools) {
      const old = before.#pools.get(name)?.backends;
      if (old === undefined || old === backends) continue;
      const drained = new Set(old.drained);
      for (const backend of backends.drained) if (!drained.delete(backend)) backends.resume(backend);
      for (const backend of drained) backends.drain(backend);
    }
  }

  /** Those that `next` does not have, to be closed when nobody uses them any more. */
  leftBy(next: FrontPools): readonly BackendPool[] {
    const kept = new Set([...next.#pools.values()].map(({ backends }) => backends));
    return [...this.#pools.values()].flatMap(({ backends }) => (kept.has(backends) ? [] : [backends]));
  }

  flush(remove: (cache: MessageCache) => number): number {
    let count = 0;
    for (const { cache } of this.#pools.values()) if (cache !== undefined) count += remove(cache);
    return count;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(({ backends }) => backends.close()));
  }
}

export type FrontPoolStatus = PoolStatus & {
  /** Undefined: none. */
  readonly cache:
    | (MessageCacheCounters & { readonly entries: number; readonly usedBytes: number })
    | undefined;
};

interface ConfiguredPool extends FrontPool {
  readonly key: string;
  readonly cacheKey: string;
  readonly backends: BackendPool;
}

/** `before` is the pool of that name, which it takes the place of: what was drained stays so, and what is known stays known. */
function makePool(
  config: PoolConfig,
  worker: FrontPlace | undefined,
  runtime: Runtime,
  before?: ConfiguredPool,
): ConfiguredPool {
  const { name, health, staleSeconds, passesAuthenticData } = config;
  const drained = new Set(before?.backends.drained ?? drainedIn(worker, name));
  const passedOptions = new Set(config.passedOptions);
  const backends = new BackendPool(
    {
      name,
      backends: config.backends.map(({ inFlightMax, queueMax, connections, tcpPort, ...backend }) => ({
        ...backend,
        isDrained: drained.has(backend.name),
        tcpEndpoint: tcpPort === undefined ? undefined : { ...backend.address.endpoint, port: tcpPort },
        limits: { inFlightMax, queueMax, connections, sockets: connections },
      })),
      queriesMax: queriesMaxOf(config),
      balancing: CHOICES[config.choice],
      retries: config.retries,
      retryRcodes: config.retriesServfail ? [Rcode.ServFail] : [],
      health: {
        name: health.name,
        type: health.type,
        rcodes: health.rcodes,
        intervalMs: health.intervalMs,
        timeoutMs: health.timeoutMs,
        rise: health.rise,
        fall: health.fall,
        slowStartMs: config.slowStartMs,
      },
    },
    runtime,
  );
  const cacheKey = cacheKeyOf(config, worker);
  const cache = before?.cacheKey === cacheKey ? before.cache : makeCache(config, worker, runtime);
  return {
    key: keyOf(config, worker),
    cacheKey,
    name,
    backends,
    cache,
    staleSeconds,
    passedOptions,
    passesAuthenticData,
  };
}

/** What operators had drained before this worker began. */
function drainedIn(worker: FrontPlace | undefined, name: string): string[] {
  const drained = [...(worker?.shared.drained.values() ?? [])];
  return drained.flatMap(({ pool, backend }) => (pool === name ? [backend] : []));
}

/** As many as its backends may have and let wait, or those were smaller than their settings say; the front end itself has a limit, too. */
function queriesMaxOf({ backends }: PoolConfig): number {
  const places = backends.reduce((sum, { inFlightMax, queueMax }) => sum + inFlightMax + queueMax, 0);
  return Math.max(POOL_QUERIES_MAX, Math.min(places, PENDING_MAX_DEFAULT));
}

function makeCache(
  { name, cacheBytes, maxTtlSeconds }: PoolConfig,
  worker: FrontPlace | undefined,
  { random }: Runtime,
): MessageCache | undefined {
  if (cacheBytes === 0) return undefined;
  const shared = worker?.shared.caches.get(name)?.memory;
  const options = {
    bytesMax: cacheBytes,
    ttlSecondsMax: maxTtlSeconds,
    shared,
    workerId: worker?.index,
  };
  return new MessageCache(options, random);
}

const CHOICES: Readonly<Record<PoolConfig["choice"], Balancing>> = {
  ordered: "ordered",
  "round-robin": "round robin",
  weighted: "weighted random",
  "least-outstanding": "least outstanding",
  fastest: "fastest",
  hash: "hash",
};

/** The same for configurations whose answers may be kept together: who gives them does not matter. */
export function answersKeyOf({
  cacheBytes,
  maxTtlSeconds,
  passedOptions,
  passesAuthenticData,
}: PoolConfig): string {
  return JSON.stringify([cacheBytes, maxTtlSeconds, passedOptions, passesAuthenticData]);
}

/** Among several workers the supervisor decides, and gives other memory. */
function cacheKeyOf(config: PoolConfig, worker: FrontPlace | undefined): string {
  return worker === undefined ? answersKeyOf(config) : `${worker.shared.caches.get(config.name)?.id}`;
}

/** The same for configurations that mean the same, with the same memory. */
function keyOf(config: PoolConfig, worker: FrontPlace | undefined): string {
  const health = { ...config.health, name: config.health.name.toString() };
  return JSON.stringify([{ ...config, health }, worker === undefined ? "" : cacheKeyOf(config, worker)]);
}
