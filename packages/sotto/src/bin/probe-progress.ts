/** One line on the terminal that says how far a probe is; on anything else nothing. */
import type { ProgramIo } from "../operations/index.ts";
import { type Cell, verdictText, visible } from "../tools/probe/index.ts";

/** Characters of the line; a longer one would wrap and could not be taken back. */
const LINE_CHARACTERS_MAX = 78;

export class ProbeProgress {
  readonly #stderr: ProgramIo["stderr"];
  #cells = 0;
  #isShown = false;

  constructor(stderr: ProgramIo["stderr"]) {
    this.#stderr = stderr;
  }

  /** A cell is known. */
  tell(title: string, cell: Cell): void {
    if (this.#stderr.isTTY !== true) return;
    this.#cells++;
    const line = `${this.#cells} ${visible(title)}: ${visible(cell.row)} ${verdictText(cell.verdict)}`;
    this.#stderr.write(`\r\u001b[K${[...line].slice(0, LINE_CHARACTERS_MAX).join("")}`);
    this.#isShown = true;
  }

  /** Takes the line back. */
  clear(): void {
    if (this.#isShown) this.#stderr.write("\r\u001b[K");
    this.#isShown = false;
  }
}
