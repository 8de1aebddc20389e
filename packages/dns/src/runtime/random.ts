/** Chance as a parameter: message ids, ports, shuffles and cookies. A seeded source replays a whole run. */
export interface Random {
  /** A uniform integer from 0 to 65535, unpredictable to others (RFC 5452 §9.2). */
  uint16(): number;
  /** A uniform integer from 0 to `bound - 1`; `bound` is from 1 to 2^32. */
  below(bound: number): number;
  /** Fresh unpredictable octets. */
  octets(count: number): Uint8Array;
}
