/**
 * Which ends of names are shared by so many that an octet or two stand for them: `com` and `co.uk`, and in another list those under
 * which a provider gives names away. A few uses that come close together show them; who comes when all codes are given away has none.
 */
export class SharedSuffixes {
  readonly #codesMax: number;
  /** What each code stands for. */
  readonly #refs: number[] = [];
  readonly #codes = new Map<number, number>();
  /** Those that were used of late, each in the only place that it may have, and how often. */
  readonly #candidates = new Int32Array(CANDIDATES);
  readonly #uses = new Uint8Array(CANDIDATES);

  constructor(codesMax: number) {
    this.#codesMax = codesMax;
  }

  /** The code of the suffix whose text is at `ref`, from 0 on; -1 when it has none. */
  codeOf(ref: number): number {
    return this.#codes.get(ref) ?? -1;
  }

  /** What a code stands for. */
  refOf(code: number): number {
    return this.#refs[code] ?? 0;
  }

  /** Takes note that a suffix without code was used. */
  note(ref: number): void {
    if (this.#refs.length >= this.#codesMax) return;
    const place = (Math.imul(ref, SPREAD) >>> 16) % CANDIDATES;
    const uses = this.#uses[place] ?? 0;
    if (this.#candidates[place] !== ref) {
      // The one that is there gives way when it is not used as often as others come by.
      this.#uses[place] = uses > 0 ? uses - 1 : 1;
      if (uses === 0) this.#candidates[place] = ref;
      return;
    }
    this.#uses[place] = uses + 1;
    if (uses + 1 < USES_WANTED) return;
    this.#codes.set(ref, this.#refs.push(ref) - 1);
    this.#uses[place] = 0;
  }

  /** Bytes of the typed arrays. */
  get bytes(): number {
    return this.#candidates.byteLength + this.#uses.byteLength;
  }
}

const CANDIDATES = 64;
const USES_WANTED = 4;
/** Odd, with bits all over. */
const SPREAD = 0x9e37_79b1;
