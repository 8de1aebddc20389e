/** `lookup` and `lookupService`: what getaddrinfo and getnameinfo do, over a channel. */
import { isIP } from "node:net";
import { DnsError } from "@sotto/dns/runtime";
import type { MachineFamilies } from "@sotto/dns/runtime/node";
import type { StubAnswer } from "@sotto/dns/stub";
import { addressToText, Rcode, RRType } from "@sotto/dns/wire";
import type { Channel } from "./channel.ts";
import {
  causeOfAnswer,
  dnsException,
  UV_EAI_ADDRFAMILY,
  UV_EAI_AGAIN,
  UV_EAI_NODATA,
  UV_EAI_NONAME,
} from "./dns-exception.ts";
import { ipv4OfNumbers } from "./ipv4-of-numbers.ts";
import type { Family, LookupArguments, ResultOrder } from "./lookup-arguments.ts";
import { ADDRCONFIG, ALL, V4MAPPED } from "./lookup-arguments.ts";
import { asciiName, reverseNames } from "./resolve.ts";

export interface FoundAddress {
  readonly address: string;
  readonly family: 4 | 6;
  /** Seconds. */
  readonly ttl: number;
}

/** All addresses of a name, at least one. Rejects with a `DnsException` of `getaddrinfo`. */
export async function lookupAddresses(
  channel: Channel,
  hostname: string,
  { family, hints, order }: LookupArguments,
  machine: () => MachineFamilies,
): Promise<FoundAddress[]> {
  const literal = isIP(hostname);
  if (literal === 4 || literal === 6) return [{ address: hostname, family: literal, ttl: 0 }];
  const name = asciiName(hostname);
  const numeric = ipv4OfNumbers(name);
  // As glibc's res_hnok has it: URLs, mail addresses and the like, which programs pass by mistake, are not told to anybody.
  if (!HOSTNAME.test(name)) throw dnsException("ENOTFOUND", CALL, hostname, { errno: UV_EAI_NONAME });
  const asked = familiesFor(family, hints, machine);
  if (numeric !== undefined) return [numericAddress(numeric, hostname, family, asked)];
  const tries = await Promise.all(asked.map((one) => tryFamily(channel, name, one)));
  let found = tries.flatMap(({ addresses }) => addresses);
  if (family === 6 && (hints & V4MAPPED) !== 0) found = mapped(found, hints);
  if (found.length > 0) return inOrder(found, order, machine);
  const failed = tries.find(({ isFinal }) => !isFinal);
  if (failed === undefined) {
    const errno = tries.some(({ exists }) => exists) ? UV_EAI_NODATA : UV_EAI_NONAME;
    throw dnsException("ENOTFOUND", CALL, hostname, { errno });
  }
  throw dnsException("EAI_AGAIN", CALL, hostname, { errno: UV_EAI_AGAIN, cause: failed.cause });
}

/** An address in the old spellings, which are no names to ask for. */
function numericAddress(
  address: string,
  hostname: string,
  family: Family,
  asked: readonly (4 | 6)[],
): FoundAddress {
  if (!asked.includes(4)) throw dnsException("EAI_ADDRFAMILY", CALL, hostname, { errno: UV_EAI_ADDRFAMILY });
  return family === 6 ? { address: MAPPED + address, family: 6, ttl: 0 } : { address, family: 4, ttl: 0 };
}

/** getaddrinfo(3): with AI_ADDRCONFIG a family is asked for only when the machine has it; with neither, that says nothing. */
function familiesFor(family: Family, hints: number, machine: () => MachineFamilies): (4 | 6)[] {
  const wanted: (4 | 6)[] =
    family === 0 || (family === 6 && (hints & V4MAPPED) !== 0) ? [4, 6] : [family === 4 ? 4 : 6];
  if ((hints & ADDRCONFIG) === 0) return wanted;
  const { hasIpv4, hasIpv6 } = machine();
  if (hasIpv4 === hasIpv6) return wanted;
  return wanted.filter((one) => (one === 4 ? hasIpv4 : hasIpv6));
}

interface Tried {
  readonly addresses: FoundAddress[];
  /** False when asking again may bring another answer. */
  readonly isFinal: boolean;
  /** The name is there, though it may have no address. */
  readonly exists: boolean;
  readonly cause?: unknown;
}

