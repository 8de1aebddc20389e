export { BackendPool } from "./backend-pool.ts";
export type {
  BackendLimits,
  BackendOptions,
  BackendPoolOptions,
  HealthOptions,
} from "./backend-settings.ts";
export { BACKEND_LIMITS_DEFAULT, HEALTH_DEFAULT, POOL_QUERIES_MAX } from "./backend-settings.ts";
export type { BackendCounters, BackendStatus, PoolStatus } from "./backend-status.ts";
export type { Balancing } from "./balancing.ts";
export type { ForwardOutcome, ForwardQuery } from "./forward-query.ts";
export type { Transfer, TransferHandlers } from "./transfer.ts";
