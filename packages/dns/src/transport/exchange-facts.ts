/** What is told about an exchange, and how a reply's octets become a message. */
import {
  type Message,
  MessageView,
  makeMessage,
  type Parsed,
  parsed,
  type Question,
  tryDecodeMessage,
} from "@sotto/dns/wire";
import type { LinkFacts } from "./client-link.ts";
import type { QueryOutcome } from "./connection-query.ts";
import type { ExchangeRequest } from "./exchange-request.ts";
import type { ExchangeFacts, Protection } from "./responder.ts";
import type { UdpReply } from "./udp-exchange.ts";

/** Facts of an exchange in the clear on a connection of its own; without `udp` the caller fills in the rest. */
export function clearFacts(
  request: ExchangeRequest,
  transport: "udp" | "tcp" | "tls",
  udp?: UdpReply,
): ExchangeFacts {
  return {
    upstream: request.server,
    transport,
    protection: "clear",
    authenticatedBy: undefined,
    connectionReused: false,
    sessionResumed: false,
    security: undefined,
    connectMs: 0,
    handshakeMs: 0,
    exchangeMs: udp?.exchangeMs ?? 0,
    queryOctets: udp?.queryOctets ?? 0,
    replyOctets: udp?.octets.length ?? 0,
    retriedOverTcp: false,
  };
}

/** Facts of an exchange over a connection. */
export function streamFacts(
  request: ExchangeRequest,
  transport: "tcp" | "tls",
  known: LinkFacts | undefined,
  reply: Extract<QueryOutcome, { kind: "reply" }>,
): ExchangeFacts {
  const authentication = known?.authentication;
  const isAuthenticated = authentication?.isAuthenticated === true;
  const protection: Protection =
    known?.security === undefined ? "clear" : isAuthenticated ? "authenticated" : "encrypted";
  return {
    ...clearFacts(request, transport),
    protection,
    authenticatedBy: isAuthenticated ? authentication.by : undefined,
    connectionReused: reply.isReused,
    sessionResumed: known?.security?.resumed ?? false,
    security: known?.security,
    connectMs: reply.isReused ? 0 : (known?.connectMs ?? 0),
    handshakeMs: reply.isReused ? 0 : (known?.handshakeMs ?? 0),
    exchangeMs: reply.receivedAtMs - reply.sentAtMs,
    replyOctets: reply.octets.length,
  };
}

/** A truncated datagram may be cut within a record: then header and question are what there is. */
export function decodeReply(octets: Uint8Array, question: Question): Parsed<Message> {
  const message = tryDecodeMessage(octets, question.name);
  if (message.ok) return message;
  const view = new MessageView();
  view.reset(octets);
  if (!view.isTruncated) return message;
  return parsed(
    makeMessage({
      id: view.id,
      isResponse: true,
      isTruncated: true,
      recursionDesired: view.recursionDesired,
      rcode: view.flags & 0xf,
      questions: [question],
    }),
  );
}
