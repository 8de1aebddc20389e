/**
 * IPv4 addresses as inet_aton(3) spells them and getaddrinfo(3) still takes them: one to four numbers, decimal, octal or
 * hexadecimal, the last one for all octets that are left. `127.1` is such an address, and nobody's name.
 */

/** Dotted quad, undefined for what is no such spelling. */
export function ipv4OfNumbers(text: string): string | undefined {
  // What hardly any name does, and every number.
  if (!/^[0-9]/.test(text)) return undefined;
  const parts = text.split(".", PARTS_MAX + 1);
  if (parts.length > PARTS_MAX || !parts.every((part) => NUMBER.test(part))) return undefined;
  // A leading zero is C's for octal.
  const numbers = parts.map((part) => (/^0[0-7]/.test(part) ? Number.parseInt(part, 8) : Number(part)));
  const last = numbers.pop() ?? 0;
  const octetsLeft = PARTS_MAX - numbers.length;
  if (numbers.some((number) => number > 255) || last >= 256 ** octetsLeft) return undefined;
  const rest = Array.from(
    { length: octetsLeft },
    (_, at) => Math.floor(last / 256 ** (octetsLeft - 1 - at)) % 256,
  );
  return [...numbers, ...rest].join(".");
}

const NUMBER = /^(?:0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*)$/i;
const PARTS_MAX = 4;
