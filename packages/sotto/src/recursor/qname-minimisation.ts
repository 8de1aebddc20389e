/**
 * How much of a name a server is told (RFC 9156): one label more than its zone, then more and more until a referral or the
 * whole name. One object lives as long as one name is resolved; aliases begin anew.
 */
import type { RRsetCache } from "@sotto/dns/cache";
import { type Name, RRType } from "@sotto/dns/wire";
import { type Sought, soughtKey } from "./outcome.ts";

export type MinimisationMode = "relaxed" | "strict" | "off";

export class QnameMinimisation {
  readonly #sought: Sought;
  readonly #name: Name;
  readonly #mode: MinimisationMode;
  readonly #rrsets: RRsetCache;
  #steps = 0;
  #isGivenUp = false;
  #type: RRType = RRType.A;

  constructor(sought: Sought, mode: MinimisationMode, rrsets: RRsetCache) {
    this.#sought = sought;
    this.#name = sought.name;
    this.#mode = mode;
    this.#rrsets = rrsets;
  }

  get isStrict(): boolean {
    return this.#mode === "strict";
  }

  /**
   * Servers that do not answer for addresses of shorter names may do so for NS, and there are some that know nothing else
   * (RFC 9156 §2.1 leaves the type open). False when that was tried.
   */
  tryOtherType(): boolean {
    if (this.#type === RRType.NS || this.#isGivenUp) return false;
    this.#type = RRType.NS;
    return true;
  }

  /** From now on the whole name is asked for: a server could not cope (RFC 9156 §2.3 step 6, §3). */
  giveUp(): void {
    this.#isGivenUp = true;
  }

  /**
   * What to ask the servers of a zone next, when names of `known` labels are known to be inside it; the very question at
   * the end. Names that the cache knows to exist are passed over.
   */
  next(zone: Name, known: number): Sought {
    const labels = this.#name.labelCount;
    const from = Math.max(zone.labelCount, known);
    if (this.#mode === "off" || this.#isGivenUp) return this.#sought;
    for (
      let count = from + this.#stride(labels - from);
      count < labels;
      count += this.#stride(labels - count)
    ) {
      this.#steps++;
      // RFC 9156 §2.1: A is what everybody asks for, so it tells least and works best.
      if (!this.#rrsets.isKnownToExist(this.#name.suffixKey(count), this.#type))
        return { name: this.#name.suffix(count), type: this.#type };
    }
    return this.#sought;
  }

  /** RFC 9156 §2.3: at most ten queries, of which the first four add one label each and the others share the rest. */
  #stride(labelsLeft: number): number {
    if (this.#steps < ONE_LABEL_STEPS) return 1;
    const stepsLeft = Math.max(1, STEPS_MAX - this.#steps);
    return Math.max(1, Math.ceil(labelsLeft / stepsLeft));
  }

  /** True when this is the question itself and not a shorter one. */
  isWhole(asked: Sought): boolean {
    return asked === this.#sought || soughtKey(asked) === soughtKey(this.#sought);
  }
}

/** RFC 9156 §2.3 MINIMISE_ONE_LAB. */
const ONE_LABEL_STEPS = 4;
/** RFC 9156 §2.3 MAX_MINIMISE_COUNT. */
const STEPS_MAX = 10;
