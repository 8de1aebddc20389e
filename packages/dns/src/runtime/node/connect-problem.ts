/** Why no connection came about, in the words of both engines. */
import { DnsError } from "../dns-error.ts";
import type { ConnectStage, Endpoint } from "../network.ts";
import { endpointText } from "./system-problem.ts";

/** What was tried, for messages. */
export function attemptText(stage: ConnectStage, remote: Endpoint): string {
  return `${stage === "connect" ? "TCP connection" : "TLS handshake"} with ${endpointText(remote)}`;
}

export function gaveUp(stage: ConnectStage, remote: Endpoint): DnsError {
  return new DnsError("ERR_ABORTED", `connection with ${endpointText(remote)} was given up by the caller`, {
    stage,
  });
}

export function tookTooLong(stage: ConnectStage, remote: Endpoint, timeoutMs: number): DnsError {
  return new DnsError(
    "ERR_CONNECT_TIMEOUT",
    `${attemptText(stage, remote)}: no answer within ${Math.round(timeoutMs)} ms`,
    { stage },
  );
}
