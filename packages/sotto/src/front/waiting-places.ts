/**
 * Places for queries that wait: for backends, or because a rule delays them. Nobody who shall wait keeps places from those who need
 * not: with half of them taken by delays the next is none.
 */
import type { Clock } from "@sotto/dns/runtime";

/** See the head of this file. */
export class WaitingPlaces {
  readonly #clock: Clock;
  readonly #placesMax: number;
  #taken = 0;
  #delayed = 0;
  #whenIdle: (() => void)[] = [];

  constructor(placesMax: number, clock: Clock) {
    this.#placesMax = placesMax;
    this.#clock = clock;
  }

  get taken(): number {
    return this.#taken;
  }

  get areFull(): boolean {
    return this.#taken >= this.#placesMax;
  }

  take(): void {
    this.#taken++;
  }

  /** Before the answer goes to its client, which may ask again at once; {@link tellIdle} comes behind it. */
  free(): void {
    this.#taken--;
  }

  /** Tells those who wait for it, when all places are free. */
  tellIdle(): void {
    if (this.#taken === 0) for (const settled of this.#whenIdle.splice(0)) settled();
  }

  /** Resolves when nobody waits. */
  idle(): Promise<void> {
    return this.#taken === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** How long an answer is to wait, of what a rule wants. */
  delayMsOf(wantedMs: number): number {
    return this.#delayed * 2 < this.#placesMax ? wantedMs : 0;
  }

  /** Starts a delay for somebody who has a place, and keeps it. */
  delay(delayMs: number, then: () => void): void {
    this.#delayed++;
    const over = (): void => {
      this.#delayed--;
      then();
    };
    this.#clock.startTimer("front delay", delayMs, over, true);
  }
}
