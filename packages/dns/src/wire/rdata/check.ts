/** Whether packed rdata is well-formed for its type, without making values of it: asked for each record of a message. */
import { RRType } from "../iana/rr-type.ts";
import { plainNameEnd } from "../name.ts";
import { OctetReader } from "../octets.ts";
import type { FormatProblem } from "../parsed.ts";
import { fieldsOf } from "./rdata.ts";

/** What is wrong with `rdata` (names uncompressed), undefined when nothing is or the type is unknown (RFC 3597). */
export function rdataProblem(type: RRType, rdata: Uint8Array): FormatProblem | undefined {
  switch (type) {
    case RRType.A:
      return rdata.length === 4 ? undefined : "A rdata is not 4 octets long";
    case RRType.AAAA:
      return rdata.length === 16 ? undefined : "AAAA rdata is not 16 octets long";
    // The common types of signed answers need no reader; when they are wrong, the fields tell what is.
    case RRType.RRSIG:
      return plainNameEnd(rdata, 18) >= 0 ? undefined : fieldProblem(type, rdata);
    case RRType.DS:
    case RRType.DNSKEY:
      return rdata.length > 4 ? undefined : fieldProblem(type, rdata);
    default:
      return fieldProblem(type, rdata);
  }
}

function fieldProblem(type: RRType, rdata: Uint8Array): FormatProblem | undefined {
  const fields = fieldsOf(type);
  if (fields === undefined) return undefined;
  const reader = new OctetReader(rdata);
  for (let i = 0; i < fields.length; i++) fields[i]?.[1].skip(reader);
  if (reader.problem !== undefined) return reader.problem;
  return reader.remaining > 0 ? "rdata is longer than its content" : undefined;
}
