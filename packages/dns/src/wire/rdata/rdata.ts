/** Packed rdata as typed fields and back, and its canonical form (RFC 4034 §6.2). */
import { type RRType, RRType as types } from "../iana/rr-type.ts";
import { OctetReader, OctetWriter } from "../octets.ts";
import { type Parsed, parsed, problem } from "../parsed.ts";
import type { Field } from "./field.ts";
import { RDATA_TYPES, type RdataMnemonic, type RdataOf } from "./types.ts";

/** Fields by name, when the type is known only at run time. */
export type RdataFields = Readonly<Record<string, unknown>>;

/** The fields of one type in wire order. */
export type FieldList = readonly (readonly [name: string, field: Field<unknown>])[];

const byType = new Map<RRType, FieldList>();
for (const [mnemonic, fields] of Object.entries(RDATA_TYPES)) {
  const type = Object.entries(types).find(([known]) => known === mnemonic)?.[1];
  if (type !== undefined) byType.set(type, Object.entries(fields));
}

/** The fields of a type, undefined for types that are only octets to us (RFC 3597). */
export function fieldsOf(type: RRType): FieldList | undefined {
  return byType.get(type);
}

/** Typed fields of packed rdata; a problem for malformed rdata and for types without fields. */
export function decodeRdata(type: RRType, rdata: Uint8Array): Parsed<RdataFields> {
  const fields = byType.get(type);
  if (fields === undefined) return problem(`type ${type} has no known fields`);
  const reader = new OctetReader(rdata);
  const values: Record<string, unknown> = {};
  for (const [name, field] of fields) values[name] = field.read(reader);
  if (reader.problem === undefined && reader.remaining > 0) reader.fail("rdata is longer than its content");
  return reader.problem === undefined ? parsed(values) : problem(reader.problem);
}

/** Like {@link decodeRdata}, with the type known when the program is written: `decodeRdataOf("MX", rdata)`. */
export function decodeRdataOf<M extends RdataMnemonic>(mnemonic: M, rdata: Uint8Array): Parsed<RdataOf<M>> {
  const values = decodeRdata(types[mnemonic], rdata);
  // The values were read by the very fields that RdataOf is derived from.
  return values as Parsed<RdataOf<M>>;
}

/** Packs typed fields; a problem tells which value cannot be written. */
export function encodeRdata(type: RRType, values: RdataFields): Parsed<Uint8Array> {
  const fields = byType.get(type);
  if (fields === undefined) return problem(`type ${type} has no known fields`);
  const writer = new OctetWriter(64);
  for (const [name, field] of fields) {
    const wrong = field.write(writer, values[name]);
    if (wrong !== undefined) return problem(`${name}: ${wrong}`);
  }
  return writer.length <= 0xffff ? parsed(writer.finish()) : problem("rdata is longer than 65535 octets");
}

/** Like {@link encodeRdata}, with the type known when the program is written. */
export function encodeRdataOf<M extends RdataMnemonic>(mnemonic: M, values: RdataOf<M>): Parsed<Uint8Array> {
  return encodeRdata(types[mnemonic], values);
}

/** Rdata with the names in lower case that signatures are made over so (RFC 4034 §6.2, RFC 6840 §5.1). */
export function canonicalRdata(type: RRType, rdata: Uint8Array): Uint8Array {
  const fields = byType.get(type);
  if (fields?.some(([, field]) => field.canonical !== undefined) !== true) return rdata;
  const values = decodeRdata(type, rdata);
  if (!values.ok) return rdata;
  const canonical: Record<string, unknown> = {};
  for (const [name, field] of fields)
    canonical[name] = field.canonical?.(values.value[name]) ?? values.value[name];
  const packed = encodeRdata(type, canonical);
  return packed.ok ? packed.value : rdata;
}
