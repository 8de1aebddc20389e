/** SipHash-2-4 (Aumasson, Bernstein): the keyed hash of interoperable DNS cookies (RFC 9018 §4.4). */

/** Octets of the key. */
export const SIPHASH_KEY_OCTETS = 16;

/** 64-bit words as two halves of 32 bits, least significant first: v0 to v3. Used again by each call. */
const v = new Int32Array(8);

/** The eight octets of the hash, least significant first. Throws a RangeError when the key has not 16 octets. */
export function sipHash24(key: Uint8Array, data: Uint8Array): Uint8Array {
  if (key.length !== SIPHASH_KEY_OCTETS) throw new RangeError("a SipHash key has 16 octets");
  const words = new DataView(key.buffer, key.byteOffset, key.length);
  const keys = [0, 4, 8, 12].map((at) => words.getInt32(at, true));
  for (let i = 0; i < 8; i++) v[i] = (INITIAL[i] ?? 0) ^ (keys[i & 3] ?? 0);
  const whole = data.length & ~7;
  for (let at = 0; at < whole; at += 8) mix(halfAt(data, at), halfAt(data, at + 4));
  const rest = data.subarray(whole);
  mix(halfAt(rest, 0), halfAt(rest, 4) | (data.length << 24));
  v[4] = (v[4] ?? 0) ^ 0xff;
  for (let round = 0; round < 4; round++) sipRound();
  const hash = new Uint8Array(8);
  const out = new DataView(hash.buffer);
  out.setInt32(0, (v[0] ?? 0) ^ (v[2] ?? 0) ^ (v[4] ?? 0) ^ (v[6] ?? 0), true);
  out.setInt32(4, (v[1] ?? 0) ^ (v[3] ?? 0) ^ (v[5] ?? 0) ^ (v[7] ?? 0), true);
  return hash;
}

/** "somepseudorandomlygeneratedbytes", halves of the four words. */
const INITIAL = [
  0x70736575, 0x736f6d65, 0x6e646f6d, 0x646f7261, 0x6e657261, 0x6c796765, 0x79746573, 0x74656462,
];

/** Four octets, least significant first; those beyond the end are 0. */
function halfAt(octets: Uint8Array, at: number): number {
  return (
    (octets[at] ?? 0) |
    ((octets[at + 1] ?? 0) << 8) |
    ((octets[at + 2] ?? 0) << 16) |
    ((octets[at + 3] ?? 0) << 24)
  );
}

function mix(low: number, high: number): void {
  v[6] = (v[6] ?? 0) ^ low;
  v[7] = (v[7] ?? 0) ^ high;
  sipRound();
  sipRound();
  v[0] = (v[0] ?? 0) ^ low;
  v[1] = (v[1] ?? 0) ^ high;
}

function sipRound(): void {
  addRotateXor(0, 2, 13);
  rotate(0, 32);
  addRotateXor(4, 6, 16);
  addRotateXor(0, 6, 21);
  addRotateXor(4, 2, 17);
  rotate(4, 32);
}

/** `a += b; b = rotl(b, bits) ^ a` of the words whose low halves stand at `a` and `b`. */
function addRotateXor(a: number, b: number, bits: number): void {
  const low = (v[a] ?? 0) + (v[b] ?? 0);
  const carry = ((v[a] ?? 0) >>> 0) + ((v[b] ?? 0) >>> 0) > 0xffff_ffff ? 1 : 0;
  const high = (v[a + 1] ?? 0) + (v[b + 1] ?? 0) + carry;
  v[a] = low;
  v[a + 1] = high;
  rotate(b, bits);
  v[b] = (v[b] ?? 0) ^ low;
  v[b + 1] = (v[b + 1] ?? 0) ^ high;
}

function rotate(at: number, bits: number): void {
  const low = v[at] ?? 0;
  const high = v[at + 1] ?? 0;
  if (bits === 32) {
    v[at] = high;
    v[at + 1] = low;
    return;
  }
  v[at] = (low << bits) | (high >>> (32 - bits));
  v[at + 1] = (high << bits) | (low >>> (32 - bits));
}
