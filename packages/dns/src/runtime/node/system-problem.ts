/** From what Node reports to a `DnsError` with a stable code, the stage and a sentence that names the peer. */
import { DnsError, type DnsErrorCode } from "../dns-error.ts";
import type { Endpoint } from "../network.ts";

const CODES: Readonly<Record<string, DnsErrorCode>> = {
  ECONNREFUSED: "ERR_CONNECT_REFUSED",
  ETIMEDOUT: "ERR_CONNECT_TIMEOUT",
  EHOSTUNREACH: "ERR_UNREACHABLE",
  ENETUNREACH: "ERR_UNREACHABLE",
  EADDRNOTAVAIL: "ERR_ADDRESS_NOT_AVAILABLE",
  EADDRINUSE: "ERR_ADDRESS_IN_USE",
  EACCES: "ERR_PERMISSION",
  EPERM: "ERR_PERMISSION",
  ECONNRESET: "ERR_CONNECTION_LOST",
  EPIPE: "ERR_CONNECTION_LOST",
  ECONNABORTED: "ERR_CONNECTION_LOST",
};

/** What a person can do about it. */
const HELP: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there; stop it or choose another port",
  EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE",
  EADDRNOTAVAIL: "no interface of this machine has that address",
};

/** `192.0.2.1 port 53` or `2001:db8::1 port 53`. */
export function endpointText(endpoint: Endpoint): string {
  return `${endpoint.address} port ${endpoint.port}`;
}

/** The errno name of an error, empty when it has none. */
function errnoOf(problem: unknown): string {
  return typeof problem === "object" && problem !== null && "code" in problem ? String(problem.code) : "";
}

/** Wraps what a socket reported. `fallback` is the code for what has no better one. */
export function toDnsError(
  problem: unknown,
  what: string,
  stage: string,
  fallback: DnsErrorCode = "ERR_SYSTEM",
): DnsError {
  if (DnsError.is(problem)) return problem;
  const errno = errnoOf(problem);
  const why = problem instanceof Error ? wordsOf(problem) : String(problem);
  const help = HELP[errno];
  return new DnsError(CODES[errno] ?? fallback, `${what}: ${why}${help === undefined ? "" : ` (${help})`}`, {
    cause: problem,
    stage,
  });
}

/** OpenSSL's messages are lines of numbers and files around the reason, which Node gives beside them. */
function wordsOf(problem: Error): string {
  const isOpenSsl =
    "reason" in problem && typeof problem.reason === "string" && /:error:/.test(problem.message);
  return isOpenSsl ? String(problem.reason) : problem.message;
}

/** The peer's certificates hold something that Node cannot read. */
export function unreadable(what: string, cause: unknown): DnsError {
  const why = cause instanceof Error ? wordsOf(cause) : String(cause);
  return new DnsError("ERR_TLS_HANDSHAKE", `${what}: the peer's certificates cannot be read: ${why}`, {
    cause,
    stage: "handshake",
  });
}

/** Why a client's handshake failed: the alert it sent, or what OpenSSL disliked, in words. */
export function handshakeProblem(problem: Error): DnsError {
  const reason = "reason" in problem && typeof problem.reason === "string" ? problem.reason : problem.message;
  const alert = /alert (.+)$/.exec(reason)?.[1];
  const why =
    alert !== undefined
      ? `the client ended it with the alert "${alert}"`
      : errnoOf(problem) === "ECONNRESET"
        ? "the client closed the connection before its end"
        : reason;
  return toDnsError(new Error(why, { cause: problem }), "TLS handshake", "handshake", "ERR_TLS_HANDSHAKE");
}
