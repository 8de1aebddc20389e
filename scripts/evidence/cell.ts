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

/** Longer than any timer that the cells set; an observation that takes this long is not coming. */
const CELL_TIMEOUT_MS = 60_000;

/** Takes one cell: what throws or never ends is a red cell, so that the others are still told. */
export async function takeCell(side: Cell["side"], row: string, take: () => Promise<Cell>): Promise<Cell> {
  let timer: NodeJS.Timeout | undefined;
  const red = (why: string): Cell => ({ side, row, isGreen: false, evidence: [`NOT: ${why}`] });
  const late = new Promise<Cell>((resolve) => {
    timer = setTimeout(() => resolve(red(`nothing more after ${CELL_TIMEOUT_MS / 1000} s`)), CELL_TIMEOUT_MS);
  });
  const taken = take().catch((error: unknown) => red(error instanceof Error ? error.message : String(error)));
  const cell = await Promise.race([taken, late]);
  clearTimeout(timer);
  return cell;
}
