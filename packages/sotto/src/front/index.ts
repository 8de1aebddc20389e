export {
  BackendPool,
  type Balancing,
  type PoolStatus,
} from "./backends/index.ts";
export {
  type FrontCounters,
  type FrontPool,
  FrontService,
  type FrontServiceOptions,
} from "./front-service.ts";
export {
  addressSetOf,
  ClientGuard,
  type LoadedSet,
  loadAddressSet,
  NameListReader,
  RuleSet,
  type RuleStep,
} from "./rules/index.ts";
