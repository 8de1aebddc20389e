export {
  BackendPool,
  type Balancing,
  type PoolStatus,
} from "./backends/index.ts";
export type { FrontPool } from "./front-pool.ts";
export {
  type FrontCounters,
  FrontService,
  type FrontServiceOptions,
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
