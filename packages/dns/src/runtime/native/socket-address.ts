/** Endpoints as the system has them: `struct sockaddr_in` and `sockaddr_in6` of Linux. */
import { networkInterfaces } from "node:os";
import { addressToText, tryParseAddress } from "@sotto/dns/wire";
import type { Endpoint } from "../network.ts";

/** Octets of the longer one. */
export const ADDRESS_OCTETS_MAX = 28;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** Writes an endpoint at `at`; gives its octets, 0 for what is no address. IPv6 sockets want IPv4 addresses mapped (RFC 4291 §2.5.5.2). */
export function encodeEndpoint(view: DataView, at: number, endpoint: Endpoint, isIpv6: boolean): number {
  const number = isIpv6 ? -1 : ipv4Number(endpoint.address);
  if (number >= 0) {
    view.setUint16(at, AF_INET, true);
    view.setUint16(at + 2, endpoint.port);
    view.setUint32(at + 4, number);
    return IPV4_OCTETS;
  }
  const [text = "", zone] = endpoint.address.split("%");
  const parsed = tryParseAddress(text);
  if (!parsed.ok) return 0;
  const octets = parsed.value;
  view.setUint16(at + 2, endpoint.port);
  if (!isIpv6) {
    if (octets.length !== 4) return 0;
    view.setUint16(at, AF_INET, true);
    for (let i = 0; i < 4; i++) view.setUint8(at + 4 + i, octets[i] ?? 0);
    return IPV4_OCTETS;
  }
  view.setUint16(at, AF_INET6, true);
  view.setUint32(at + 4, 0);
  writeIpv6(view, at + 8, octets);
  view.setUint32(at + 24, zone === undefined ? 0 : zoneIndex(zone), true);
  return ADDRESS_OCTETS_MAX;
}

/** The number of a dotted quad as {@link ipv4Text} writes it, without an object; -1 for other texts, which may be addresses as well. */
function ipv4Number(text: string): number {
  let number = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || ++dots > 3) return -1;
      number = number * 256 + part;
      part = 0;
      digits = 0;
      continue;
    }
    if (code < DIGIT_0 || code > DIGIT_0 + 9 || (digits > 0 && part === 0)) return -1;
    part = part * 10 + code - DIGIT_0;
    digits++;
    if (part > 255) return -1;
  }
  return digits > 0 && dots === 3 ? number * 256 + part : -1;
}

/** Writes the 16 octets of an address, an IPv4 one mapped. */
function writeIpv6(view: DataView, at: number, octets: Uint8Array): void {
  const shift = 16 - octets.length;
  for (let i = 0; i < 16; i++) view.setUint8(at + i, octets[i - shift] ?? 0);
  if (shift > 0) view.setUint16(at + 10, 0xffff);
}

/** Reads what {@link encodeEndpoint} or the system wrote; mapped IPv4 addresses are IPv4 addresses again. */
export function decodeEndpoint(view: DataView, at: number): Endpoint {
  const port = view.getUint16(at + 2);
  if (view.getUint16(at, true) === AF_INET) return { address: ipv4Text(view.getUint32(at + 4)), port };
  return { address: ipv6Text(view, at + 8, view.getUint32(at + 24, true)), port };
}

/** Dotted quad of a big-endian number. */
export function ipv4Text(number: number): string {
  return `${number >>> 24}.${(number >>> 16) & 0xff}.${(number >>> 8) & 0xff}.${number & 0xff}`;
}

/** Text of 16 octets; link-local ones with their zone (RFC 4007 §11). */
export function ipv6Text(view: DataView, at: number, zone: number): string {
  if (view.getUint32(at) === 0 && view.getUint32(at + 4) === 0 && view.getUint32(at + 8) === 0xffff)
    return ipv4Text(view.getUint32(at + 12));
  const text = addressToText(new Uint8Array(view.buffer, view.byteOffset + at, 16));
  const isLinkLocal = (view.getUint16(at) & 0xffc0) === 0xfe80;
  return isLinkLocal && zone > 0 ? `${text}%${zoneName(zone)}` : text;
}

/** Name of an interface; its number where the system does not tell, which {@link zoneIndex} understands as well. */
function zoneName(index: number): string {
  for (const [name, addresses] of Object.entries(networkInterfaces()))
    if (addresses?.some((one) => one.family === "IPv6" && one.scopeid === index)) return name;
  return String(index);
}

function zoneIndex(zone: string): number {
  const addresses = networkInterfaces()[zone];
  for (const one of addresses ?? []) if (one.family === "IPv6" && one.scopeid > 0) return one.scopeid;
  return /^\d{1,9}$/.test(zone) ? Number(zone) : 0;
}

const IPV4_OCTETS = 16;
const DOT = 0x2e;
const DIGIT_0 = 0x30;
