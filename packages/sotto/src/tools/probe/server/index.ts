export {
  PATIENCE_CAREFUL,
  PATIENCE_THOROUGH,
  type Patience,
  PROBE_NAMES_DEFAULT,
  type ProbeNames,
  type ProbeOptions,
  type ProbeTransport,
} from "./probe-options.ts";
export { planOf, probeServer } from "./probe-server.ts";
export { type ServerTarget, tryParseTarget } from "./target.ts";
