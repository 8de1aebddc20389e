/**
 * The algorithms a validator understands (RFC 6975 §3): DAU for DNSKEY algorithms, DHU for DS digests, N3U for NSEC3
 * hashes. One octet each, in no particular order.
 */
import type { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { type Parsed, parsed } from "../parsed.ts";
import type { EdnsOption } from "./edns.ts";

/** Which of the three lists. */
export type AlgorithmListCode =
  | typeof EdnsOptionCode.Dau
  | typeof EdnsOptionCode.Dhu
  | typeof EdnsOptionCode.N3u;

/** An option with the given algorithm numbers (0 to 255 each); others throw a RangeError. */
export function makeAlgorithmList(code: AlgorithmListCode, algorithms: readonly number[]): EdnsOption {
  for (const algorithm of algorithms) {
    if (!Number.isInteger(algorithm) || algorithm < 0 || algorithm > 0xff)
      throw new RangeError(`algorithm number ${algorithm} is not 0 to 255`);
  }
  return { code, data: Uint8Array.from(algorithms) };
}

/** The algorithm numbers in the order of the wire; every content is well-formed. */
export function tryReadAlgorithmList(data: Uint8Array): Parsed<number[]> {
  return parsed([...data]);
}
