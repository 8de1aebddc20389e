export type {
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
export { tryParseUpstreamAddress, type UpstreamAddress, upstreamAddressToText } from "./upstream-address.ts";
