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
  makeFrontCounters,
  PENDING_MAX_DEFAULT,
} from "./front-service.ts";
export {
  addressSetOf,
  BANS_MAX,
  type BanStatus,
  type BanTold,
  ClientGuard,
  countRates,
  GUARD_TABLES,
  type HashSeed,
  hashOctets,
  type LoadedSet,
  loadAddressSet,
  makeHashSeed,
  NameListReader,
  namesPrefix,
  prefixToText,
  type RuleCounters,
  RuleSet,
  type RuleSetOptions,
  type RuleStep,
  type SharedBuckets,
  type SharedGuard,
  shareBuckets,
  TokenBuckets,
} from "./rules/index.ts";
