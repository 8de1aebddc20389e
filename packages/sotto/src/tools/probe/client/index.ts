export { PRESET_NAMES } from "./presets.ts";
export { type ProbeClientOptions, probeClient } from "./probe-client.ts";
