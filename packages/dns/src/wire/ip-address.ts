/**
 * IP addresses and prefixes between text and octets: 4 octets for IPv4 (dotted quad, RFC 1123 §2.1), 16 for IPv6
 * (RFC 4291 §2.2, printed as RFC 5952 §4 wants). Zone identifiers only where it is said, no shorthands such as `127.1`.
 */
import { type Parsed, parsed, problem } from "./parsed.ts";

/** An address with the number of leading bits that count; the other bits are zero. */
export interface Prefix {
  readonly octets: Uint8Array;
  readonly bits: number;
}

/** Octets of an address in text form: 4 or 16. */
export function tryParseAddress(text: string): Parsed<Uint8Array> {
  const octets = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  return octets === undefined ? problem(`${JSON.stringify(text)} is not an IP address`) : parsed(octets);
}

/**
 * Octets of an address as sockets tell whose it is: without its zone, and IPv4 where a socket for both families wrote it as IPv6
 * (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2).
 */
export function tryParsePeerAddress(text: string): Parsed<Uint8Array> {
  const zone = text.indexOf("%");
  const address = tryParseAddress(zone < 0 ? text : text.slice(0, zone));
  return address.ok && isMappedIpv4(address.value) ? parsed(address.value.slice(12)) : address;
}

function isMappedIpv4(octets: Uint8Array): boolean {
  if (octets.length !== 16 || octets[10] !== 0xff || octets[11] !== 0xff) return false;
  for (let i = 0; i < 10; i++) if (octets[i] !== 0) return false;
  return true;
}

/**
 * The text of an address that can be connected to, as RFC 5952 wants it. A link-local one may name its zone, which is an
 * interface of this machine and stays (RFC 4007 §11): `fe80::1%eth0`.
 */
export function tryParseScopedAddress(text: string): Parsed<string> {
  const percent = text.indexOf("%");
  const address = tryParseAddress(percent < 0 ? text : text.slice(0, percent));
  if (!address.ok) return address;
  const canonical = addressToText(address.value);
  if (percent < 0) return parsed(canonical);
  const zone = text.slice(percent + 1);
  const [a = 0, b = 0] = address.value;
  const isLinkLocal = address.value.length === 16 && a === 0xfe && (b & 0xc0) === 0x80;
  return isLinkLocal && /^[A-Za-z0-9._-]{1,64}$/.test(zone)
    ? parsed(`${canonical}%${zone}`)
    : problem(`${JSON.stringify(text)} names a zone, which only link-local addresses have`);
}

/** An address with `/bits`; without it the whole address counts. Set bits behind the prefix are a problem. */
export function tryParsePrefix(text: string): Parsed<Prefix> {
  const slash = text.indexOf("/");
  const address = tryParseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!address.ok)
    return problem(`${JSON.stringify(text)} is not an address prefix such as 192.0.2.0/24 or 2001:db8::/32`);
  const octets = address.value;
  const bitsText = slash < 0 ? String(octets.length * 8) : text.slice(slash + 1);
  const bits = Number(bitsText);
  if (!/^[0-9]{1,3}$/.test(bitsText) || bits > octets.length * 8) {
    return problem(`${JSON.stringify(text)} has a prefix length outside 0 to ${octets.length * 8}`);
  }
  for (let bit = bits; bit < octets.length * 8; bit++) {
    if (((octets[bit >>> 3] ?? 0) & (0x80 >>> (bit & 7))) !== 0) {
      return problem(`${JSON.stringify(text)} has bits set behind its prefix length`);
    }
  }
  return parsed({ octets, bits });
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const octets = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    // A leading zero is refused: some readers take it as octal.
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    octets[i] = Number(part);
  }
  return octets;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const octets = new Uint8Array(16);
  for (const [i, group] of [...head, ...new Array<number>(missing).fill(0), ...tail].entries()) {
    octets[2 * i] = group >>> 8;
    octets[2 * i + 1] = group;
  }
  return octets;
}

/** 16-bit groups of one side of `::`; a dotted quad may end the last side. */
function groupsOf(text: string, isLast: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (isLast && i === parts.length - 1 && part.includes(".")) {
      const quad = parseIpv4(part);
      if (quad === undefined) return undefined;
      groups.push(((quad[0] ?? 0) << 8) | (quad[1] ?? 0), ((quad[2] ?? 0) << 8) | (quad[3] ?? 0));
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

/** Text form of 4 or 16 octets. */
export function addressToText(octets: Uint8Array): string {
  return octets.length === 4 ? `${octets[0]}.${octets[1]}.${octets[2]}.${octets[3]}` : ipv6ToText(octets);
}

function ipv6ToText(octets: Uint8Array): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((octets[i] ?? 0) << 8) | (octets[i + 1] ?? 0));
  // RFC 5952 §5: IPv4-mapped addresses keep their dotted quad.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
    return `::ffff:${octets.subarray(12).join(".")}`;
  const run = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (run.length < 2) return hex.join(":");
  return `${hex.slice(0, run.start).join(":")}::${hex.slice(run.start + run.length).join(":")}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
