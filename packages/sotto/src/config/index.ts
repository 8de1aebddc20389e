export type {
  ClientCertificatesConfig,
  Config,
  DnssecConfig,
  ForwardZoneConfig,
  ListenerConfig,
  PortalConfig,
} from "./config.ts";
export type { ConfigProblem } from "./config-document.ts";
export {
  effectiveSettings,
  frontReference,
  frontSchema,
  problemToText,
  settingsReference,
  settingsSchema,
} from "./explain.ts";
export type { FrontRulesConfig, FrontSetConfig } from "./front-rules-config.ts";
export { suggest } from "./known-keys.ts";
export {
  type ConfigSource,
  type LoadedConfig,
  loadConfig,
  loadConfigFile,
} from "./load.ts";
export {
  type BackendConfig,
  type FrontConfig,
  type FrontSource,
  type LoadedFront,
  loadFront,
  loadFrontFile,
  type PoolConfig,
} from "./load-front.ts";
export { tryParseStubServer } from "./setting-types.ts";
export { WORKERS_AUTO_MAX } from "./settings.ts";
export { tryParseDuration, tryParseMoment } from "./units.ts";
