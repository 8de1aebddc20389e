export {
  type CertificateAuthority,
  type CertificatePair,
  makeAuthority,
  makeSelfSigned,
  spkiPin,
} from "./certificate.ts";
export { type Log, type LogOptions, openLog } from "./log.ts";
export { ExitCode, type ProgramIo } from "./program-io.ts";
