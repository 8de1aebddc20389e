export { type TrustedAuthorities, trustSystemAuthorities } from "./authorities.ts";
export {
  type CertificateAuthority,
  type CertificatePair,
  type CertificateSummary,
  makeAuthority,
  makeSelfSigned,
  spkiPin,
  summarizeCertificate,
} from "./certificate.ts";
export { type ControlCommand, ControlServer } from "./control-server.ts";
export { fileChunks } from "./file-chunks.ts";
export { FileWatch } from "./file-watch.ts";
export { type InheritedSocket, type InheritedSockets, takeInheritedSockets } from "./inherited-sockets.ts";
export { type Log, type LogOptions, logFilter, openLog } from "./log.ts";
export { NetworkWatch } from "./network-watch.ts";
export { PROC_SOCKET_TABLES, type ProcSocket, parseProcSockets } from "./proc-sockets.ts";
export { ExitCode, type ProgramIo } from "./program-io.ts";
export { readBoundedText } from "./read-bounded.ts";
export { ServiceNotifier } from "./service-notifier.ts";
export { StateFile } from "./state-file.ts";
export { ticketEpoch, ticketKeysOf } from "./ticket-keys.ts";
export {
  canSharePorts,
  coreCount,
  mayStartThreads,
  type StartThread,
  threadEnd,
  threadsOf,
  type WorkerThread,
  type WorkerThreadHandlers,
} from "./worker-thread.ts";
