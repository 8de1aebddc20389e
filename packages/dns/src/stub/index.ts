export { type Hosts, parseHosts } from "./hosts-file.ts";
export { parseResolvConf, type SystemConfig } from "./resolv-conf.ts";
export type { Asker, QueryOptions, StubAnswer, TypedAnswer } from "./stub-answer.ts";
export { StubResolver, type StubResolverOptions } from "./stub-resolver.ts";
export { lintUpstream } from "./upstream-lint.ts";
export { readUpstream, type UpstreamPlan, type UpstreamSpec } from "./upstream-spec.ts";
export {
  hasCredentials,
  profiledUpstreams,
  type UpstreamManners,
  type UsageProfile,
} from "./usage-profile.ts";
