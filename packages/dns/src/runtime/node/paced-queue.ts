/** Work that must not keep others waiting: a few pieces in each turn of the event loop, the rest in the following ones. */

/** See the head of this file; its owner limits how much may wait. */
export class PacedQueue<T> {
  readonly #perTurnMax: number;
  readonly #work: (item: T) => void;
  #waiting: T[] = [];
  #doneThisTurn = 0;
  #isScheduled = false;

  constructor(perTurnMax: number, work: (item: T) => void) {
    this.#perTurnMax = perTurnMax;
    this.#work = work;
  }

  /** What is added now is done now. */
  get hasRoom(): boolean {
    return this.#doneThisTurn < this.#perTurnMax && this.#waiting.length === 0;
  }

  /** Does the work now when this turn has room, else later; first come, first served. */
  add(item: T): void {
    if (this.hasRoom) {
      this.#doneThisTurn++;
      this.#work(item);
    } else this.#waiting.push(item);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const items = this.#waiting.splice(0, this.#perTurnMax);
      this.#doneThisTurn = items.length;
      if (items.length > 0) this.#schedule();
      for (const item of items) this.#work(item);
    });
  }
}
