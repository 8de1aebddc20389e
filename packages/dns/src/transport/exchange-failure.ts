/** What goes wrong with an exchange, in words for people: with whom, at which stage, why. */
import { DnsError } from "@sotto/dns/runtime";
import type { FormatProblem } from "@sotto/dns/wire";
import type { QueryOutcome } from "./connection-query.ts";
import type { ExchangeRequest } from "./exchange-request.ts";

function place(request: ExchangeRequest): string {
  return `${request.server.address} port ${request.server.port}`;
}

/** A reply that is no message. */
export function malformed(request: ExchangeRequest, problem: FormatProblem): DnsError {
  return new DnsError("ERR_MESSAGE_MALFORMED", `the reply of ${place(request)} cannot be read: ${problem}`, {
    stage: "query",
  });
}

/** The connection ended first. */
function connectionLost(request: ExchangeRequest, cause: Error | undefined, wasSilent: boolean): DnsError {
  const broke = cause === undefined ? "closed the connection" : "broke the connection";
  const why = wasSilent ? "was silent for too long" : broke;
  return new DnsError("ERR_CONNECTION_LOST", `${place(request)} ${why} before it answered`, {
    stage: "query",
    cause,
  });
}

/** An outcome that no retry mends any more; `isConnected` tells where the time went. */
export function failureOf(
  outcome: Exclude<QueryOutcome, { kind: "reply" }>,
  request: ExchangeRequest,
  isConnected: boolean,
): DnsError {
  switch (outcome.kind) {
    case "malformed":
      return malformed(request, outcome.problem);
    case "timeout":
      return !isConnected
        ? new DnsError("ERR_CONNECT_TIMEOUT", `no connection with ${place(request)} in time`, {
            stage: "connect",
          })
        : new DnsError("ERR_TIMEOUT", `no reply from ${place(request)} over its connection`, {
            stage: "query",
          });
    case "lost":
      return connectionLost(request, outcome.problem, outcome.wasSilent === true);
    case "failed":
      return DnsError.is(outcome.problem)
        ? outcome.problem
        : new DnsError("ERR_SYSTEM", `connecting to ${place(request)} failed`, { cause: outcome.problem });
    case "refused":
      return new DnsError("ERR_QUOTA_EXCEEDED", `too many queries wait for ${place(request)} already`, {
        stage: "query",
      });
  }
}
