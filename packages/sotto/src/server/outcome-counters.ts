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

/** Place of each count within its row. */
const COLUMNS: Readonly<Record<QueryOutcome, number>> = {
  "answered from cache": 0,
  answered: 1,
  refused: 2,
  malformed: 3,
  "not implemented": 4,
  dropped: 5,
  failed: 6,
  bug: 7,
};
const COLUMNS_PER_ROW = 8;
/** Where the counts of each transport begin. */
const ROWS: Readonly<Record<Transport, number>> = {
  udp: 0,
  tcp: COLUMNS_PER_ROW,
  tls: 2 * COLUMNS_PER_ROW,
  internal: 3 * COLUMNS_PER_ROW,
  https: 4 * COLUMNS_PER_ROW,
};

/** Cells that a tally needs. */
export const TALLY_CELLS = 5 * COLUMNS_PER_ROW;

/**
 * Counts in memory that other threads may read while it counts, and that is still there when the thread has died: whoever
 * takes its place goes on with the same. One thread writes.
 */
export class OutcomeTally {
  readonly #cells: Float64Array;

  /** Throws a RangeError when there are fewer than {@link TALLY_CELLS} cells. */
  constructor(cells: Float64Array = new Float64Array(TALLY_CELLS)) {
    if (cells.length < TALLY_CELLS) throw new RangeError("too few cells for a tally");
    this.#cells = cells;
  }

  count(transport: Transport, outcome: QueryOutcome): void {
    const cell = ROWS[transport] + COLUMNS[outcome];
    this.#cells[cell] = (this.#cells[cell] ?? 0) + 1;
  }

  /** As they are now. */
  get counters(): OutcomeCounters {
    return {
      udp: this.#row("udp"),
      tcp: this.#row("tcp"),
      tls: this.#row("tls"),
      https: this.#row("https"),
      internal: this.#row("internal"),
    };
  }

  #row(transport: Transport): Record<QueryOutcome, number> {
    const at = (outcome: QueryOutcome): number => this.#cells[ROWS[transport] + COLUMNS[outcome]] ?? 0;
    return {
      "answered from cache": at("answered from cache"),
      answered: at("answered"),
      refused: at("refused"),
      malformed: at("malformed"),
      "not implemented": at("not implemented"),
      dropped: at("dropped"),
      failed: at("failed"),
      bug: at("bug"),
    };
  }
}
