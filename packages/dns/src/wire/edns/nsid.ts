/** The name server identifier (RFC 5001 §2.3): empty in queries, any octets in replies. */
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { type Parsed, parsed } from "../parsed.ts";
import type { EdnsOption } from "./edns.ts";

/** An NSID option; without octets it is the request for one. */
export function makeNsid(identifier: Uint8Array = new Uint8Array(0)): EdnsOption {
  return { code: EdnsOptionCode.Nsid, data: identifier };
}

/** The identifier, opaque and possibly empty; every content is well-formed. */
export function tryReadNsid(data: Uint8Array): Parsed<Uint8Array> {
  return parsed(data);
}
