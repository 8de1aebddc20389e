export type {
  ClientCertificatesConfig,
  Config,
  DnssecConfig,
  ForwardZoneConfig,
  ListenerConfig,
} from "./config.ts";
export { effectiveSettings, problemToText, settingsReference, settingsSchema } from "./explain.ts";
export { type ConfigProblem, type LoadedConfig, loadConfig, loadConfigFile } from "./load.ts";
