export type { Clock, Timer } from "./clock.ts";
export { DnsError, type DnsErrorCode } from "./dns-error.ts";
export { type Events, silentEvents } from "./events.ts";
export type {
  ByteStream,
  ChannelSecurity,
  ConnectOptions,
  ConnectStage,
  DatagramHandlers,
  DatagramOptions,
  DatagramSocket,
  Endpoint,
  ListenHandlers,
  ListenOptions,
  Network,
  PresentedCertificate,
  StreamHandlers,
  StreamListener,
  TlsClientOptions,
  TlsServerOptions,
} from "./network.ts";
export type { Random } from "./random.ts";
export type { Runtime } from "./runtime.ts";
