export { type BudgetEntry, BudgetMap, type BudgetUse, ENTRY_OVERHEAD_BYTES } from "./budget-map.ts";
export {
  type EdnsSupport,
  InfraCache,
  type InfraCacheOptions,
  type Lameness,
  RTT_UNKNOWN_MS,
} from "./infra-cache.ts";
export {
  MESSAGE_CACHE_BYTES_MIN,
  MessageCache,
  type MessageCacheCounters,
  type MessageCacheOptions,
} from "./message-cache.ts";
export type { MessageHit } from "./message-hit.ts";
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
