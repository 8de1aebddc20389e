/**
 * Round trips of servers over UDP, and how long to wait for a reply before the query is sent again (RFC 6298): a lost
 * datagram to a near server should not cost the second that a far one needs.
 */

interface Estimate {
  readonly smoothedMs: number;
  readonly variationMs: number;
}

/** See the head of this file. */
export class RoundTrips {
  /** By address and port, least recently measured first. */
  readonly #estimates = new Map<string, Estimate>();
  /** The last of them, which need not be moved there: a stub has one server, and a map that is written anew each time makes garbage. */
  #latest: string | undefined = undefined;

  /**
   * Milliseconds from the first sending: of a query that was sent again nobody knows which sending was answered, and
   * too long is better than too short, or a server that has become slow would be asked twice for ever.
   */
  note(server: string, roundTripMs: number): void {
    const known = this.#estimates.get(server);
    if (server !== this.#latest) this.#estimates.delete(server);
    this.#latest = server;
    this.#estimates.set(server, known === undefined ? first(roundTripMs) : next(known, roundTripMs));
    if (this.#estimates.size <= SERVERS_MAX) return;
    const [oldest] = this.#estimates.keys();
    if (oldest !== undefined) this.#estimates.delete(oldest);
  }

  /** No reply at all: what was measured need not be true any more. */
  forget(server: string): void {
    this.#estimates.delete(server);
  }

  forgetAll(): void {
    this.#estimates.clear();
  }

  /** Milliseconds until the second sending, never more than `mostMs`, which is for servers that are not known. */
  patienceMs(server: string, mostMs: number): number {
    const known = this.#estimates.get(server);
    if (known === undefined) return mostMs;
    return Math.min(mostMs, Math.max(PATIENCE_MS_MIN, known.smoothedMs + 4 * known.variationMs));
  }
}

function first(roundTripMs: number): Estimate {
  return { smoothedMs: roundTripMs, variationMs: roundTripMs / 2 };
}

/** RFC 6298 §2.3. */
function next(known: Estimate, roundTripMs: number): Estimate {
  return {
    smoothedMs: known.smoothedMs + (roundTripMs - known.smoothedMs) / 8,
    variationMs: known.variationMs + (Math.abs(known.smoothedMs - roundTripMs) - known.variationMs) / 4,
  };
}

/** A resolver that has to ask others itself needs so long more often than not: sooner would only double its queries. */
const PATIENCE_MS_MIN = 250;
/** As many as are remembered in other ways. */
const SERVERS_MAX = 2000;
