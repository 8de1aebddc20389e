/** How long a secondary may still serve a zone (RFC 7314 §2): empty in queries, 4 octets in replies. */
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { setUint32, uint32At } from "../octets.ts";
import { type Parsed, parsed, problem } from "../parsed.ts";
import type { EdnsOption } from "./edns.ts";

/** An EXPIRE option in seconds; `undefined` is the request. */
export function makeExpire(seconds: number | undefined): EdnsOption {
  const data = new Uint8Array(seconds === undefined ? 0 : 4);
  if (seconds !== undefined) setUint32(data, 0, seconds);
  return { code: EdnsOptionCode.Expire, data };
}

/** Seconds, undefined for the empty form; other lengths than 0 and 4 are a problem. */
export function tryReadExpire(data: Uint8Array): Parsed<number | undefined> {
  if (data.length === 0) return parsed(undefined);
  if (data.length === 4) return parsed(uint32At(data, 0));
  return problem("EXPIRE is not 0 or 4 octets long");
}
