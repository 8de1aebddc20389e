/**
 * The key of a cached reply: lower-cased qname, qtype, qclass, DO and CD, and a hash of it. The hash is multilinear over
 * octet pairs with secret multipliers, two lanes of 16 bits: whoever does not know them cannot choose names that collide.
 */
import type { Random } from "@sotto/dns/runtime";
import { HEADER_OCTETS, lowerOctet, type MessageView, NAME_OCTETS_MAX, uint32At } from "@sotto/dns/wire";

/** Octets behind the name: type, class, flags. */
export const KEY_TAIL_OCTETS = 5;
const KEY_OCTETS_MAX = NAME_OCTETS_MAX + KEY_TAIL_OCTETS;
/** Pairs of the longest name, and type, class and flags before them. */
const WORDS_MAX = 3 + (NAME_OCTETS_MAX + 1) / 2;

/** The key of one question at a time; reused, so that a look-up makes no garbage. */
export class MessageKey {
  readonly octets: Uint8Array = new Uint8Array(KEY_OCTETS_MAX);
  /** Octets in use. */
  length = 0;
  /** 32 bits. */
  hash = 0;
  readonly #high: Int32Array;
  readonly #low: Int32Array;
  readonly #startHigh: number;
  readonly #startLow: number;

  constructor(random: Random) {
    this.#high = secretWords(random, WORDS_MAX);
    this.#low = secretWords(random, WORDS_MAX);
    this.#startHigh = secretWords(random, 1)[0] ?? 0;
    this.#startLow = secretWords(random, 1)[0] ?? 0;
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
    return ((a & 0xffff_0000) | (b >>> 16)) >>> 0;
  }

  /** True when the key stands at `at` of `bytes`. */
  standsAt(bytes: Uint8Array, at: number): boolean {
    for (let i = 0; i < this.length; i++) if (bytes[at + i] !== this.octets[i]) return false;
    return true;
  }
}

function secretWords(random: Random, count: number): Int32Array {
  const octets = random.octets(count * 4);
  return Int32Array.from({ length: count }, (_, i) => uint32At(octets, i * 4));
}
