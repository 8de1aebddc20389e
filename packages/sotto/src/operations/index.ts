export {
  type CertificateAuthority,
  type CertificatePair,
  makeAuthority,
  makeSelfSigned,
  spkiPin,
} from "./certificate.ts";
export { type Log, type LogOptions, openLog } from "./log.ts";
