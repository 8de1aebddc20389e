/** Which server to ask when none is given, and the address of one that is given by name: the system's business. */
import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { DnsError } from "@sotto/dns/runtime";
import { tryParseAddress } from "@sotto/dns/wire";

/** The first name server of a resolv.conf text; the loopback address when it names none (resolv.conf(5)). */
export function firstNameServer(resolvConf: string): string {
  for (const line of resolvConf.split("\n")) {
    const server = /^\s*nameserver\s+([0-9A-Fa-f:.]+)/.exec(line)?.[1];
    if (server !== undefined && tryParseAddress(server).ok) return server;
  }
  return "127.0.0.1";
}

/** The system's first name server. */
export function systemServer(): string {
  try {
    return firstNameServer(readFileSync("/etc/resolv.conf", "utf8"));
  } catch {
    // Without the file the resolver library of the system asks the loopback address too.
    return "127.0.0.1";
  }
}

/** An address of a server given by address or name. The lookup of a name is the system's, in clear. */
export async function serverAddress(server: string, family: 4 | 6 | undefined): Promise<string> {
  const literal = tryParseAddress(server);
  if (literal.ok) {
    const isWanted = family === undefined || literal.value.length === (family === 4 ? 4 : 16);
    if (isWanted) return server;
    throw new DnsError(
      "ERR_ADDRESS_NOT_AVAILABLE",
      `${server} is not an IPv${family ?? ""} address, and -${family ?? ""} was given`,
      { stage: "resolve" },
    );
  }
  try {
    return (await lookup(server, { family: family ?? 0 })).address;
  } catch (cause) {
    throw new DnsError(
      "ERR_UNREACHABLE",
      `cannot find the address of ${server} with the system's resolver; give an address`,
      { stage: "resolve", cause },
    );
  }
}
