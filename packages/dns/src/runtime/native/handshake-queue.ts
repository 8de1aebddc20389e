/** Handshakes in the order of arrival, a few in each turn: a flood of them must not stop those who are served already. */
import type { NativeLoop, Task } from "./native-loop.ts";

/** Something that goes on with its handshake. */
export interface Handshake {
  shakeHands(): void;
}

/** What is needed of the loop. */
export type Turns = Pick<NativeLoop, "turn" | "nextTurn">;

/** One for each listener, whose limit of handshakes is that of what waits here. */
export class HandshakeQueue implements Task {
  readonly #loop: Turns;
  #waiting: Handshake[] = [];
  #turn = 0;
  #doneInTurn = 0;
  #isPlanned = false;

  constructor(loop: Turns) {
    this.#loop = loop;
  }

  /** At once when this turn has room, else in one of the next. */
  add(handshake: Handshake): void {
    if (this.#waiting.length > 0 || this.#leftInTurn() === 0) {
      this.#waiting.push(handshake);
      this.#plan();
      return;
    }
    this.#doneInTurn++;
    handshake.shakeHands();
  }

  /** The next turn has come. */
  run(): void {
    this.#isPlanned = false;
    const next = this.#waiting.splice(0, this.#leftInTurn());
    this.#doneInTurn += next.length;
    if (this.#waiting.length > 0) this.#plan();
    for (const handshake of next) handshake.shakeHands();
  }

  #leftInTurn(): number {
    const { turn } = this.#loop;
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#doneInTurn = 0;
    }
    return HANDSHAKES_PER_TURN - this.#doneInTurn;
  }

  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    this.#loop.nextTurn(this);
  }
}

/** Each takes a quarter of a millisecond, in which nobody else is answered. */
const HANDSHAKES_PER_TURN = 2;
