/** Whether packed rdata is well-formed for its type, without making values of it. */
import { RRType } from "../iana/rr-type.ts";
import type { FormatProblem } from "../parsed.ts";

/** What is wrong with `rdata` (names uncompressed), undefined when nothing is or the type is unknown (RFC 3597). */
export function rdataProblem(type: RRType, rdata: Uint8Array): FormatProblem | undefined {
  if (type === RRType.A) return rdata.length === 4 ? undefined : "A rdata is not 4 octets long";
  if (type === RRType.AAAA) return rdata.length === 16 ? undefined : "AAAA rdata is not 16 octets long";
  return undefined;
}
