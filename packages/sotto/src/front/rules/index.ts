export {
  type AddressListReport,
  addressSetOf,
  type LoadedAddresses,
  loadAddressSet,
} from "./address-list.ts";
export { BANS_MAX, type BanStatus, type BanTerms, type BanTold, type ClientBans } from "./client-bans.ts";
export {
  ClientGuard,
  type ClientGuardOptions,
  GUARD_TABLES,
  type GuardVerdict,
  type OverLimit,
  type SharedGuard,
} from "./client-guard.ts";
export { CLIENT_MASKS_DEFAULT, type ClientMasks, namesPrefix, prefixToText } from "./client-prefix.ts";
export { answerTo, type LocalAnswer } from "./local-answer.ts";
export {
  type LoadedNames,
  loadNameSet,
  type NameListFormat,
  type NameListOptions,
  NameListReader,
  type NameListReport,
} from "./name-list.ts";
export { countRates } from "./rate-tables.ts";
export type { Action, Rule, Selector } from "./rule.ts";
export { type RuleCounters, RuleSet, type RuleSetOptions } from "./rule-set.ts";
export type { LoadedSet } from "./rule-sets.ts";
export { type HashSeed, hashOctets, makeHashSeed } from "./seeded-hash.ts";
export { type SharedBuckets, shareBuckets, TokenBuckets } from "./token-buckets.ts";
export type {
  EdnsEdit,
  PoolStates,
  RuleStep,
  RuleSubject,
  Verdict,
  VerdictEnd,
} from "./verdict.ts";
