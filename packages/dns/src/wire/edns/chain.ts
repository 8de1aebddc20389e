/** The closest trust point of a client that wants a whole validation chain (RFC 7901 §4). */
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import type { Name } from "../name.ts";
import type { Parsed } from "../parsed.ts";
import type { EdnsOption } from "./edns.ts";
import { tryReadOnlyName } from "./only-name.ts";

/** A CHAIN option: records above `closestTrustPoint` are not wanted. */
export function makeChain(closestTrustPoint: Name): EdnsOption {
  return { code: EdnsOptionCode.Chain, data: closestTrustPoint.wire };
}

/** The closest trust point, one uncompressed name and nothing after it. */
export function tryReadChain(data: Uint8Array): Parsed<Name> {
  return tryReadOnlyName(data, "CHAIN");
}
