export type { Clock, Timer } from "./clock.ts";
export { DnsError, type DnsErrorCode } from "./dns-error.ts";
export { type Events, silentEvents } from "./events.ts";
export type {
  HttpExchange,
  HttpFieldName,
  HttpLimits,
  HttpListenHandlers,
  HttpListenOptions,
  HttpSession,
  HttpSessionHandlers,
} from "./http.ts";
export type {
  AcceptStage,
  ByteStream,
  CertificatePem,
  ChannelSecurity,
  ConnectOptions,
  ConnectStage,
  DatagramHandlers,
  DatagramOptions,
  DatagramSocket,
  Endpoint,
  ListenerChange,
  ListenHandlers,
  ListenOptions,
  Network,
  PendingConnection,
  PresentedCertificate,
  ProxyOptions,
  StreamHandlers,
  StreamListener,
  TlsClientOptions,
  TlsServerOptions,
} from "./network.ts";
export type { Random } from "./random.ts";
export type { Runtime } from "./runtime.ts";
export { SharedTimer, type SharedTimerOptions } from "./shared-timer.ts";
export { SharedWaits, type SharedWaitsOptions, type Wait } from "./shared-waits.ts";
export { Stop, type StopSignal, stopWith } from "./stop-signal.ts";
