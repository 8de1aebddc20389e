export {
  type AddressListReport,
  addressSetOf,
  type LoadedAddresses,
  loadAddressSet,
} from "./address-list.ts";
export type { BanStatus, BanTerms, ClientBans } from "./client-bans.ts";
export { ClientGuard, type ClientGuardOptions, type GuardVerdict, type OverLimit } from "./client-guard.ts";
export { CLIENT_MASKS_DEFAULT, type ClientMasks } from "./client-prefix.ts";
export { answerTo, type LocalAnswer } from "./local-answer.ts";
export {
  type LoadedNames,
  loadNameSet,
  type NameListFormat,
  type NameListOptions,
  NameListReader,
  type NameListReport,
} from "./name-list.ts";
export type { Action, Rule, Selector } from "./rule.ts";
export { type RuleCounters, RuleSet, type RuleSetOptions } from "./rule-set.ts";
export type { LoadedSet } from "./rule-sets.ts";
export type {
  EdnsEdit,
  PoolStates,
  RuleStep,
  RuleSubject,
  Verdict,
  VerdictEnd,
} from "./verdict.ts";
