/**
 * Small arrays of octets, as cheap as V8 lets them be. A typed array of up to 64 bytes lives on the JavaScript heap and
 * costs 20 ns; a longer one needs a backing store of its own and costs 300 to 700 ns (Node 26). Messages hold many
 * pieces between 65 and a few hundred octets (RRSIG, DNSKEY, padding), so those are cut from a shared slab, as Node cuts
 * Buffers from its pool: nobody may transfer or resize their `buffer`.
 */

/** A new array of zeros that nobody else uses. */
export function newOctets(length: number): Uint8Array {
  if (length <= HEAP_OCTETS_MAX || length > SLAB_PIECE_OCTETS_MAX) return new Uint8Array(length);
  // A slab that somebody transferred away has length 0 and is replaced here too.
  if (slabUsed + length > slab.length) {
    slab = new Uint8Array(SLAB_OCTETS);
    slabUsed = 0;
  }
  const piece = new Uint8Array(slab.buffer, slabUsed, length);
  slabUsed += length;
  return piece;
}

/** A copy of `source` from `start` to `end`, independent of what happens to `source` later. */
export function copyOctets(source: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start;
  const copy = newOctets(length);
  if (length <= HEAP_OCTETS_MAX) for (let i = 0; i < length; i++) copy[i] = source[start + i] ?? 0;
  else copy.set(length === source.length ? source : source.subarray(start, end));
  return copy;
}

/** The largest typed array that V8 keeps on its own heap. */
const HEAP_OCTETS_MAX = 64;
/** One piece that is kept for long keeps its slab alive: small slabs keep that waste small. */
const SLAB_OCTETS = 4096;
/** A quarter of a slab, so that at most a quarter is lost at its end. */
const SLAB_PIECE_OCTETS_MAX = 1024;

// Fresh memory, not state: what was handed out is never handed out again.
let slab: Uint8Array<ArrayBuffer> = new Uint8Array(0);
let slabUsed = 0;
