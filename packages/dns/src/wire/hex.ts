/** Octets as hexadecimal text (RFC 4648 §8) and back. */
import { type Parsed, parsed, problem } from "./parsed.ts";

/** Two lower-case digits for each octet. */
export function octetsToHex(octets: Uint8Array): string {
  let text = "";
  for (let i = 0; i < octets.length; i++) text += PAIRS[octets[i] ?? 0];
  return text;
}

/** Octets of a text with an even number of hexadecimal digits of either case, and nothing else. */
export function tryHexToOctets(text: string): Parsed<Uint8Array> {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text))
    return problem("hexadecimal text is not pairs of digits");
  const octets = new Uint8Array(text.length / 2);
  for (let i = 0; i < octets.length; i++) octets[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return parsed(octets);
}

const PAIRS: readonly string[] = Array.from({ length: 256 }, (_, octet) =>
  octet.toString(16).padStart(2, "0"),
);
