/** Seeded mutation of octets: the same seed gives the same mutants on every machine. */

/** Mulberry32: 32 bits of state, good enough to choose mutations. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A whole number from 0 to `limit` - 1. */
  roll(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }
}

/** Values that break things: ends of ranges, label types, pointers, lengths. */
const NASTY = [0, 1, 2, 3, 12, 41, 63, 64, 127, 128, 191, 192, 193, 254, 255];

/** One to four changes to one of the seeds. */
export function mutate(seeds: readonly Uint8Array[], dice: Dice): Uint8Array {
  let octets = Uint8Array.from(seeds[dice.roll(seeds.length)] ?? []);
  for (let changes = 1 + dice.roll(4); changes > 0; changes--) octets = change(octets, seeds, dice);
  return octets;
}

function change(octets: Uint8Array, seeds: readonly Uint8Array[], dice: Dice): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(octets);
  const at = dice.roll(octets.length + 1);
  switch (dice.roll(9)) {
    case 0:
      copy[at] = (copy[at] ?? 0) ^ (1 << dice.roll(8));
      return copy;
    case 1:
      copy[at] = NASTY[dice.roll(NASTY.length)] ?? 0;
      return copy;
    case 2:
      copy[at] = dice.roll(256);
      return copy;
    case 3:
      // A pointer to anywhere near.
      copy[at] = 0xc0 | (dice.roll(8) === 0 ? dice.roll(64) : 0);
      copy[at + 1] = dice.roll(Math.min(256, octets.length + 2));
      return copy;
    case 4:
      return copy.slice(0, at);
    case 5:
      return join(copy.subarray(0, at), copy.subarray(at + 1 + dice.roll(12)));
    case 6:
      return join(
        copy.subarray(0, at),
        Uint8Array.from({ length: 1 + dice.roll(6) }, () => dice.roll(256)),
        copy.subarray(at),
      );
    case 7: {
      // A piece of this one again: records twice, options twice.
      const end = Math.min(octets.length, at + dice.roll(40));
      return join(copy.subarray(0, end), copy.subarray(at, end), copy.subarray(end));
    }
    default: {
      const other = seeds[dice.roll(seeds.length)] ?? octets;
      return join(copy.subarray(0, at), other.subarray(dice.roll(other.length + 1)));
    }
  }
}

function join(...pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
