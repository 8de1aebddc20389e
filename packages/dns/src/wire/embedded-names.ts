/**
 * Where names stand inside the rdata of types in which they may be compressed. Decoding a message expands them for
 * the types of RFC 3597 §4; encoding compresses only in those of RFC 1035. All other rdata is copied as it is.
 */
import { copyOctets, newOctets } from "./copy-octets.ts";
import { RRType } from "./iana/rr-type.ts";
import { copyName, measureName, type NameReading, plainNameEnd } from "./name.ts";
import type { OctetWriter } from "./octets.ts";
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
  // Its prefix is two numbers and three character-strings: see `prefixOctets`.
  [RRType.NAPTR, { prefix: 4, names: 1, suffix: 0, compress: false }],
  [RRType.KX, { prefix: 2, names: 1, suffix: 0, compress: false }],
  [RRType.DNAME, { ...one, compress: false }],
]);

/** The same by type number, for speed: all these types are below 64. */
const LAYOUT_OF_TYPE: readonly (Layout | undefined)[] = Array.from({ length: 64 }, (_, type) =>
  LAYOUTS.get(type),
);

/** True for the types whose rdata may hold compressed names. */
export function mayHoldCompressedNames(type: RRType): boolean {
  return LAYOUT_OF_TYPE[type] !== undefined;
}

/**
 * True when {@link expandRdata} has looked at all of the rdata, so that nothing is left to check. The signature of SIG
 * and the bitmap of NXT are the exceptions.
 */
export function isCheckedByExpansion(type: RRType): boolean {
  return LAYOUT_OF_TYPE[type]?.suffix !== undefined;
}

/** Rdata with names expanded, from `start` to `end` of a message; a text when it is malformed. */
export function expandRdata(
  type: RRType,
  message: Uint8Array,
  start: number,
  end: number,
): Uint8Array | FormatProblem {
  const layout = LAYOUT_OF_TYPE[type];
  if (layout === undefined) return copyOctets(message, start, end);
  const namesAt = start + prefixOctets(type, layout, message, start);
  if (namesAt > end) return "ends too early";
  const first = measureName(message, namesAt, end, true, reading);
  if (first < 0) return reading.problem;
  const secondAt = reading.next;
  const second = layout.names === 2 ? measureName(message, secondAt, end, true, reading) : 0;
  if (second < 0) return reading.problem;
  const suffixAt = reading.next;
  const suffix = end - suffixAt;
  if (layout.suffix !== undefined && layout.suffix !== suffix)
    return suffix < layout.suffix ? "ends too early" : "rdata is longer than its content";
  const rdata = newOctets(namesAt - start + first + second + suffix);
  let to = 0;
  for (let at = start; at < namesAt; at++) rdata[to++] = message[at] ?? 0;
  to = copyName(message, namesAt, rdata, to);
  if (second > 0) to = copyName(message, secondAt, rdata, to);
  for (let at = suffixAt; at < end; at++) rdata[to++] = message[at] ?? 0;
  return rdata;
}

/** Octets before the first name; those of NAPTR depend on its content (RFC 3403 §4.1) and may be too many. */
function prefixOctets(type: RRType, layout: Layout, octets: Uint8Array, start: number): number {
  if (type !== RRType.NAPTR) return layout.prefix;
  let at = start + layout.prefix;
  for (let i = 0; i < 3; i++) at += 1 + (octets[at] ?? 0);
  return at - start;
}

const reading: NameReading = { next: 0, problem: "" };

/**
 * Writes rdata into a message, compressing names in the types of RFC 1035 (RFC 3597 §4). Rdata that does not have the
 * form of its type, for example the empty rdata of RFC 2136 §2.4, is written as it is.
 */
export function writeRdata(writer: OctetWriter, type: RRType, rdata: Uint8Array): void {
  const layout = LAYOUT_OF_TYPE[type];
  if (layout === undefined || !layout.compress || !fits(layout, rdata)) {
    writer.octets(rdata);
    return;
  }
  let at = layout.prefix;
  if (at > 0) writer.octets(rdata.subarray(0, at));
  for (let i = 0; i < layout.names; i++) {
    writer.compressedName(rdata, at);
    at = plainNameEnd(rdata, at);
  }
  if (at < rdata.length) writer.octets(rdata.subarray(at));
}

function fits(layout: Layout, rdata: Uint8Array): boolean {
  let at = layout.prefix;
  for (let i = 0; i < layout.names && at >= 0; i++) at = plainNameEnd(rdata, at);
  return at >= 0 && rdata.length - at === layout.suffix;
}
