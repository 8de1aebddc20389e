/** One question at one zone: whom it may still ask, what is under way, and what to say when nobody says more. */

import type { Arrival, Inquiry } from "./inquiry.ts";
import type { Scrubbed } from "./scrubber.ts";
import type { ServerSelection } from "./server-selection.ts";

export class ZoneWork {
  readonly selection: ServerSelection;
  readonly inquiry: Inquiry;
  /** The best of the replies that should not be the last word; undefined when there was none. */
  lastResort: Scrubbed | undefined = undefined;
  /** How often other sources than the delegation have been looked at for servers. */
  widened = 0;
  /** Undefined until there is one. */
  #lookUps: Set<Promise<void>> | undefined = undefined;

  constructor(selection: ServerSelection, inquiry: Inquiry) {
    this.selection = selection;
    this.inquiry = inquiry;
  }

  /** True while a reply or an address may still come. */
  get isOpen(): boolean {
    return this.inquiry.isOpen || this.looksUp;
  }

  /**
   * Waits for the first look-up that finds an address, or until all have failed, or for a reply. Look-ups reject when
   * they find nothing; those that take long go on, and what they find is used when it comes.
   */
  waitForAddress(lookUps: readonly Promise<void>[], waitMs: number): Promise<Arrival | undefined> {
    for (const lookUp of lookUps) this.#track(lookUp);
    return this.inquiry.next(waitMs, Promise.any(lookUps));
  }

  /** Waits for a reply, or for one of the look-ups that are under way. */
  waitForAnything(waitMs: number): Promise<Arrival | undefined> {
    return this.inquiry.next(waitMs, Promise.race(this.#lookUps ?? []));
  }

  /** True while addresses are looked up. */
  get looksUp(): boolean {
    return this.#lookUps !== undefined && this.#lookUps.size > 0;
  }

  #track(lookUp: Promise<void>): void {
    this.#lookUps ??= new Set();
    const all = this.#lookUps;
    const done = lookUp
      .catch(() => undefined)
      .then(() => {
        all.delete(done);
      });
    all.add(done);
  }
}
