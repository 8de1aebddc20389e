export type { AddressStore } from "./address-memory.ts";
export { type Hosts, parseHosts } from "./hosts-file.ts";
export { type ProfiledUpstreamsOptions, profiledUpstreams } from "./profiled-upstreams.ts";
export { parseResolvConf, type SystemConfig } from "./resolv-conf.ts";
export type { Asker, QueryOptions, StubAnswer, TypedAnswer } from "./stub-answer.ts";
export { StubResolver, type StubResolverOptions } from "./stub-resolver.ts";
export { lintUpstream } from "./upstream-lint.ts";
export { readUpstream, requireFindable, type UpstreamPlan, type UpstreamSpec } from "./upstream-spec.ts";
export {
  type Discovery,
  hasCredentials,
  requireCredentials,
  type UpstreamManners,
  type UsageProfile,
} from "./usage-profile.ts";
