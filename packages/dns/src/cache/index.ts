export { type BudgetEntry, BudgetMap, type BudgetUse, ENTRY_OVERHEAD_BYTES } from "./budget-map.ts";
export {
  type EdnsSupport,
  InfraCache,
  type InfraCacheOptions,
  type Lameness,
  RTT_UNKNOWN_MS,
} from "./infra-cache.ts";
export { MessageCache, type MessageCacheOptions } from "./message-cache.ts";
export type { MessageCacheCounters } from "./message-cache-counters.ts";
export type { MessageHit } from "./message-hit.ts";
export {
  MESSAGE_CACHE_BYTES_MAX,
  MESSAGE_CACHE_BYTES_MIN,
  type SharedCacheMemory,
  shareMessageCache,
} from "./message-memory.ts";
export {
  type CachedRRset,
  type CachedSecurity,
  type NegativeAnswer,
  type RRset,
  RRsetCache,
  type RRsetCacheOptions,
  rrsetBytes,
  Trust,
  ttlSecondsAt,
} from "./rrset-cache.ts";
