/** The version of the zone an answer came from (RFC 9660 §2): empty in queries. */
import { EdnsOptionCode } from "../iana/edns-option-code.ts";
import { uint32At } from "../octets.ts";
import { type Parsed, parsed, problem } from "../parsed.ts";
import type { EdnsOption } from "./edns.ts";

/** A version token and the zone it belongs to. */
export interface ZoneVersion {
  /** Labels of the zone's name, counted from the root of the qname. */
  readonly labelCount: number;
  /** {@link ZONE_VERSION_SOA_SERIAL}, or a type nobody defined yet. */
  readonly type: number;
  readonly version: Uint8Array;
}

/** VERSION is the zone's SOA serial, 4 octets (RFC 9660 §2.1). */
export const ZONE_VERSION_SOA_SERIAL = 0;

/** A ZONEVERSION option; `undefined` is the request. */
export function makeZoneVersion(zone: ZoneVersion | undefined): EdnsOption {
  const data =
    zone === undefined ? new Uint8Array(0) : Uint8Array.of(zone.labelCount, zone.type, ...zone.version);
  return { code: EdnsOptionCode.ZoneVersion, data };
}

/** The version, undefined for the empty form; a single octet and a serial that is not 4 octets are problems. */
export function tryReadZoneVersion(data: Uint8Array): Parsed<ZoneVersion | undefined> {
  if (data.length === 0) return parsed(undefined);
  if (data.length < 2) return problem("ZONEVERSION is shorter than 2 octets");
  const type = data[1] ?? 0;
  if (type === ZONE_VERSION_SOA_SERIAL && data.length !== 6)
    return problem("ZONEVERSION with an SOA serial is not 6 octets long");
  return parsed({ labelCount: data[0] ?? 0, type, version: data.subarray(2) });
}

/** The SOA serial of a version; undefined when it is of another type. */
export function zoneVersionSerial(zone: ZoneVersion): number | undefined {
  return zone.type === ZONE_VERSION_SOA_SERIAL ? uint32At(zone.version, 0) : undefined;
}
