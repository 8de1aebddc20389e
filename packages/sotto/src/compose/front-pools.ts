/** Pools of a front end as they are configured: backends with what is remembered of their answers. Those that stay the same outlive a reload. */
import { MessageCache, type MessageCacheCounters } from "@sotto/dns/cache";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { Rcode } from "@sotto/dns/wire";
import type { PoolConfig } from "../config/index.ts";
import { BackendPool, type Balancing, type FrontPool, type PoolStatus } from "../front/index.ts";
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
        const wanted = keyOf(config, worker);
        const same = [...this.#pools.values()].find(({ key }) => key === wanted);
        next.#pools.set(config.name, same ?? makePool(config, worker, this.#runtime));
      }
    } catch (error) {
      await Promise.all(next.leftBy(this).map((pool) => pool.close()));
      throw error;
    }
    return next;
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
  readonly backends: BackendPool;
}

function makePool(config: PoolConfig, worker: FrontPlace | undefined, runtime: Runtime): ConfiguredPool {
  const { name, health, cacheBytes, staleSeconds, passesAuthenticData } = config;
  const passedOptions = new Set(config.passedOptions);
  const backends = new BackendPool(
    {
      name,
      backends: config.backends.map(({ inFlightMax, queueMax, connections, tcpPort, ...backend }) => ({
        ...backend,
        tcpEndpoint: tcpPort === undefined ? undefined : { ...backend.address.endpoint, port: tcpPort },
        limits: { inFlightMax, queueMax, connections, sockets: connections },
      })),
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
  for (const drained of worker?.shared.drained.values() ?? [])
    if (drained.pool === name) backends.drain(drained.backend);
  const options = {
    bytesMax: cacheBytes,
    ttlSecondsMax: config.maxTtlSeconds,
    shared: worker?.shared.caches.get(name)?.memory,
    workerId: worker?.index,
  };
  const cache = cacheBytes === 0 ? undefined : new MessageCache(options, runtime.random);
  const key = keyOf(config, worker);
  return { key, name, backends, cache, staleSeconds, passedOptions, passesAuthenticData };
}

const CHOICES: Readonly<Record<PoolConfig["choice"], Balancing>> = {
  ordered: "ordered",
  "round-robin": "round robin",
  weighted: "weighted random",
  "least-outstanding": "least outstanding",
  fastest: "fastest",
  hash: "hash",
};

/** The same for configurations that mean the same. */
export function poolKeyOf(config: PoolConfig): string {
  return JSON.stringify({ ...config, health: { ...config.health, name: config.health.name.toString() } });
}

/** A pool with the same share, and with other memory, is another one: all workers change to that. */
function keyOf(config: PoolConfig, worker: FrontPlace | undefined): string {
  const key = poolKeyOf(config);
  return worker === undefined ? key : `${key} ${worker.shared.caches.get(config.name)?.id}`;
}