async function tryFamily(channel: Channel, name: string, family: 4 | 6): Promise<Tried> {
  const type = family === 4 ? RRType.A : RRType.AAAA;
  try {
    const answer = await channel.ask(name, type, {});
    const { rcode } = answer.message;
    const exists = rcode === Rcode.NoError;
    return {
      addresses: addressesOf(answer, family),
      isFinal: exists || rcode === Rcode.NXDomain,
      exists,
      cause: causeOfAnswer(answer),
    };
  } catch (cause) {
    if (!DnsError.is(cause)) throw cause;
    // A name that cannot be has no address.
    return { addresses: [], isFinal: cause.code === "ERR_NAME_MALFORMED", exists: false, cause };
  }
}

function addressesOf({ records }: StubAnswer, family: 4 | 6): FoundAddress[] {
  const octets = family === 4 ? 4 : 16;
  return records
    .filter(({ rdata }) => rdata.length === octets)
    .map(({ rdata, ttl }) => ({ address: addressToText(rdata), family, ttl }));
}

/** AI_V4MAPPED: IPv4 addresses in the form of IPv6 where there are no others, with AI_ALL beside them. */
function mapped(found: readonly FoundAddress[], hints: number): FoundAddress[] {
  const own = found.filter(({ family }) => family === 6);
  if (own.length > 0 && (hints & ALL) === 0) return own;
  const others = found.filter(({ family }) => family === 4);
  return [...own, ...others.map((one) => ({ ...one, address: MAPPED + one.address, family: 6 as const }))];
}

function inOrder(
  found: readonly FoundAddress[],
  order: ResultOrder,
  machine: () => MachineFamilies,
): FoundAddress[] {
  const first = order === "ipv4first" ? 4 : order === "ipv6first" ? 6 : preferred(found, machine);
  const rank = (one: FoundAddress): number => (protocolOf(one) === first ? 0 : 1);
  return found.toSorted((a, b) => rank(a) - rank(b));
}

/**
 * RFC 6724 §6, rules 1 and 6: what can be reached first, then IPv6. Which source address a route would have is not looked up: a
 * machine that has no address of a family but on its own link reaches nothing with it.
 */
function preferred(found: readonly FoundAddress[], machine: () => MachineFamilies): 4 | 6 {
  if (found.every((one) => protocolOf(one) === 6)) return 6;
  const { hasIpv4, reachesIpv6 } = machine();
  const isReachable = (one: FoundAddress): boolean =>
    protocolOf(one) === 4
      ? hasIpv4 || /^(?:::ffff:)?127\./.test(one.address)
      : reachesIpv6 || one.address === "::1";
  const reached = found.filter(isReachable);
  return reached.length > 0 && reached.every((one) => protocolOf(one) === 4) ? 4 : 6;
}

/** What is spoken with an address: a mapped one is IPv4. */
function protocolOf({ address, family }: FoundAddress): 4 | 6 {
  return address.startsWith(MAPPED) ? 4 : family;
}

/** The name of an address and of a TCP port. Rejects with a `DnsException` of `getnameinfo`. */
export async function lookupNames(
  channel: Channel,
  address: string,
  port: number,
  services: (port: number) => string | undefined,
): Promise<{ hostname: string; service: string }> {
  const service = services(port) ?? String(port);
  try {
    const [hostname = address] = await reverseNames(channel, address);
    return { hostname, service };
  } catch (cause) {
    const isAbsent = cause instanceof Error && "code" in cause && cause.code === "ENOTFOUND";
    const [code, errno] = isAbsent
      ? (["ENOTFOUND", UV_EAI_NONAME] as const)
      : (["EAI_AGAIN", UV_EAI_AGAIN] as const);
    throw dnsException(code, "getnameinfo", address, { errno, cause });
  }
}

/** Letters, digits, `-`, which is not the first, and `_`, which is in many names though no RFC has it in a host's. */
const HOSTNAME = /^[a-z0-9_.][a-z0-9_.-]*$/i;
const CALL = "getaddrinfo";
const MAPPED = "::ffff:";
