/**
 * Small arrays of octets, as cheap as V8 lets them be. A typed array of up to 64 bytes lives on the JavaScript heap and
 * costs 20 ns; a longer one needs a backing store of its own and costs 300 to 700 ns (Node 26). Messages hold many
 * pieces between 65 and a few hundred octets (RRSIG, DNSKEY, padding), so those are cut from shared slabs, as Node cuts
 * Buffers from its pool: nobody may transfer or resize their `buffer`.
 */

/** Fresh memory to cut pieces from: what was handed out is never handed out again. */
class Slab {
  readonly #slabOctets: number;
  #slab: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #used = 0;

  constructor(slabOctets: number) {
    this.#slabOctets = slabOctets;
  }

  take(length: number): Uint8Array {
    // A slab that somebody transferred away has length 0 and is replaced here too.
    if (this.#used + length > this.#slab.length) {
      this.#slab = new Uint8Array(this.#slabOctets);
      this.#used = 0;
    }
    const piece = new Uint8Array(this.#slab.buffer, this.#used, length);
    this.#used += length;
    return piece;
  }
}

/** A new array of zeros that nobody else uses. */
export function newOctets(length: number): Uint8Array {
  return length <= HEAP_OCTETS_MAX || length > PIECE_OCTETS_MAX
    ? new Uint8Array(length)
    : lasting.take(length);
}

/** A copy of `source` from `start` to `end`, independent of what happens to `source` later. */
export function copyOctets(source: Uint8Array, start: number, end: number): Uint8Array {
  return copyInto(newOctets(end - start), source, start, end);
}

/** The same for what is sent and forgotten, such as an encoded message: it shares no memory with what is kept. */
export function copyToSend(source: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start;
  const isPiece = length > HEAP_OCTETS_MAX && length <= PIECE_OCTETS_MAX;
  return copyInto(isPiece ? passing.take(length) : new Uint8Array(length), source, start, end);
}

/** Zeros to fill, send and forget. Sockets of Node ask for the memory behind them, which small arrays do not have before. */
export function octetsToSend(length: number): Uint8Array {
  return length > PIECE_OCTETS_MAX ? new Uint8Array(length) : passing.take(length);
}

function copyInto(copy: Uint8Array, source: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start;
  if (length <= HEAP_OCTETS_MAX) for (let i = 0; i < length; i++) copy[i] = source[start + i] ?? 0;
  else copy.set(length === source.length ? source : source.subarray(start, end));
  return copy;
}

/** The largest typed array that V8 keeps on its own heap. */
const HEAP_OCTETS_MAX = 64;
/** Longer pieces are worth a backing store of their own, and little is lost at the end of a slab. */
const PIECE_OCTETS_MAX = 1024;
/** For rdata: one piece that is kept for long keeps its slab alive, so these are small. */
const lasting = new Slab(4096);
/** For messages to send: they live for milliseconds, so these are large and rarely made. */
const passing = new Slab(16_384);
