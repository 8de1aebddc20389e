/** What is told about a stub: its upstreams, a portal that is open, and what its answers were protected by. */
import type { OutcomeCounters } from "../server/index.ts";
import type { ForwardZoneStatus } from "./forwarders.ts";
import type { PortalStatus } from "./portal.ts";

export interface StubStatus {
  /** Undefined for a program that has no portals. */
  readonly portal: PortalStatus | undefined;
  readonly answers: AnswerCounts;
  readonly zones: readonly ForwardZoneStatus[];
}

/** Queries of clients since the start. */
export interface AnswerCounts {
  readonly answered: number;
  /** Of `answered`. */
  readonly fromCache: number;
  /** SERVFAIL because of the world. */
  readonly failed: number;
  readonly refused: number;
}

export function stubStatusOf(
  zones: readonly ForwardZoneStatus[],
  portal: PortalStatus | undefined,
  outcomes: OutcomeCounters,
): StubStatus {
  const counts = { answered: 0, fromCache: 0, failed: 0, refused: 0 };
  for (const { [FROM_CACHE]: fromCache, answered, failed, refused } of Object.values(outcomes)) {
    counts.fromCache += fromCache;
    counts.answered += answered + fromCache;
    counts.failed += failed;
    counts.refused += refused;
  }
  return { portal, answers: counts, zones };
}

const FROM_CACHE = "answered from cache";
