export { nodeRuntime } from "./node-runtime.ts";
export { machineFamilies, serviceName, systemHosts, systemResolvConf } from "./system-files.ts";
