/** Whether packed rdata is well-formed for its type, without making values of it: asked for each record of a message. */
import { RRType } from "../iana/rr-type.ts";
import { OctetReader } from "../octets.ts";
import type { FormatProblem } from "../parsed.ts";
import { fieldsOf } from "./rdata.ts";

/** What is wrong with `rdata` (names uncompressed), undefined when nothing is or the type is unknown (RFC 3597). */
export function rdataProblem(type: RRType, rdata: Uint8Array): FormatProblem | undefined {
  if (type === RRType.A) return rdata.length === 4 ? undefined : "A rdata is not 4 octets long";
  if (type === RRType.AAAA) return rdata.length === 16 ? undefined : "AAAA rdata is not 16 octets long";
  const fields = fieldsOf(type);
  if (fields === undefined) return undefined;
  const reader = new OctetReader(rdata);
  for (const [, field] of fields) field.skip(reader);
  if (reader.problem !== undefined) return reader.problem;
  return reader.remaining > 0 ? "rdata is longer than its content" : undefined;
}
