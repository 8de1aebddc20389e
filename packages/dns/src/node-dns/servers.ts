/** Servers as `setServers` takes them: addresses with ports in Node's manner, and upstreams in ours. */
import { isIP } from "node:net";
import { readUpstream, type UpstreamSpec } from "@sotto/dns/stub";
import { tryParseScopedAddress } from "@sotto/dns/wire";
import { requirePort, wrongAddress, wrongType } from "./argument-checks.ts";

/** A server and what `getServers` says of it. */
export interface NamedServer {
  readonly upstream: string | UpstreamSpec;
  readonly text: string;
}

/**
 * Throws what Node throws for what is no list of servers, and ERR_CONFIG for upstreams that make no sense. What `getServers` says of a
 * known one means that one, with everything it was configured with: programs put their own server before those that there are.
 */
export function readServers(servers: unknown, known: readonly NamedServer[]): NamedServer[] {
  if (!Array.isArray(servers)) throw wrongType("servers", "an instance of Array", servers);
  const given: readonly unknown[] = servers;
  const seen = new Set<string>();
  const left = [...known];
  return given.flatMap((server, index) => {
    if (isSpec(server)) return [{ upstream: server, text: readUpstream(server).label }];
    if (typeof server !== "string") throw wrongType(`servers[${index}]`, "of type string", server);
    const at = left.findIndex(({ text }) => text === server);
    if (at >= 0 && isSpec(left[at]?.upstream)) return left.splice(at, 1);
    const one = readServer(server);
    // As c-ares does, which asks nobody twice.
    if (seen.has(one.text)) return [];
    seen.add(one.text);
    return [one];
  });
}

/** How `getServers` names an upstream that was configured otherwise. */
export function namedServer(upstream: string | UpstreamSpec): NamedServer {
  return { upstream, text: typeof upstream === "string" ? upstream : readUpstream(upstream).label };
}

/** What has an address or a name is checked in full by `readUpstream`. */
function isSpec(value: unknown): value is UpstreamSpec {
  return typeof value === "object" && value !== null && ("address" in value || "name" in value);
}

function readServer(text: string): NamedServer {
  if (isIP(text) !== 0) return clear(text, PORT);
  const [, bracketed, bracketedPort] = /^\[([^[\]]*)\](?::(\d+))?$/.exec(text) ?? [];
  if (bracketed !== undefined && isIP(bracketed) !== 0)
    return clear(bracketed, requirePort(Number(bracketedPort ?? PORT)) || PORT);
  const [, address, port] = /^([^:]+):(\d+)$/.exec(text) ?? [];
  if (address !== undefined && isIP(address) !== 0) return clear(address, requirePort(Number(port)) || PORT);
  if (!/:\/\/|[@#]/.test(text)) throw wrongAddress(text);
  return { upstream: readUpstream(text) && text, text };
}

/**
 * A port of its own says which service is meant: port 53 of a server may have one on 853 beside it, which the profile looks
 * for, any other port has not.
 */
function clear(literal: string, port: number): NamedServer {
  const address = tryParseScopedAddress(literal);
  if (!address.ok) throw wrongAddress(literal);
  // Node does not tell the zone.
  const bare = address.value.replace(/%.*/, "");
  const text = port === PORT ? bare : `${bare.includes(":") ? `[${bare}]` : bare}:${port}`;
  const transport = port === PORT ? "auto" : port === TLS_PORT ? "tls" : "udp";
  return { upstream: { address: address.value, port: port === PORT ? undefined : port, transport }, text };
}

const PORT = 53;
const TLS_PORT = 853;
