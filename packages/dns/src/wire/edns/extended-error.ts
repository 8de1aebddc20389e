/** Extended DNS errors (RFC 8914 §2). */

import type { EdeCode } from "../iana/ede-code.ts";
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { uint16At } from "../octets.ts";
import { type Parsed, parsed, problem } from "../parsed.ts";
import type { EdnsOption } from "./edns.ts";

/** One reason why an answer is what it is. */
export interface ExtendedError {
  readonly code: EdeCode;
  /** EXTRA-TEXT for people, empty when there is none; UTF-8 on the wire. */
  readonly text: string;
}

/** The option that carries an extended error. */
export function makeExtendedError(error: ExtendedError): EdnsOption {
  const text = new TextEncoder().encode(error.text);
  const data = new Uint8Array(2 + text.length);
  data[0] = error.code >>> 8;
  data[1] = error.code;
  data.set(text, 2);
  return { code: EdnsOptionCode.ExtendedError, data };
}

/** Reads an extended error; the text may end in a zero octet and may be ill-formed UTF-8 (RFC 8914 §2). */
export function tryReadExtendedError(data: Uint8Array): Parsed<ExtendedError> {
  if (data.length < 2) return problem("extended DNS error is shorter than 2 octets");
  const text = new TextDecoder().decode(data.subarray(2));
  return parsed({ code: uint16At(data, 0), text: text.endsWith("\0") ? text.slice(0, -1) : text });
}
