/** What became of messages, by transport: each message is counted once. */
import type { Transport } from "@sotto/dns/transport";

/**
 * What became of a message. `refused`: by access, class, kind, or the answer source. `dropped`: no answer was sent.
 * `failed`: SERVFAIL because of the world, time or load; `bug`: because of us.
 */
export type QueryOutcome =
  | "answered from cache"
  | "answered"
  | "refused"
  | "malformed"
  | "not implemented"
  | "dropped"
  | "failed"
  | "bug";

/** Counts since the start. */
export type OutcomeCounters = Readonly<Record<Transport, Record<QueryOutcome, number>>>;

/** All zero. */
export function makeOutcomeCounters(): OutcomeCounters {
  return { udp: zeros(), tcp: zeros(), tls: zeros(), internal: zeros() };
}

function zeros(): Record<QueryOutcome, number> {
  return {
    "answered from cache": 0,
    answered: 0,
    refused: 0,
    malformed: 0,
    "not implemented": 0,
    dropped: 0,
    failed: 0,
    bug: 0,
  };
}
