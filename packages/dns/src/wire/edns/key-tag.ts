/** The trust anchors of a validator as key tags (RFC 8145 §4.1). */
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { setUint16, uint16At } from "../octets.ts";
import { type Parsed, parsed, problem } from "../parsed.ts";
import type { EdnsOption } from "./edns.ts";

/** An edns-key-tag option; at least one tag. */
export function makeKeyTag(tags: readonly number[]): EdnsOption {
  if (tags.length === 0) throw new RangeError("edns-key-tag without a key tag");
  const data = new Uint8Array(2 * tags.length);
  for (const [i, tag] of tags.entries()) setUint16(data, 2 * i, tag);
  return { code: EdnsOptionCode.KeyTag, data };
}

/** Key tags in the order of the wire; an odd length or none is a problem. */
export function tryReadKeyTag(data: Uint8Array): Parsed<number[]> {
  if (data.length === 0 || data.length % 2 !== 0)
    return problem("edns-key-tag is not a whole number of key tags");
  return parsed(Array.from({ length: data.length / 2 }, (_, i) => uint16At(data, 2 * i)));
}
