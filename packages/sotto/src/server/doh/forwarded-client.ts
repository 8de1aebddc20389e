/** Whom an HTTP proxy speaks for: the fields `forwarded` (RFC 7239) and `x-forwarded-for`. */
import type { Endpoint, HttpExchange } from "@sotto/dns/runtime";
import { octetsEqual, type Parsed, parsed, problem, tryParseAddress } from "@sotto/dns/wire";

/**
 * The client that a trusted proxy names, undefined when it names none. Each proxy adds to the end, and clients may have
 * begun the list themselves: what counts is the last address that is no trusted proxy's (RFC 7239 §8.1). Most proxies write one
 * of the fields only, and hand on the other as a client sent it: where both are there, both have to name the same client.
 */
export function tryReadForwardedClient(
  exchange: HttpExchange,
  isTrusted: (address: string) => boolean,
): Parsed<Endpoint | undefined> {
  const forwarded = lastClient(exchange.field("forwarded"), forOf, isTrusted);
  const xForwardedFor = lastClient(exchange.field("x-forwarded-for"), (element) => element.trim(), isTrusted);
  if (!forwarded.ok || !xForwardedFor.ok) return forwarded.ok ? xForwardedFor : forwarded;
  if (forwarded.value === undefined || xForwardedFor.value === undefined)
    return forwarded.value === undefined ? xForwardedFor : forwarded;
  return isSameAddress(forwarded.value.address, xForwardedFor.value.address)
    ? forwarded
    : problem("the proxy before us names two clients, in forwarded and in x-forwarded-for");
}

/** Of one field; `nodeOf` takes what stands for a client out of an element. */
function lastClient(
  list: string | undefined,
  nodeOf: (element: string) => string | undefined,
  isTrusted: (address: string) => boolean,
): Parsed<Endpoint | undefined> {
  if (list === undefined) return parsed(undefined);
  if (list.length > FIELD_OCTETS_MAX) return problem("the list of proxies is too long");
  let first: Endpoint | undefined;
  for (const element of list.split(",").reverse()) {
    const node = nodeOf(element);
    const client = node === undefined ? undefined : nodeEndpoint(node);
    if (client === undefined) return problem("the proxy before us names no address of its client");
    first = client;
    if (!isTrusted(client.address)) break;
  }
  return parsed(first);
}

/** However they are written; both are addresses. */
function isSameAddress(one: string, other: string): boolean {
  const [first, second] = [tryParseAddress(one), tryParseAddress(other)];
  return first.ok && second.ok && octetsEqual(first.value, second.value);
}

/** The `for` of one element: `for="[2001:db8::1]:4711";proto=https`. */
function forOf(element: string): string | undefined {
  for (const pair of element.split(";")) {
    const [, value] = /^\s*for\s*=\s*(.*?)\s*$/i.exec(pair) ?? [];
    if (value !== undefined) return value.replace(/^"(.*)"$/, "$1");
  }
  return undefined;
}

/** `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711` (RFC 7239 §6). Port 0: not told. */
function nodeEndpoint(node: string): Endpoint | undefined {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(node);
  const plain = bracketed ?? /^([^:]+)(?::(\d{1,5}))?$/.exec(node);
  const address = plain?.[1] ?? node;
  return tryParseAddress(address).ok ? { address, port: Number(plain?.[2] ?? 0) } : undefined;
}

/** A few dozen proxies; header fields in all have a limit of their own. */
const FIELD_OCTETS_MAX = 2048;
