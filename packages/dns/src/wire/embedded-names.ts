/**
 * Where names stand inside the rdata of types in which they may be compressed. Decoding a message expands them for
 * the types of RFC 3597 §4; encoding compresses only in those of RFC 1035. All other rdata is copied as it is.
 */
import { RRType } from "./iana/rr-type.ts";
import { Name } from "./name.ts";
import { OctetReader, type OctetWriter } from "./octets.ts";
import type { FormatProblem } from "./parsed.ts";

/** `prefix` octets, `names` names, then exactly `suffix` octets, or any number when undefined. */
interface Layout {
  readonly prefix: number;
  readonly names: number;
  readonly suffix: number | undefined;
  readonly compress: boolean;
}

const one: Layout = { prefix: 0, names: 1, suffix: 0, compress: true };
const two: Layout = { prefix: 0, names: 2, suffix: 0, compress: true };

const LAYOUTS: ReadonlyMap<number, Layout> = new Map<number, Layout>([
  [RRType.NS, one],
  [RRType.MD, one],
  [RRType.MF, one],
  [RRType.CNAME, one],
  [RRType.SOA, { prefix: 0, names: 2, suffix: 20, compress: true }],
  [RRType.MB, one],
  [RRType.MG, one],
  [RRType.MR, one],
  [RRType.PTR, one],
  [RRType.MINFO, two],
  [RRType.MX, { prefix: 2, names: 1, suffix: 0, compress: true }],
  [RRType.RP, { ...two, compress: false }],
  [RRType.AFSDB, { prefix: 2, names: 1, suffix: 0, compress: false }],
  [RRType.RT, { prefix: 2, names: 1, suffix: 0, compress: false }],
  [RRType.SIG, { prefix: 18, names: 1, suffix: undefined, compress: false }],
  [RRType.PX, { prefix: 2, names: 2, suffix: 0, compress: false }],
  [RRType.NXT, { prefix: 0, names: 1, suffix: undefined, compress: false }],
  [RRType.SRV, { prefix: 6, names: 1, suffix: 0, compress: false }],
  [RRType.KX, { prefix: 2, names: 1, suffix: 0, compress: false }],
  [RRType.DNAME, { ...one, compress: false }],
]);

/** True for the types whose rdata may hold compressed names (NAPTR has its own way). */
export function mayHoldCompressedNames(type: RRType): boolean {
  return LAYOUTS.has(type) || type === RRType.NAPTR;
}

/** Rdata with names expanded, from `start` to `end` of a message; a text when it is malformed. */
export function expandRdata(
  type: RRType,
  message: Uint8Array,
  start: number,
  end: number,
): Uint8Array | FormatProblem {
  const reader = new OctetReader(message, start, end);
  const layout = LAYOUTS.get(type);
  if (layout === undefined) return type === RRType.NAPTR ? expandNaptr(reader) : message.slice(start, end);
  const prefix = reader.take(layout.prefix);
  const first = reader.name();
  const second = layout.names === 2 ? reader.name() : undefined;
  const suffix = reader.take(layout.suffix ?? reader.remaining);
  if (reader.problem !== undefined) return reader.problem;
  if (reader.remaining > 0) return "rdata is longer than its content";
  return join(prefix, first, second, suffix);
}

function expandNaptr(reader: OctetReader): Uint8Array | FormatProblem {
  const start = reader.offset;
  reader.take(4);
  for (let i = 0; i < 3; i++) reader.take(reader.uint8());
  const prefix = reader.octets.subarray(start, reader.offset);
  const name = reader.name();
  if (reader.problem !== undefined) return reader.problem;
  if (reader.remaining > 0) return "rdata is longer than its content";
  return join(prefix, name, undefined, EMPTY);
}

function join(prefix: Uint8Array, first: Name, second: Name | undefined, suffix: Uint8Array): Uint8Array {
  const secondOctets = second === undefined ? 0 : second.wire.length;
  const rdata = new Uint8Array(prefix.length + first.wire.length + secondOctets + suffix.length);
  rdata.set(prefix);
  rdata.set(first.wire, prefix.length);
  if (second !== undefined) rdata.set(second.wire, prefix.length + first.wire.length);
  rdata.set(suffix, prefix.length + first.wire.length + secondOctets);
  return rdata;
}

/** Writes rdata into a message, compressing names in the types of RFC 1035 (RFC 3597 §4). */
export function writeRdata(writer: OctetWriter, type: RRType, rdata: Uint8Array): void {
  const layout = LAYOUTS.get(type);
  if (layout === undefined || !layout.compress) {
    writer.octets(rdata);
    return;
  }
  let at = layout.prefix;
  writer.octets(rdata.subarray(0, at));
  for (let i = 0; i < layout.names; i++) {
    let end = at;
    while ((rdata[end] ?? 0) !== 0) end += (rdata[end] ?? 0) + 1;
    writer.name(new Name(rdata.subarray(at, end + 1)));
    at = end + 1;
  }
  writer.octets(rdata.subarray(at));
}

const EMPTY = new Uint8Array(0);
