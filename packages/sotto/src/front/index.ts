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
  type Action,
  addressSetOf,
  CLIENT_MASKS_DEFAULT,
  ClientGuard,
  type ClientGuardOptions,
  type ClientMasks,
  type LoadedSet,
  loadAddressSet,
  loadNameSet,
  type NameListFormat,
  NameListReader,
  type Rule,
  RuleSet,
  type RuleStep,
  type RuleSubject,
  type Selector,
} from "./rules/index.ts";
