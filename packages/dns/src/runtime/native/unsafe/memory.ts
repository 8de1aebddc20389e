/** Memory that C reads and writes: it has one address for as long as whoever owns it can be reached. */
import type { Foreign } from "./foreign.ts";

/** A block of bytes with its address. Its owner keeps it in a field, so that it lives as long as the owner. */
export class Block {
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly words: Uint32Array;
  readonly address: bigint;

  /** Zeroed; `bytes` is a multiple of 4. */
  constructor({ ffi }: Foreign, bytes: number) {
    const buffer = new ArrayBuffer(bytes);
    this.octets = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Uint32Array(buffer);
    this.address = ffi.getRawPointer(buffer);
  }

  /** Where byte `at` is. */
  addressOf(at: number): bigint {
    return this.address + BigInt(at);
  }

  /** Writes an address or a size at byte `at`. */
  setWord(at: number, value: bigint): void {
    this.view.setBigUint64(at, value, true);
  }

  /** The address that C has written at byte `at`. */
  wordAt(at: number): bigint {
    return this.view.getBigUint64(at, true);
  }
}

/** A copy of octets for one call: whoever made it keeps it until the call is over. */
export function blockOf(foreign: Foreign, octets: Uint8Array): Block {
  // At least one word: an empty block might have no address.
  const block = new Block(foreign, Math.max(4, (octets.length + 3) & ~3));
  block.octets.set(octets);
  return block;
}

/** Text as C has it, ending in a zero. */
export function textBlock(foreign: Foreign, text: string): Block {
  return blockOf(foreign, Buffer.from(`${text}\0`, "latin1"));
}

/** The call is over, and what it was given was there until now: the compiler must not let go of it before. */
export function keepUntilHere(...blocks: readonly Block[]): void {
  for (const { octets } of blocks) if (octets.length === 0) throw new RangeError("empty block");
}
