export { nodeRuntime } from "./node-runtime.ts";
export { systemHosts, systemResolvConf } from "./system-files.ts";
