export { Admission, type AdmissionCounters, type Admitted, type RefusalReason } from "./admission.ts";
export {
  type Authentication,
  authenticate,
  certifiesName,
  type TlsPolicy,
  UNAUTHENTICATED_TLS,
} from "./authentication.ts";
export type { ClientCounts, ClientLedger, ClientRate } from "./client-counts.ts";
export { ClientLink, type LinkOptions, type LinkTarget, type SessionTicket } from "./client-link.ts";
export { CONNECTION_LIMITS_DEFAULT, type ConnectionLimits } from "./connection-limits.ts";
export type { ConnectionQuery, QueryOutcome } from "./connection-query.ts";
export type { ConnectionStatus } from "./connection-status.ts";
export type { ExchangeRequest, ExchangeResult } from "./exchange-request.ts";
export { Exchanger, type ExchangerOptions } from "./exchanger.ts";
export {
  ADMISSION_LIMITS_DEFAULT,
  type AdmissionLimits,
  CLIENT_EXCEPTIONS_MAX,
  type ClientException,
  SERVER_LIMITS_DEFAULT,
  SESSION_LIMITS_DEFAULT,
  type ServerLimits,
  type SessionLimits,
} from "./limits.ts";
export type { AnswerParts, LaterAnswer, MessageHandler, QueryChannel } from "./message-handler.ts";
export { hasQuestion } from "./reply-match.ts";
export type {
  AskedQuestion,
  ExchangeFacts,
  Middleware,
  Protection,
  Query,
  QueryContext,
  QueryOrigin,
  Reply,
  Responder,
  SecurityStatus,
  Transport,
} from "./responder.ts";
export {
  type ServerCloseReason,
  ServerConnection,
  type ServerConnectionHost,
  type SessionTerms,
} from "./server-connection.ts";
export { LINGER_MS, type ServedSession, type SessionOwner } from "./server-session.ts";
export {
  type AcceptedConnection,
  type ConnectionHandlers,
  type SessionParts,
  type StreamCounters,
  type StreamProtocol,
  StreamService,
  type StreamServiceChange,
  type StreamServiceOptions,
} from "./stream-service.ts";
export { type TlsaRecord, usableTlsa } from "./tlsa.ts";
export { UDP_TIMING_DEFAULT, type UdpTiming } from "./udp-exchange.ts";
export { type UdpCounters, UdpListener, type UdpListenerOptions } from "./udp-listener.ts";
export { identityOf, Upstream, type UpstreamOptions, upstreamTlsPolicy } from "./upstream.ts";
export {
  tryParseUpstreamAddress,
  tryParseWrittenUpstream,
  type UpstreamAddress,
  upstreamAddressToText,
  type WrittenUpstream,
} from "./upstream-address.ts";
export {
  type PoolMember,
  type UpstreamChoice,
  UpstreamPool,
  type UpstreamPoolOptions,
} from "./upstream-pool.ts";
export type { UpstreamLookup, UpstreamStanding } from "./upstream-standing.ts";
