/**
 * Positions in a ring that is written round and round. A position counts on from lap to lap instead of starting again, so
 * that whoever holds one can tell whether the ring has been written over since: it is then before the ring's floor.
 *
 * A position has {@link POSITION_BITS} bits: the place in the ring (units of eight octets) in the lower ones, the lap above.
 * Laps wrap round after at least 16, which is after 4 GiB have been written: comparisons hold for half of that, and no
 * thread sleeps so long between two instructions.
 */

const POSITION_BITS = 30;
/** Bits of a word that are a position; the other two are free for flags. */
export const POSITION_MASK: number = 2 ** POSITION_BITS - 1;

/** True when `a` was written before `b`. */
export function isBefore(a: number, b: number): boolean {
  return (a - b) << (32 - POSITION_BITS) < 0;
}

/** Start of the lap after the one of `position`; never 0, which marks what is empty. */
export function nextLap(position: number, unitBits: number): number {
  const next = (((position >>> unitBits) + 1) << unitBits) & POSITION_MASK;
  return next === 0 ? 1 << unitBits : next;
}
