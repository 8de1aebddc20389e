/** Padding (RFC 7830 §3): zeros are written, any octets are accepted. How much is decided by `encodeMessage`. */
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { type Parsed, parsed } from "../parsed.ts";
import type { EdnsOption } from "./edns.ts";

/** A padding option with that many zero octets of data; it costs 4 octets more. */
export function makePadding(octets: number): EdnsOption {
  return { code: EdnsOptionCode.Padding, data: new Uint8Array(octets) };
}

/** Octets of padding, whatever they hold (RFC 7830 §3); every content is well-formed. */
export function tryReadPadding(data: Uint8Array): Parsed<number> {
  return parsed(data.length);
}
