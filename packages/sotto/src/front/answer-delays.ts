/**
 * Answers that rules delay. Nobody who shall wait keeps places from those who need not: with half of them taken by delays the next is none.
 */
import type { Clock } from "@sotto/dns/runtime";

/** See the head of this file. */
export class AnswerDelays {
  readonly #clock: Clock;
  readonly #placesMax: number;
  #waiting = 0;

  constructor(placesMax: number, clock: Clock) {
    this.#placesMax = placesMax;
    this.#clock = clock;
  }

  /** How long an answer is to wait, of what a rule wants. */
  lengthOf(delayMs: number): number {
    return this.#waiting * 2 < this.#placesMax ? delayMs : 0;
  }

  start(delayMs: number, then: () => void): void {
    this.#waiting++;
    const over = (): void => {
      this.#waiting--;
      then();
    };
    this.#clock.startTimer("front delay", delayMs, over, true);
  }
}
