/** Base64 and base32hex (RFC 4648 §4, §7) without Node: the codec is pure. */
import { type Parsed, parsed, problem } from "../parsed.ts";

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32HEX = "0123456789ABCDEFGHIJKLMNOPQRSTUV";

function encode(octets: Uint8Array, alphabet: string, bits: number): string {
  let text = "";
  let held = 0;
  let heldBits = 0;
  for (const octet of octets) {
    held = ((held << 8) | octet) & 0xffff;
    heldBits += 8;
    while (heldBits >= bits) {
      heldBits -= bits;
      text += alphabet[(held >>> heldBits) & ((1 << bits) - 1)];
    }
  }
  if (heldBits > 0) text += alphabet[(held << (bits - heldBits)) & ((1 << bits) - 1)];
  return text;
}

function decode(text: string, alphabet: string, bits: number, what: string): Parsed<Uint8Array> {
  const octets = new Uint8Array(Math.floor((text.length * bits) / 8));
  let held = 0;
  let heldBits = 0;
  let at = 0;
  for (const character of text) {
    const value = alphabet.indexOf(character);
    if (value < 0) return problem(`${JSON.stringify(character)} is no character of ${what}`);
    held = ((held << bits) | value) & 0xffff;
    heldBits += bits;
    if (heldBits >= 8) {
      heldBits -= 8;
      octets[at++] = held >>> heldBits;
    }
  }
  if (heldBits >= bits || (held & ((1 << heldBits) - 1)) !== 0)
    return problem(`${what} ends in the middle of an octet`);
  return parsed(octets);
}

/** With padding. */
export function octetsToBase64(octets: Uint8Array): string {
  const text = encode(octets, BASE64, 6);
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}

/** Padding must be right where it is given. */
export function tryBase64ToOctets(text: string): Parsed<Uint8Array> {
  if (text.length % 4 !== 0) return problem("base64 is not a multiple of 4 characters");
  return decode(text.replace(/={1,2}$/, ""), BASE64, 6, "base64");
}

/** Upper case, without padding (RFC 5155 §3.3). */
export function octetsToBase32hex(octets: Uint8Array): string {
  return encode(octets, BASE32HEX, 5);
}

/** Either case, without padding. */
export function tryBase32hexToOctets(text: string): Parsed<Uint8Array> {
  return decode(text.toUpperCase(), BASE32HEX, 5, "base32hex");
}
