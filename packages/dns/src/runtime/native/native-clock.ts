/** The portable clock, which knows when the native engine has looked at all that has arrived. */
import { NodeClock } from "../node/node-clock.ts";
import type { NativeLoop } from "./native-loop.ts";

export class NativeClock extends NodeClock {
  readonly #loop: Pick<NativeLoop, "isInTurn" | "atTurnEnd">;

  constructor(loop: Pick<NativeLoop, "isInTurn" | "atTurnEnd">) {
    super();
    this.#loop = loop;
  }

  /** An immediate asked for in a turn, which is one itself, would come a round of Node's loop later. */
  override afterArrivals(run: () => void): void {
    if (this.#loop.isInTurn) this.#loop.atTurnEnd(run);
    else super.afterArrivals(run);
  }
}
