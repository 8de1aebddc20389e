/** One query to one server: what it asks, and how long it may take. */
import type { InfraCache } from "@sotto/dns/cache";
import type { ExchangeResult } from "@sotto/dns/transport";
import { RRClass } from "@sotto/dns/wire";
import type { Attempt } from "./inquiry.ts";
import type { Sending } from "./iteration-state.ts";
import type { Sought } from "./outcome.ts";

/** The attempt that is made now; its server is one that has been asked from here on. */
export function makeAttempt(sending: Sending, asked: Sought, nowMs: number, deadlineMs: number): Attempt {
  const { candidate, withEdns, recursionDesired, transport } = sending;
  const isFirst = candidate.state === "fresh";
  if (isFirst) candidate.askedAtMs = nowMs;
  candidate.state = "asked";
  if (!withEdns) candidate.wasAskedPlain = true;
  const endMs = Math.min(nowMs + ATTEMPT_MS_MAX, deadlineMs);
  return {
    candidate,
    withEdns,
    recursionDesired,
    transport,
    question: { name: asked.name, type: asked.type, class: RRClass.IN },
    startedAtMs: nowMs,
    deadlineMs:
      transport === "udp" && !isFirst ? Math.min(endMs, candidate.askedAtMs + SILENT_SERVER_MS_MAX) : endMs,
  };
}

/** Milliseconds until another server is asked as well. */
export function patienceFor({ transport, candidate }: Attempt, infra: InfraCache): number {
  return transport === "tcp" ? TCP_PATIENCE_MS : infra.patienceMs(candidate.address);
}

/** Remembers what a reply tells about its server, whatever it says. */
export function noteReply(infra: InfraCache, attempt: Attempt, { facts, message }: ExchangeResult): void {
  const { address } = attempt.candidate;
  // From the last sending: a lost datagram must not make the server look slow.
  if (attempt.transport === "udp") infra.noteReply(address, facts.exchangeMs);
  if (attempt.withEdns && message.edns !== undefined) infra.noteEdns(address, "works");
  const wasSilentWithEdns = !attempt.withEdns && infra.edns(address) === "unknown";
  if (wasSilentWithEdns) infra.noteEdns(address, "none", EDNS_SILENCE_MEMORY_MS);
}

/**
 * How long one exchange may take. Servers that need three seconds exist; a dead server must still be reported before
 * the usual client gives up after five.
 */
export const ATTEMPT_MS_MAX = 4000;
/** The second try, without EDNS, included. */
const SILENT_SERVER_MS_MAX = 4700;
/** A handshake and a reply from the other side of the earth, with one loss; then another server is asked as well. */
const TCP_PATIENCE_MS = 1500;
/** Silence may have been loss, so it is not held against a server for long. */
const EDNS_SILENCE_MEMORY_MS = 300_000;
