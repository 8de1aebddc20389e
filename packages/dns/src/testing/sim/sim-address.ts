/** Addresses of simulated hosts, and what goes wrong at them. */
import { DnsError, type Endpoint } from "@sotto/dns/runtime";
import { addressToText, tryParseAddress } from "@sotto/dns/wire";

export function keyOf(endpoint: Endpoint): string {
  return `${endpoint.address}|${endpoint.port}`;
}

export function wildcardOf(to: Endpoint): Endpoint {
  return { address: to.address.includes(":") ? "::" : "0.0.0.0", port: to.port };
}

export function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

export function canonical(address: string): string {
  const octets = tryParseAddress(address);
  if (!octets.ok) throw new RangeError(octets.problem);
  return addressToText(octets.value);
}

export function refused(to: Endpoint, stage: string): DnsError {
  return new DnsError("ERR_CONNECT_REFUSED", `${to.address} port ${to.port} refused`, { stage });
}

export function unreachable(to: Endpoint, stage: string): DnsError {
  return new DnsError("ERR_UNREACHABLE", `${to.address} cannot be reached`, { stage });
}

export function tooLate(to: Endpoint, stage: "connect" | "handshake"): DnsError {
  return new DnsError("ERR_CONNECT_TIMEOUT", `${to.address} port ${to.port} did not answer in time`, {
    stage,
  });
}

export function notOurs(local: Endpoint): DnsError {
  return new DnsError("ERR_ADDRESS_NOT_AVAILABLE", `${local.address} is not an address of this host`);
}
