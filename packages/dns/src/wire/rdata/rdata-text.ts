/** Rdata in presentation format both ways (RFC 1035 §5.1), with the generic form for every type (RFC 3597 §5). */
import { octetsToHex, tryHexToOctets } from "../hex.ts";
import type { RRType } from "../iana/rr-type.ts";
import type { Name } from "../name.ts";
import { type Parsed, parsed, problem } from "../parsed.ts";
import { type TextToken, TokenReader } from "../text-token.ts";
import { rdataProblem } from "./check.ts";
import { decodeRdata, encodeRdata, fieldsOf } from "./rdata.ts";

/** Text of packed rdata; types without fields, and rdata that does not fit its type, are printed as `\# 3 abcdef`. */
export function rdataToText(type: RRType, rdata: Uint8Array): string {
  const fields = fieldsOf(type);
  const values = fields === undefined ? undefined : decodeRdata(type, rdata);
  if (fields === undefined || values?.ok !== true) return genericText(rdata);
  const texts = fields.map(([name, field]) => field.toText(values.value[name])).filter((text) => text !== "");
  // Empty rdata that has a meaning (APL without items) has no other text.
  return texts.length === 0 && rdata.length > 0 ? genericText(rdata) : texts.join(" ");
}

function genericText(rdata: Uint8Array): string {
  return rdata.length === 0 ? "\\# 0" : `\\# ${rdata.length} ${octetsToHex(rdata).toUpperCase()}`;
}

/** Packs the tokens of a record's rdata; relative names belong to `origin`. */
export function tryRdataFromTokens(
  type: RRType,
  tokens: readonly TextToken[],
  origin: Name,
): Parsed<Uint8Array> {
  if (tokens[0]?.text === "\\#" && !tokens[0].isQuoted) return tryGeneric(type, tokens.slice(1));
  const fields = fieldsOf(type);
  if (fields === undefined)
    return problem(`type ${type} has no text form of its own, write \\# LENGTH HEX (RFC 3597)`);
  const reader = new TokenReader(tokens, origin);
  const values: Record<string, unknown> = {};
  for (const [name, field] of fields) values[name] = field.parse(reader, name);
  if (reader.problem !== undefined) return problem(reader.problem);
  if (reader.remaining > 0) return problem(`${JSON.stringify(reader.peek()?.text)} is one value too many`);
  const rdata = encodeRdata(type, values);
  if (!rdata.ok) return rdata;
  const wrong = rdataProblem(type, rdata.value);
  return wrong === undefined ? rdata : problem(wrong);
}

/** RFC 3597 §5: the length must be that of the data, and data of a known type must fit it. */
function tryGeneric(type: RRType, tokens: readonly TextToken[]): Parsed<Uint8Array> {
  const [length, ...rest] = tokens;
  if (length === undefined || !/^[0-9]{1,5}$/.test(length.text))
    return problem("\\# is not followed by a length");
  const octets = tryHexToOctets(rest.map((token) => token.text).join(""));
  if (!octets.ok) return octets;
  if (octets.value.length !== Number(length.text))
    return problem(`\\# promises ${length.text} octets and has ${octets.value.length}`);
  const wrong = rdataProblem(type, octets.value);
  return wrong === undefined ? parsed(octets.value) : problem(wrong);
}
