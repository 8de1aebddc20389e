/** What a client offers in its ClientHello (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2): read from the first octets, for the record only. */
import { type Parsed, parsed, problem, uint16At } from "@sotto/dns/wire";

export interface ClientHello {
  /** Versions offered, highest value first as sent; TLS 1.2 and below have one. */
  readonly versions: readonly string[];
  readonly serverName: string | undefined;
  /** Protocols of ALPN in the client's order; empty: no extension. */
  readonly alpn: readonly string[];
  /** Named groups, by number (IANA "TLS Supported Groups"). */
  readonly groups: readonly number[];
  readonly cipherSuites: number;
  /** TLS 1.3: a pre-shared key; TLS 1.2: a ticket that is not empty. */
  readonly offersResumption: boolean;
  readonly offersEarlyData: boolean;
  readonly octets: number;
}

/** Reads a ClientHello that lies in one record or in several; `undefined` while octets are missing. */
export function tryReadClientHello(octets: Uint8Array): Parsed<ClientHello> | undefined {
  const pieces: Uint8Array[] = [];
  let at = 0;
  let have = 0;
  const head: number[] = [];
  while (have < 4 || have < 4 + bodyOctets(head)) {
    if (at + 5 > octets.length) return undefined;
    if (octets[at] !== HANDSHAKE_RECORD) return problem("not a TLS handshake");
    const end = at + 5 + uint16At(octets, at + 3);
    if (end > octets.length) return undefined;
    const piece = octets.subarray(at + 5, end);
    if (piece.length === 0) return problem("an empty handshake record");
    pieces.push(piece);
    head.push(...piece.subarray(0, Math.max(0, 4 - head.length)));
    have += piece.length;
    at = end;
  }
  const message = Buffer.concat(pieces);
  if (message[0] !== CLIENT_HELLO) return problem("not a ClientHello");
  return readBody(message.subarray(4, 4 + bodyOctets(head)), at);
}

/** The length in the header of a handshake message, which has four octets. */
function bodyOctets(head: readonly number[]): number {
  return ((head[1] ?? 0) << 16) | ((head[2] ?? 0) << 8) | (head[3] ?? 0);
}

function readBody(body: Uint8Array, octets: number): Parsed<ClientHello> {
  const legacyVersion = uint16At(body, 0);
  const sessionIdEnd = 35 + (body[34] ?? 0);
  const suitesEnd = sessionIdEnd + 2 + uint16At(body, sessionIdEnd);
  const extensionsAt = suitesEnd + 1 + (body[suitesEnd] ?? 0);
  if (extensionsAt > body.length) return problem("a ClientHello that ends early");
  const extensions = readExtensions(body, extensionsAt);
  const versions = list16(extensions.get(SUPPORTED_VERSIONS), 1);
  const ticket = extensions.get(SESSION_TICKET);
  return parsed({
    versions: (versions.length === 0 ? [legacyVersion] : versions)
      .map((version) => VERSION_NAMES.get(version))
      .filter((name) => name !== undefined),
    serverName: serverNameOf(extensions.get(SERVER_NAME)),
    alpn: protocolsOf(extensions.get(ALPN)),
    groups: list16(extensions.get(SUPPORTED_GROUPS), 2),
    cipherSuites: Math.floor((suitesEnd - sessionIdEnd - 2) / 2),
    offersResumption: extensions.has(PRE_SHARED_KEY) || (ticket !== undefined && ticket.length > 0),
    offersEarlyData: extensions.has(EARLY_DATA),
    octets,
  });
}

function readExtensions(body: Uint8Array, start: number): Map<number, Uint8Array> {
  const extensions = new Map<number, Uint8Array>();
  const end = Math.min(body.length, start + 2 + uint16At(body, start));
  for (let at = start + 2; at + 4 <= end && extensions.size < EXTENSIONS_MAX; ) {
    const next = at + 4 + uint16At(body, at + 2);
    if (next > end) break;
    extensions.set(uint16At(body, at), body.subarray(at + 4, next));
    at = next;
  }
  return extensions;
}

/** Numbers of 16 bits after a length of `lengthOctets`. */
function list16(data: Uint8Array | undefined, lengthOctets: number): number[] {
  const numbers: number[] = [];
  if (data === undefined) return numbers;
  for (let at = lengthOctets; at + 2 <= data.length && numbers.length < LIST_MAX; at += 2)
    numbers.push(uint16At(data, at));
  return numbers;
}

/** RFC 6066 §3: a list of which only host names are defined. */
function serverNameOf(data: Uint8Array | undefined): string | undefined {
  if (data === undefined || data.length < 5) return undefined;
  return Buffer.from(data.subarray(5, 5 + uint16At(data, 3))).toString("latin1");
}

function protocolsOf(data: Uint8Array | undefined): string[] {
  const protocols: string[] = [];
  if (data === undefined) return protocols;
  for (let at = 2; at < data.length && protocols.length < LIST_MAX; ) {
    const end = at + 1 + (data[at] ?? 0);
    protocols.push(Buffer.from(data.subarray(at + 1, end)).toString("latin1"));
    at = end;
  }
  return protocols;
}

/** The longest ClientHello that is looked at, octets: those with post-quantum keys have about 1600. */
export const CLIENT_HELLO_OCTETS_MAX = 16_384;
const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const SUPPORTED_GROUPS = 10;
const ALPN = 16;
const SESSION_TICKET = 35;
const PRE_SHARED_KEY = 41;
const EARLY_DATA = 42;
const SUPPORTED_VERSIONS = 43;
const EXTENSIONS_MAX = 64;
const LIST_MAX = 64;
const VERSION_NAMES: ReadonlyMap<number, string> = new Map([
  [0x0301, "TLSv1"],
  [0x0302, "TLSv1.1"],
  [0x0303, "TLSv1.2"],
  [0x0304, "TLSv1.3"],
]);
