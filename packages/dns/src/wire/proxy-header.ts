/**
 * The PROXY protocol, versions 1 (text) and 2 (binary): what a load balancer sends first on a connection, or at the head of
 * a datagram, to tell whom it speaks for. Source: HAProxy's "The PROXY protocol", versions 1 and 2.
 */

import { addressToText, tryParseAddress } from "./ip-address.ts";
import { setUint16, uint16At } from "./octets.ts";

/** An address literal and a port. */
export interface ProxyEndpoint {
  readonly address: string;
  readonly port: number;
}

/** `local` is the proxy's own connection, such as a health check: it speaks for itself. */
export type ProxyHeader =
  | { readonly kind: "proxied"; readonly source: ProxyEndpoint; readonly destination: ProxyEndpoint }
  | { readonly kind: "local" };

/** What the first octets are. `octets` is the length of the header: what follows is the client's. */
export type ProxyHeaderRead =
  | { readonly kind: "header"; readonly header: ProxyHeader; readonly octets: number }
  | { readonly kind: "incomplete" }
  | { readonly kind: "malformed"; readonly problem: string };

/** Reads a header at the start of `octets`. */
export function readProxyHeader(octets: Uint8Array): ProxyHeaderRead {
  const signature = commonOctets(octets, SIGNATURE_V2);
  if (signature === SIGNATURE_V2.length) return readVersion2(octets);
  const word = commonOctets(octets, SIGNATURE_V1);
  if (word === SIGNATURE_V1.length) return readVersion1(octets);
  if (octets.length === signature || octets.length === word) return INCOMPLETE;
  return malformed("the connection does not begin with a PROXY header");
}

/**
 * A header of version 2 that tells whom we speak for. Throws a RangeError when an address is no literal; ends of different
 * families are both written as IPv6 (RFC 4291 §2.5.5.2).
 */
export function makeProxyHeader(
  source: ProxyEndpoint,
  destination: ProxyEndpoint,
  kind: "stream" | "datagram",
): Uint8Array {
  const ends = [addressOf(source), addressOf(destination)];
  const isIpv4 = ends.every(({ length }) => length === 4);
  const addressOctets = isIpv4 ? 4 : 16;
  const octets = new Uint8Array(FIXED_OCTETS_V2 + 2 * addressOctets + 4);
  octets.set(SIGNATURE_V2);
  octets[12] = 0x21;
  octets[13] = (isIpv4 ? 0x10 : 0x20) | (kind === "stream" ? 1 : 2);
  setUint16(octets, 14, octets.length - FIXED_OCTETS_V2);
  let at = FIXED_OCTETS_V2;
  for (const end of ends) {
    octets.set(end.length === addressOctets ? end : mapped(end), at);
    at += addressOctets;
  }
  setUint16(octets, at, source.port);
  setUint16(octets, at + 2, destination.port);
  return octets;
}

/** Version 2 of "we speak for ourselves", as health checks do. */
export function makeLocalProxyHeader(): Uint8Array {
  const octets = new Uint8Array(FIXED_OCTETS_V2);
  octets.set(SIGNATURE_V2);
  octets[12] = 0x20;
  return octets;
}

function addressOf({ address }: ProxyEndpoint): Uint8Array {
  // A zone means nothing on another machine (RFC 4007 §11).
  const zoneAt = address.indexOf("%");
  const octets = tryParseAddress(zoneAt < 0 ? address : address.slice(0, zoneAt));
  if (!octets.ok) throw new RangeError(octets.problem);
  return octets.value;
}

function mapped(ipv4: Uint8Array): Uint8Array {
  const octets = new Uint8Array(16);
  octets.fill(0xff, 10, 12);
  octets.set(ipv4, 12);
  return octets;
}

function commonOctets(octets: Uint8Array, expected: Uint8Array): number {
  let at = 0;
  while (at < expected.length && at < octets.length && octets[at] === expected[at]) at++;
  return at;
}

