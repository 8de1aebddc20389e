export { AcceptedConnections } from "./accepted-connections.ts";
export { askFastOpen, synDataReader } from "./fast-open.ts";
export { nodeRuntime } from "./node-runtime.ts";
export { canDuplicateDescriptors } from "./system-calls.ts";
export {
  type MachineFamilies,
  machineFamilies,
  type SystemFile,
  serviceName,
  systemFileStamp,
  systemHosts,
  systemResolvConf,
} from "./system-files.ts";
export { sendUnixDatagram } from "./unix-datagram.ts";
