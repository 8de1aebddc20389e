/**
 * Which versions of TLS a server speaks, seen from a ClientHello of our own and what comes back: neither Node nor OpenSSL would
 * offer the old ones. No handshake is completed, no key is used, and nothing else is offered than what the question needs.
 */
import { concatOctets, type Parsed, parsed, problem, uint16At } from "@sotto/dns/wire";

/** Versions by their number on the wire. */
export const TLS_VERSIONS = {
  "TLS 1.0": 0x0301,
  "TLS 1.1": 0x0302,
  "TLS 1.2": 0x0303,
  "TLS 1.3": 0x0304,
} as const;

export interface HelloParts {
  /** The only version that is offered. */
  readonly version: number;
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
  /** 32 octets each. */
  readonly random: Uint8Array;
  readonly keyShare: Uint8Array;
}

/** A record with a ClientHello (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2). */
export function makeClientHello(parts: HelloParts): Uint8Array {
  const isNew = parts.version >= TLS_VERSIONS["TLS 1.3"];
  const suites = isNew ? SUITES_13 : SUITES_12;
  const body = concatOctets([
    uint16(Math.min(parts.version, TLS_VERSIONS["TLS 1.2"])),
    parts.random,
    // A session id of 32 octets, as TLS 1.3 has it for middleboxes.
    vector8(isNew ? parts.random : new Uint8Array(0)),
    vector16(concatOctets(suites.map(uint16))),
    vector8(Uint8Array.of(0)),
    vector16(concatOctets(extensions(parts, isNew))),
  ]);
  const handshake = concatOctets([Uint8Array.of(CLIENT_HELLO, 0), vector16(body)]);
  return concatOctets([Uint8Array.of(HANDSHAKE, 3, 1), vector16(handshake)]);
}

function extensions(parts: HelloParts, isNew: boolean): Uint8Array[] {
  const encoder = new TextEncoder();
  const found: Uint8Array[] = [];
  if (parts.serverName !== undefined) {
    const name = encoder.encode(parts.serverName);
    found.push(extension(0, vector16(concatOctets([Uint8Array.of(0), vector16(name)]))));
  }
  // X25519, P-256, P-384.
  found.push(extension(10, vector16(concatOctets([0x001d, 0x0017, 0x0018].map(uint16)))));
  found.push(extension(11, vector8(Uint8Array.of(0))));
  if (parts.version >= TLS_VERSIONS["TLS 1.2"])
    found.push(extension(13, vector16(concatOctets(SIGNATURES.map(uint16)))));
  if (parts.alpn.length > 0) {
    const protocols = parts.alpn.map((protocol) => vector8(encoder.encode(protocol)));
    found.push(extension(16, vector16(concatOctets(protocols))));
  }
  if (isNew) {
    found.push(extension(43, vector8(uint16(parts.version))));
    found.push(extension(51, vector16(concatOctets([uint16(0x001d), vector16(parts.keyShare)]))));
  }
  return found;
}

/** What a server said to a ClientHello. */
export type HelloAnswer =
  | { readonly kind: "version"; readonly version: number }
  | { readonly kind: "alert"; readonly description: number };

/** Reads the first message of an answer; a problem while it is not whole, or when it is none of TLS. */
export function tryReadHelloAnswer(octets: Uint8Array): Parsed<HelloAnswer> {
  if (octets.length < 5) return problem("not a whole record yet");
  const kind = octets[0];
  if ((kind !== HANDSHAKE && kind !== ALERT) || octets[1] !== 3) return problem("no record of TLS");
  const end = 5 + uint16At(octets, 3);
  if (kind === ALERT) {
    const description = octets[6];
    return description === undefined
      ? problem("not a whole alert yet")
      : parsed({ kind: "alert", description });
  }
  if (octets.length < Math.min(end, HELLO_OCTETS_MIN)) return problem("not a whole ServerHello yet");
  if (octets[5] !== SERVER_HELLO) return problem("a handshake message that is no ServerHello");
  // Other messages may follow in the same record, and are not waited for.
  const helloEnd = Math.min(end, 9 + ((octets[6] ?? 0) << 16) + uint16At(octets, 7));
  if (octets.length < helloEnd) return problem("not a whole ServerHello yet");
  const legacy = uint16At(octets, 9);
  const extensionsAt = 44 + (octets[43] ?? 0) + 3;
  return parsed({ kind: "version", version: selectedVersion(octets, extensionsAt, helloEnd) ?? legacy });
}

/** The extension supported_versions of a ServerHello (RFC 8446 §4.2.1). */
function selectedVersion(octets: Uint8Array, from: number, end: number): number | undefined {
  for (let at = from + 2; at + 6 <= end; at += 4 + uint16At(octets, at + 2))
    if (uint16At(octets, at) === 43) return uint16At(octets, at + 4);
  return undefined;
}

function extension(type: number, data: Uint8Array): Uint8Array {
  return concatOctets([uint16(type), vector16(data)]);
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

function vector8(data: Uint8Array): Uint8Array {
  return concatOctets([Uint8Array.of(data.length), data]);
}

function vector16(data: Uint8Array): Uint8Array {
  return concatOctets([uint16(data.length), data]);
}

const HANDSHAKE = 22;
const ALERT = 21;
const CLIENT_HELLO = 1;
const SERVER_HELLO = 2;
/** Record header, handshake header, version, random, length of the session id. */
const HELLO_OCTETS_MIN = 5 + 4 + 2 + 32 + 1;
/** AES-GCM, ChaCha20 and CBC with ECDHE, for ECDSA and RSA; and RSA alone, which very old servers have. */
const SUITES_12: readonly number[] = [
  0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014, 0x002f, 0x0035,
];
const SUITES_13: readonly number[] = [0x1301, 0x1302, 0x1303];
const SIGNATURES: readonly number[] = [
  0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0807, 0x0203, 0x0201,
];
