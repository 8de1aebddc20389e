/** Attempts that wait for a place, oldest first. */
import type { Attempt } from "./attempt.ts";

/** A queue with a limit. What nobody waits for any more leaves it silently. */
export class AttemptQueue {
  readonly #max: number;
  #list: Attempt[] = [];
  #head = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get length(): number {
    return this.#list.length - this.#head;
  }

  get isFull(): boolean {
    this.#dropOver();
    return this.length >= this.#max;
  }

  /** False when there is no room. */
  push(attempt: Attempt): boolean {
    if (this.isFull) return false;
    this.#list.push(attempt);
    return true;
  }

  /** Puts the one back that {@link shift} gave, or one that has been sent before: there are no more of those than were in flight. */
  unshift(attempt: Attempt): void {
    if (this.#head > 0) this.#list[--this.#head] = attempt;
    else this.#list.unshift(attempt);
  }

  /** The oldest that somebody waits for. */
  shift(): Attempt | undefined {
    while (this.#head < this.#list.length) {
      const attempt = this.#advance();
      if (attempt?.isAwaited === true) return attempt;
    }
    return undefined;
  }

  /** All that somebody waits for; they leave. */
  takeAll(): Attempt[] {
    const all = this.#list.slice(this.#head).filter(({ isAwaited }) => isAwaited);
    this.#list = [];
    this.#head = 0;
    return all;
  }

  /** The oldest are over first. */
  #dropOver(): void {
    while (this.#head < this.#list.length && this.#list[this.#head]?.isAwaited === false) this.#advance();
  }

  #advance(): Attempt | undefined {
    const attempt = this.#list[this.#head++];
    if (this.#head === this.#list.length || this.#head >= HEAD_MAX) {
      this.#list = this.#list.slice(this.#head);
      this.#head = 0;
    }
    return attempt;
  }
}

/** Places of the array that may be empty before it is moved. */
const HEAD_MAX = 512;
