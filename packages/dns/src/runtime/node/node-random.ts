import { randomFillSync } from "node:crypto";
import type { Random } from "../random.ts";

/** One call of the system's generator costs more than many octets: they are drawn in blocks. */
const POOL_OCTETS = 4096;

/** The system's cryptographic generator. */
export class NodeRandom implements Random {
  readonly #pool = new Uint8Array(POOL_OCTETS);
  #used = POOL_OCTETS;

  #take(count: number): number {
    if (this.#used + count > POOL_OCTETS) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += count;
    return at;
  }

  uint16(): number {
    const at = this.#take(2);
    return ((this.#pool[at] ?? 0) << 8) | (this.#pool[at + 1] ?? 0);
  }

  #uint32(): number {
    return this.uint16() * 0x1_0000 + this.uint16();
  }

  below(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 0x1_0000_0000)
      throw new RangeError("bound is not from 1 to 2^32");
    // Values of the incomplete last range would be drawn too often.
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % bound);
    for (;;) {
      const value = this.#uint32();
      if (value < limit) return value % bound;
    }
  }

  octets(count: number): Uint8Array {
    if (count > POOL_OCTETS) return randomFillSync(new Uint8Array(count));
    const at = this.#take(count);
    return this.#pool.slice(at, at + count);
  }
}
