/** The two functions of dns-packet 5.6 that the benchmark calls; the package has no types of its own. */
declare module "dns-packet" {
  export function decode(octets: Uint8Array): { answers: unknown[] };
  export function encode(message: { answers: unknown[] }): Uint8Array;
}
