/**
 * The key of a cached reply: lower-cased qname, qtype, qclass, DO and CD, and a hash of it. The hash is multilinear over
 * octet pairs with secret multipliers, two lanes of 16 bits: whoever does not know them cannot choose names that collide.
 */
import { HEADER_OCTETS, lowerOctet, type MessageView, NAME_OCTETS_MAX, uint32At } from "@sotto/dns/wire";

/** Octets behind the name: type, class, flags. */
export const KEY_TAIL_OCTETS = 5;
const KEY_OCTETS_MAX = NAME_OCTETS_MAX + KEY_TAIL_OCTETS;
/** Pairs of the longest name, and type, class and flags before them. */
const WORDS_MAX = 3 + (NAME_OCTETS_MAX + 1) / 2;

/** Octets of chance that {@link MessageKey} takes. */
export const KEY_SECRET_OCTETS: number = 4 * (2 * WORDS_MAX + 2);

/** The key of one question at a time; reused, so that a look-up makes no garbage. */
export class MessageKey {
  readonly octets: Uint8Array = new Uint8Array(4 * keyWords(KEY_OCTETS_MAX));
  /** The same memory as words; the octets of the last word that are not in use are zeros. */
  readonly words: Int32Array = new Int32Array(this.octets.buffer);
  /** Octets in use. */
  length = 0;
  /** 32 bits, signed. */
  hash = 0;
  readonly #high: Int32Array;
  readonly #low: Int32Array;
  readonly #startHigh: number;
  readonly #startLow: number;

  /** `secret` has {@link KEY_SECRET_OCTETS}. */
  constructor(secret: Uint8Array) {
    const wordAt = (i: number): number => uint32At(secret, 4 * i);
    this.#high = Int32Array.from({ length: WORDS_MAX }, (_, i) => wordAt(i));
    this.#low = Int32Array.from({ length: WORDS_MAX }, (_, i) => wordAt(WORDS_MAX + i));
    this.#startHigh = wordAt(2 * WORDS_MAX) | 0;
    this.#startLow = wordAt(2 * WORDS_MAX + 1) | 0;
  }

  /** Takes the question, DO and CD of a view that has exactly one question. */
  set(view: MessageView): void {
    const { qnameOctets, qtype, qclass } = view;
    const flags = (view.dnssecOk ? 1 : 0) | (view.checkingDisabled ? 2 : 0);
    this.#copyName(view.octets, qnameOctets);
    const key = this.octets;
    key[qnameOctets] = qtype >>> 8;
    key[qnameOctets + 1] = qtype;
    key[qnameOctets + 2] = qclass >>> 8;
    key[qnameOctets + 3] = qclass;
    key[qnameOctets + 4] = flags;
    // Past the end, so that whole words can be compared; a typed array ignores what is past its own end.
    key[qnameOctets + 5] = 0;
    key[qnameOctets + 6] = 0;
    key[qnameOctets + 7] = 0;
    this.length = qnameOctets + KEY_TAIL_OCTETS;
    this.hash = this.#hashOf(qnameOctets, qtype, qclass, flags);
  }

  #copyName(octets: Uint8Array, nameOctets: number): void {
    for (let i = 0; i < nameOctets; i++) this.octets[i] = lowerOctet(octets[HEADER_OCTETS + i] ?? 0);
  }

  #hashOf(nameOctets: number, qtype: number, qclass: number, flags: number): number {
    const high = this.#high;
    const low = this.#low;
    let a =
      (this.#startHigh +
        Math.imul(high[0] ?? 0, qtype) +
        Math.imul(high[1] ?? 0, qclass) +
        Math.imul(high[2] ?? 0, flags)) |
      0;
    let b =
      (this.#startLow +
        Math.imul(low[0] ?? 0, qtype) +
        Math.imul(low[1] ?? 0, qclass) +
        Math.imul(low[2] ?? 0, flags)) |
      0;
    let word = 3;
    for (let i = 0; i < nameOctets; i += 2, word++) {
      // A name ends in a zero octet, so a zero for the missing half of the last pair changes nothing.
      const pair = ((this.octets[i] ?? 0) << 8) | (i + 1 < nameOctets ? (this.octets[i + 1] ?? 0) : 0);
      a = (a + Math.imul(high[word] ?? 0, pair)) | 0;
      b = (b + Math.imul(low[word] ?? 0, pair)) | 0;
    }
    // Only the upper halves of such sums are well spread.
    return (a & 0xffff_0000) | (b >>> 16);
  }

  /** True when the key stands at `at` of `words`, zeros behind it up to the next word. */
  standsAt(words: Int32Array, at: number): boolean {
    for (let i = 0, end = keyWords(this.length); i < end; i++)
      if (words[at + i] !== this.words[i]) return false;
    return true;
  }
}

/** Words that a key of so many octets takes. */
export function keyWords(octets: number): number {
  return (octets + 3) >>> 2;
}
