/** How a client takes the edns-tcp-keepalive option of a reply over TCP or TLS (RFC 7828 §3.2.2). */
import { KEEPALIVE_UNIT_MS, tryReadKeepalive } from "@sotto/dns/wire";

interface KeepaliveLimits {
  /** Without keepalive, milliseconds. */
  readonly idleTimeoutMs: number;
  /** The most that is honoured, milliseconds. */
  readonly keepaliveMsMax: number;
}

/**
 * The idle timeout after a reply, milliseconds, or `drain` when the server wants the connection closed. `data` is that
 * of the reply's option, undefined when it has none. An option without a timeout, which only clients send, or of
 * another length counts as none.
 */
export function idleTimeoutAfterReply(
  data: Uint8Array | undefined,
  wasAsked: boolean,
  currentMs: number,
  limits: KeepaliveLimits,
): number | "drain" {
  const timeoutMs = promisedIdleMs(data);
  // Asked and not answered: the server does not support it, whatever it said before.
  if (timeoutMs === undefined) return wasAsked ? limits.idleTimeoutMs : currentMs;
  if (timeoutMs === 0) return "drain";
  // Closing starts before the server's timer ends, which began half a round trip before ours.
  return Math.min(timeoutMs - Math.min(timeoutMs / 2, CLOSE_EARLY_MS), limits.keepaliveMsMax);
}

/** What the option of a reply promises, milliseconds; undefined when it promises nothing. */
export function promisedIdleMs(data: Uint8Array | undefined): number | undefined {
  const timeout = data === undefined ? undefined : tryReadKeepalive(data);
  const units = timeout?.ok === true ? timeout.value : undefined;
  return units === undefined ? undefined : units * KEEPALIVE_UNIT_MS;
}

/** More than a round trip to nearly every server. */
const CLOSE_EARLY_MS = 1000;
