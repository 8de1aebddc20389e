import type { Prefix } from "./ip-address.ts";

/** Maps address prefixes of both families to numbers above 0 and finds the longest one that holds an address. */
export class PrefixTrie {
  /** Three cells per node: the node for a 0 bit, the node for a 1 bit (0: none), and the value (0: none). */
  readonly #cells: number[] = new Array<number>(2 * CELLS).fill(0);

  /** Sets the value of a prefix; one set before is replaced. */
  set(prefix: Prefix, value: number): void {
    const cells = this.#cells;
    let node = rootOf(prefix.octets);
    for (let bit = 0; bit < prefix.bits; bit++) {
      const child = node * CELLS + bitAt(prefix.octets, bit);
      let next = cells[child] ?? 0;
      if (next === 0) {
        next = cells.length / CELLS;
        cells.push(0, 0, 0);
        cells[child] = next;
      }
      node = next;
    }
    cells[node * CELLS + VALUE] = value;
  }

  /** The value of the longest prefix that holds the address, 0 when there is none. Takes at most one step per bit. */
  longest(address: Uint8Array): number {
    const cells = this.#cells;
    let node = rootOf(address);
    let value = cells[node * CELLS + VALUE] ?? 0;
    for (let bit = 0; bit < address.length * 8; bit++) {
      node = cells[node * CELLS + bitAt(address, bit)] ?? 0;
      if (node === 0) break;
      value = cells[node * CELLS + VALUE] || value;
    }
    return value;
  }
}

function bitAt(octets: Uint8Array, bit: number): number {
  return ((octets[bit >>> 3] ?? 0) >>> (7 - (bit & 7))) & 1;
}

/** Node 0 is the root of IPv4, so that 0 is nobody's child; node 1 is the root of IPv6. */
function rootOf(octets: Uint8Array): number {
  return octets.length === 4 ? 0 : 1;
}

const CELLS = 3;
const VALUE = 2;
