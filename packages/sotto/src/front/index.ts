export {
  BackendPool,
  type Balancing,
  POOL_QUERIES_MAX,
  type PoolStatus,
} from "./backends/index.ts";
export type { FrontPool } from "./front-pool.ts";
export {
  type FrontCounters,
  FrontService,
  type FrontServiceOptions,
  PENDING_MAX_DEFAULT,
} from "./front-service.ts";
export {
  addressSetOf,
  ClientGuard,
  type LoadedSet,
  loadAddressSet,
  NameListReader,
  type RuleCounters,
  RuleSet,
  type RuleStep,
} from "./rules/index.ts";
