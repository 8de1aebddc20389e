/** What the workers of a front end have together, and what each of them may have of the rest. */
import { type SharedCacheMemory, shareMessageCache } from "@sotto/dns/cache";
import type { Random } from "@sotto/dns/runtime";
import type { BackendConfig, FrontConfig } from "../config/index.ts";
import {
  BANS_MAX,
  type BanTold,
  countRates,
  GUARD_TABLES,
  namesPrefix,
  prefixToText,
  type SharedBuckets,
  shareBuckets,
} from "../front/index.ts";
import { answersKeyOf } from "./front-pools.ts";
import { shareOfLimits, type WorkerPlace } from "./worker-place.ts";

/** A worker's place among those of a front end. */
export interface FrontPlace extends WorkerPlace {
  /** Changed before a reload. */
  shared: FrontShared;
  /** Tells the others of a client that is banned. */
  readonly onBanned: (ban: BanTold) => void;
}

/** It travels to a worker as a clone, which shares the memory and has the rest as it is then. */
export interface FrontShared {
  /** Packet caches of pools, by name; none for those without. */
  readonly caches: ReadonlyMap<string, PacketMemory>;
  /** Rates of clients, and of rules in their order. */
  readonly guardTables: readonly SharedBuckets[];
  readonly rateTables: readonly SharedBuckets[];
  /** Who is banned, by prefix, and which backends operators have taken out of use: for workers that start. */
  readonly bans: Map<string, BanTold>;
  readonly drained: Map<string, BackendName>;
}

/** A packet cache. */
export interface PacketMemory {
  /** Another one for other memory: clones of one memory cannot be told from clones of two. */
  readonly id: number;
  readonly memory: SharedCacheMemory;
}

export interface BackendName {
  readonly pool: string;
  readonly backend: string;
}

/** What workers share under a configuration; of what they have under the one before stays what is still right. */
export function shareFront(
  config: FrontConfig,
  before: { readonly config: FrontConfig; readonly shared: FrontShared } | undefined,
  random: Random,
): FrontShared {
  const pools = new Map(before?.config.pools.map((pool) => [pool.name, pool]));
  let lastId = Math.max(0, ...[...(before?.shared.caches.values() ?? [])].map(({ id }) => id));
  const caches = new Map<string, PacketMemory>();
  for (const pool of config.pools) {
    const known = pools.get(pool.name);
    const keeps = known !== undefined && answersKeyOf(known) === answersKeyOf(pool);
    const memory = keeps ? before?.shared.caches.get(pool.name) : undefined;
    if (pool.cacheBytes > 0)
      caches.set(pool.name, memory ?? { id: ++lastId, memory: shareMessageCache(pool.cacheBytes, random) });
  }
  const isThere = ({ pool, backend }: BackendName): boolean =>
    config.pools.some(({ name, backends }) => name === pool && backends.some((one) => one.name === backend));
  const tables = (count: number): SharedBuckets[] =>
    Array.from({ length: count }, () => shareBuckets(random));
  const keepsGuard =
    before !== undefined && JSON.stringify(before.config.clients) === JSON.stringify(config.clients);
  return {
    caches,
    guardTables: keepsGuard ? before.shared.guardTables : tables(GUARD_TABLES),
    rateTables: tables(countRates(config.rules)),
    bans: keepsGuard ? before.shared.bans : new Map(),
    drained: new Map([...(before?.shared.drained ?? [])].filter(([, drained]) => isThere(drained))),
  };
}

/** Remembers bans for workers that start later. Beyond {@link BANS_MAX} the oldest are forgotten, as in the workers. */
export function noteBans({ bans: known }: FrontShared, bans: readonly BanTold[], nowMs: number): void {
  for (const ban of bans) {
    const client = prefixToText(ban.address, ban.bits);
    known.delete(client);
    known.set(client, ban);
  }
  if (known.size <= BANS_MAX) return;
  for (const [client, { forgottenAtMs }] of known) if (forgottenAtMs <= nowMs) known.delete(client);
  for (const client of known.keys()) {
    if (known.size <= BANS_MAX) return;
    known.delete(client);
  }
}

/** A ban was lifted: who starts later does not know it. */
export function forgetBans({ bans }: FrontShared, client: string): void {
  for (const prefix of bans.keys()) if (namesPrefix(client, prefix)) bans.delete(prefix);
}

/** What one worker may have of what the whole front end may have. */
export function frontShareOf(
  config: FrontConfig,
  { index, count }: Pick<WorkerPlace, "index" | "count">,
): FrontConfig {
  const part = (total: number): number => partAt(total, count, index);
  const backendOf = (backend: BackendConfig): BackendConfig => ({
    ...backend,
    connections: part(backend.connections),
    inFlightMax: part(backend.inFlightMax),
    queueMax: part(backend.queueMax),
  });
  return {
    ...config,
    limits: shareOfLimits(config.limits, count),
    pools: config.pools.map((pool) => ({ ...pool, backends: pool.backends.map(backendOf) })),
  };
}

/** The part of one worker, so that all parts make the whole; at least one, but none of nothing. */
function partAt(total: number, count: number, index: number): number {
  if (total === 0) return 0;
  return Math.max(1, Math.floor(total / count) + (index < total % count ? 1 : 0));
}
