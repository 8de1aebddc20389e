export type {
  ClientCertificatesConfig,
  Config,
  DnssecConfig,
  ForwardZoneConfig,
  ListenerConfig,
  PortalConfig,
} from "./config.ts";
export { effectiveSettings, problemToText, settingsReference, settingsSchema } from "./explain.ts";
export {
  type ConfigProblem,
  type ConfigSource,
  type LoadedConfig,
  loadConfig,
  loadConfigFile,
} from "./load.ts";
export { tryParseStubServer } from "./setting-types.ts";
export { WORKERS_AUTO_MAX } from "./settings.ts";
export { tryParseDuration } from "./units.ts";
