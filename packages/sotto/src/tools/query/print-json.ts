/** A reply as JSON: the message as RFC 8427 writes it, and beside it what dig has no words for. One object per line. */
import type { DnsError } from "@sotto/dns/runtime";
import { messageToJson, rrTypeToText } from "@sotto/dns/wire";
import type { QuerySpec } from "./arguments.ts";
import type { Answered } from "./print-text.ts";

/** One line of JSON for an answered query. Times are milliseconds. */
export function replyJson(answered: Answered): string {
  const { facts } = answered;
  const { security } = facts;
  return line({
    server: answered.server,
    time: new Date(answered.wallMs).toISOString(),
    message: messageToJson(answered.message),
    exchange: {
      address: facts.upstream.address,
      port: facts.upstream.port,
      transport: facts.transport,
      protection: facts.protection,
      authenticatedBy: facts.authenticatedBy ?? null,
      connectionReused: facts.connectionReused,
      sessionResumed: facts.sessionResumed,
      retriedOverTcp: facts.retriedOverTcp,
      connectMs: facts.connectMs,
      handshakeMs: facts.handshakeMs,
      exchangeMs: facts.exchangeMs,
      queryOctets: facts.queryOctets,
      replyOctets: facts.replyOctets,
      tls:
        security === undefined
          ? null
          : {
              protocol: security.protocol,
              cipher: security.cipher,
              group: security.group ?? null,
              alpn: security.alpn ?? null,
              pinSeen: security.peerChain[0]?.spkiSha256 ?? null,
            },
    },
  });
}

/** One line of JSON for a query without an answer. */
export function failureJson(spec: QuerySpec, error: DnsError): string {
  return line({
    server: spec.server ?? null,
    question: { name: spec.name.toString(), type: rrTypeToText(spec.type) },
    error: { code: error.code, stage: error.stage ?? null, message: error.message },
  });
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