function readVersion2(octets: Uint8Array): ProxyHeaderRead {
  if (octets.length < FIXED_OCTETS_V2) return INCOMPLETE;
  const command = octets[12] ?? 0;
  const family = octets[13] ?? 0;
  const end = FIXED_OCTETS_V2 + uint16At(octets, 14);
  if (command >>> 4 !== 2) return malformed(`unknown version ${command >>> 4}`);
  if ((command & 0xf) > 1) return malformed(`unknown command ${command & 0xf}`);
  if (end > PROXY_HEADER_OCTETS_MAX) return malformed(`header of ${end} octets`);
  if (octets.length < end) return INCOMPLETE;
  const addressOctets = ADDRESS_OCTETS[family >>> 4];
  // LOCAL, and families that are not ours (unspecified, Unix sockets): the connection speaks for itself.
  if ((command & 0xf) === 0 || addressOctets === undefined) return header({ kind: "local" }, end);
  if (end < FIXED_OCTETS_V2 + 2 * addressOctets + 4) return malformed("header too short for its addresses");
  const sourceAt = FIXED_OCTETS_V2;
  const destinationAt = sourceAt + addressOctets;
  const portsAt = destinationAt + addressOctets;
  return header(
    {
      kind: "proxied",
      source: {
        address: addressToText(octets.subarray(sourceAt, destinationAt)),
        port: uint16At(octets, portsAt),
      },
      destination: {
        address: addressToText(octets.subarray(destinationAt, portsAt)),
        port: uint16At(octets, portsAt + 2),
      },
    },
    end,
  );
}

function readVersion1(octets: Uint8Array): ProxyHeaderRead {
  const line = octets.subarray(0, LINE_OCTETS_MAX_V1);
  const end = line.indexOf(0x0a);
  if (end < 0)
    return octets.length < LINE_OCTETS_MAX_V1 ? INCOMPLETE : malformed("header line without an end");
  if (line[end - 1] !== 0x0d) return malformed("header line without a carriage return");
  const text = String.fromCharCode(...line.subarray(0, end - 1));
  if (/^PROXY UNKNOWN( |$)/.test(text)) return header({ kind: "local" }, end + 1);
  const parts = /^PROXY (TCP4|TCP6) (\S+) (\S+) (\d{1,5}) (\d{1,5})$/.exec(text);
  const [, family, sourceText = "", destinationText = "", sourcePort = "", destinationPort = ""] =
    parts ?? [];
  const source = tryParseAddress(sourceText);
  const destination = tryParseAddress(destinationText);
  const octetsWanted = family === "TCP6" ? 16 : 4;
  if (
    !source.ok ||
    !destination.ok ||
    source.value.length !== octetsWanted ||
    destination.value.length !== octetsWanted ||
    Number(sourcePort) > 0xffff ||
    Number(destinationPort) > 0xffff
  )
    return malformed("header line without two addresses and ports");
  return header(
    {
      kind: "proxied",
      source: { address: addressToText(source.value), port: Number(sourcePort) },
      destination: { address: addressToText(destination.value), port: Number(destinationPort) },
    },
    end + 1,
  );
}

function header(value: ProxyHeader, octets: number): ProxyHeaderRead {
  return { kind: "header", header: value, octets };
}

function malformed(problem: string): ProxyHeaderRead {
  return { kind: "malformed", problem };
}

const INCOMPLETE: ProxyHeaderRead = { kind: "incomplete" };
const SIGNATURE_V1 = Uint8Array.from("PROXY ", (letter) => letter.charCodeAt(0));
const SIGNATURE_V2 = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const FIXED_OCTETS_V2 = 16;
/** The longest line of version 1, with its end. */
const LINE_OCTETS_MAX_V1 = 107;
/** Version 2 may carry certificates and names of the client's TLS, which we have no use for; no proxy sends more. */
export const PROXY_HEADER_OCTETS_MAX = 4096;
/** By address family: AF_INET, AF_INET6. */
const ADDRESS_OCTETS: Readonly<Record<number, number>> = { 1: 4, 2: 16 };
