/**
 * Messages on a byte stream: two octets of length before each (RFC 1035 §4.2.2, RFC 7766 §8). Any segmentation is
 * accepted, down to one octet at a time.
 */
import { MESSAGE_OCTETS_MAX, setUint16 } from "./octets.ts";

/** Octets of the length field. */
export const FRAME_PREFIX_OCTETS = 2;

/** Length and message in one array, so that they leave in one write (RFC 7766 §8). */
export function frameMessage(message: Uint8Array): Uint8Array {
  if (message.length > MESSAGE_OCTETS_MAX) throw new RangeError("message is longer than 65535 octets");
  const framed = new Uint8Array(FRAME_PREFIX_OCTETS + message.length);
  setUint16(framed, 0, message.length);
  framed.set(message, FRAME_PREFIX_OCTETS);
  return framed;
}

/**
 * Cuts a byte stream into messages. Messages that lie whole within a chunk are delivered as views of it, valid during
 * the call; a message that spans chunks is collected in one buffer of exactly its length.
 */
export class FrameReader {
  /** First length octet when a chunk ended between the two, else -1. */
  #firstLengthOctet = -1;
  #partial: Uint8Array | undefined = undefined;
  #filled = 0;

  /** Octets held back for a message that is not complete: also true-ish between the two length octets. */
  get bufferedOctets(): number {
    if (this.#partial !== undefined) return FRAME_PREFIX_OCTETS + this.#filled;
    return this.#firstLengthOctet < 0 ? 0 : 1;
  }

  /**
   * Takes the next octets and calls `deliver` for each complete message; a false result stops reading there.
   * Gives the number of octets consumed: all of them, unless `deliver` stopped it.
   */
  push(chunk: Uint8Array, deliver: (message: Uint8Array) => boolean): number {
    let at = 0;
    while (at < chunk.length) {
      if (this.#partial === undefined) {
        const length = this.#readLength(chunk, at);
        at += length.consumed;
        if (length.octets < 0) break;
        if (chunk.length - at >= length.octets) {
          at += length.octets;
          if (!deliver(chunk.subarray(at - length.octets, at))) return at;
          continue;
        }
        this.#partial = new Uint8Array(length.octets);
        this.#filled = 0;
      }
      const wanted = this.#partial.length - this.#filled;
      const taken = Math.min(wanted, chunk.length - at);
      this.#partial.set(chunk.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (taken === wanted) {
        const message = this.#partial;
        this.#partial = undefined;
        if (!deliver(message)) return at;
      }
    }
    return at;
  }

  #readLength(chunk: Uint8Array, at: number): { octets: number; consumed: number } {
    if (this.#firstLengthOctet >= 0) {
      const octets = (this.#firstLengthOctet << 8) | (chunk[at] ?? 0);
      this.#firstLengthOctet = -1;
      return { octets, consumed: 1 };
    }
    if (at + 1 < chunk.length) return { octets: ((chunk[at] ?? 0) << 8) | (chunk[at + 1] ?? 0), consumed: 2 };
    this.#firstLengthOctet = chunk[at] ?? 0;
    return { octets: -1, consumed: 1 };
  }
}
