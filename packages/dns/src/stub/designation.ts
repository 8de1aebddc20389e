/** What a resolver says of its designated resolvers that speak DNS over TLS (RFC 9462 §4, RFC 9461): SVCB records into ways. */
import {
  addressToText,
  decodeRdataOf,
  type Message,
  type Name,
  parseName,
  RRType,
  SvcParamKey,
  tryParseAddress,
  uint16At,
} from "@sotto/dns/wire";
import { answerOf } from "./answer-of.ts";

/** Asked of the resolver itself; nobody owns it (RFC 9462 §4). */
export const DESIGNATION_OWNER: Name = parseName("_dns.resolver.arpa.");

/** One designated resolver. */
export interface Designation {
  /** Never sent and never trusted: the certificate is for the address of the resolver that designates. */
  readonly target: Name;
  readonly port: number;
  /** From hints and from the additional section; empty: to be looked up. */
  readonly addresses: readonly string[];
}

/** Those over TLS that can be used, the preferred first; at most {@link DESIGNATIONS_MAX}. */
export function designationsIn(message: Message): Designation[] {
  const { records } = answerOf(message, DESIGNATION_OWNER, RRType.SVCB);
  return records
    .flatMap(({ rdata }) => {
      const fields = decodeRdataOf("SVCB", rdata);
      return fields.ok ? (designationOf(fields.value, message) ?? []) : [];
    })
    .toSorted((a, b) => a.priority - b.priority)
    .slice(0, DESIGNATIONS_MAX)
    .map(({ target, port, addresses }) => ({ target, port, addresses }));
}

type Service = { readonly priority: number; readonly target: Name; readonly params: readonly Param[] };
type Param = { readonly key: number; readonly value: Uint8Array };

/** Undefined for what this client cannot use, and for what nobody may (RFC 9462 §4: no `.` as target; RFC 9460 §8: mandatory). */
function designationOf(
  { priority, target, params }: Service,
  message: Message,
): (Designation & { readonly priority: number }) | undefined {
  const parameter = (key: number): Uint8Array | undefined => params.find((param) => param.key === key)?.value;
  // Priority 0 is an alias, which has no parameters.
  if (priority === 0 || target.isRoot || !understandsAll(parameter(SvcParamKey.mandatory))) return undefined;
  if (!namesDot(parameter(SvcParamKey.alpn))) return undefined;
  const portOctets = parameter(SvcParamKey.port);
  const port = portOctets === undefined ? PORT : uint16At(portOctets, 0);
  // RFC 7858 §3.1: port 53 is for clear DNS.
  if (port === 0 || port === CLEAR_PORT) return undefined;
  const addresses = [
    ...addressesOf(parameter(SvcParamKey.ipv6hint), 16),
    ...addressesOf(parameter(SvcParamKey.ipv4hint), 4),
    ...message.additionals
      .filter(({ owner, type, rdata }) => owner.equals(target) && rdata.length === ADDRESS_OCTETS[type])
      .map(({ rdata }) => addressToText(rdata)),
  ];
  return { priority, target, port, addresses: [...new Set(addresses)].slice(0, ADDRESSES_MAX) };
}

function understandsAll(mandatory: Uint8Array | undefined): boolean {
  for (let at = 0; at + 1 < (mandatory?.length ?? 0); at += 2)
    if (!UNDERSTOOD.has(uint16At(mandatory ?? EMPTY, at))) return false;
  return true;
}

/** RFC 9461 §4.1: `dot` must be named, nothing is meant by default. */
function namesDot(alpn: Uint8Array = EMPTY): boolean {
  for (let at = 0; at < alpn.length; at += 1 + (alpn[at] ?? 0)) {
    const protocol = alpn.subarray(at + 1, at + 1 + (alpn[at] ?? 0));
    if (new TextDecoder().decode(protocol) === "dot") return true;
  }
  return false;
}

function addressesOf(octets: Uint8Array = EMPTY, size: number): string[] {
  const addresses: string[] = [];
  for (let at = 0; at + size <= octets.length; at += size)
    addresses.push(addressToText(octets.subarray(at, at + size)));
  return addresses;
}

/** Whether an address can have a certificate: RFC 9462 §4.3 wants opportunistic discovery only where none can. */
export function isPublicAddress(text: string): boolean {
  const octets = tryParseAddress(text);
  if (!octets.ok) return false;
  const [a = 0, b = 0] = octets.value;
  // fc00::/7 (RFC 4193), fe80::/10 (RFC 4291), and ::1.
  if (octets.value.length === 16)
    return (a & 0xfe) !== 0xfc && !(a === 0xfe && (b & 0xc0) === 0x80) && text !== "::1";
  // RFC 1918, loopback, RFC 3927 and RFC 6598.
  if (a === 10 || a === 127 || (a === 172 && (b & 0xf0) === 16) || (a === 192 && b === 168)) return false;
  return !(a === 169 && b === 254) && !(a === 100 && (b & 0xc0) === 64);
}

const EMPTY = new Uint8Array(0);
const ADDRESS_OCTETS: Readonly<Record<number, number>> = { [RRType.A]: 4, [RRType.AAAA]: 16 };
const UNDERSTOOD: ReadonlySet<number> = new Set([
  SvcParamKey.alpn,
  SvcParamKey["no-default-alpn"],
  SvcParamKey.port,
  SvcParamKey.ipv4hint,
  SvcParamKey.ipv6hint,
]);
/** RFC 9461 §4.2 and RFC 7858 §3.1. */
const PORT = 853;
const CLEAR_PORT = 53;
/** Each may cost a connection that does not come about. */
const DESIGNATIONS_MAX = 4;
const ADDRESSES_MAX = 8;
