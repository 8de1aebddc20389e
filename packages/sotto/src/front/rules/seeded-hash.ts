/**
 * A fast hash of octets under a secret seed: for tables whose keys strangers choose. It is no cryptography: who cannot see
 * the hashes cannot aim at them, and what collides costs a comparison, never a wrong answer.
 */
import type { Random } from "@sotto/dns/runtime";

/** Secrets of one table. */
export interface HashSeed {
  readonly start: number;
  /** Odd. */
  readonly multiplier: number;
}

/** Draws a seed. */
export function makeHashSeed(random: Random): HashSeed {
  return {
    start: random.below(0x1_0000_0000) | 0,
    // Odd, so that no bit is lost; 5 modulo 8, so that even a poor draw moves all bits.
    multiplier: (random.below(0x1_0000_0000) & ~7) | 5,
  };
}

/** Goes on from `state` over the octets from `start` up to, not including, `end`; 32 bits, signed. */
export function hashOctets(
  octets: Uint8Array,
  start: number,
  end: number,
  state: number,
  multiplier: number,
): number {
  let hash = state;
  for (let i = start; i < end; i++) {
    hash = Math.imul(hash ^ (octets[i] ?? 0), multiplier);
    hash ^= hash >>> 15;
  }
  return hash;
}

/** The same without regard to the case of ASCII letters. Lengths of labels are below 64 and stay what they are. */
export function hashLowered(
  octets: Uint8Array,
  start: number,
  end: number,
  state: number,
  multiplier: number,
): number {
  let hash = state;
  for (let i = start; i < end; i++) {
    hash = Math.imul(hash ^ (LOWER[octets[i] ?? 0] ?? 0), multiplier);
    hash ^= hash >>> 15;
  }
  return hash;
}

/** Lower-case form of every octet (RFC 4343 §3). */
export const LOWER: Uint8Array = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet,
);
