/** One cell of the tables of 2016, with what was observed. */

/** A row, whose it is, and what speaks for the colour. */
export interface Cell {
  readonly side: "server" | "stub" | "front end";
  readonly row: string;
  readonly isGreen: boolean;
  /** What was observed, a sentence each: octets, times, counters. */
  readonly evidence: readonly string[];
}

/** Collects observations of one cell: it is green when all of them hold. */
export class Observations {
  readonly #evidence: string[] = [];
  #isGreen = true;

  /** Notes what was seen; a false one makes the cell red. */
  see(isRight: boolean, text: string): void {
    this.#evidence.push(isRight ? text : `NOT: ${text}`);
    if (!isRight) this.#isGreen = false;
  }

  cell(side: Cell["side"], row: string): Cell {
    return { side, row, isGreen: this.#isGreen && this.#evidence.length > 0, evidence: this.#evidence };
  }
}
