/** How people write what is to be probed; the forms are those of upstreams. */
import { tryParseUpstreamAddress } from "@sotto/dns/transport";
import { type Parsed, parsed } from "@sotto/dns/wire";
import type { ProbeTransport } from "./probe-options.ts";

/** A server and how it can be reached. */
export interface ServerTarget {
  /** As it was given. */
  readonly text: string;
  readonly address: string;
  /** Of UDP and TCP. Absent: 53. */
  readonly port?: number | undefined;
  /** Of TLS. Absent: 853. */
  readonly tlsPort?: number | undefined;
  /** Authentication domain name. Absent: what the certificate could be authenticated by is told. */
  readonly name?: string | undefined;
  /** SHA-256 SPKI pins, base64. */
  readonly pins?: readonly string[] | undefined;
  /** What is probed; rows of others are not applicable. */
  readonly transports: readonly ProbeTransport[];
}

/** Where clear DNS is served (RFC 1035 §4.2). */
const CLEAR_PORT = 53;
/** Where DNS over TLS is served (RFC 7858 §3.1). */
export const TLS_PORT = 853;

/**
 * Reads `tls://NAME?ip=ADDRESS&pin=sha256:…`, `udp://` and `tcp://`, and the forms of other resolvers. An address alone, or with a
 * name, is probed over everything at the usual ports; one with a port or a scheme over what that says: `@853`, `#NAME` and
 * `tls://` mean TLS.
 */
export function tryParseTarget(text: string): Parsed<ServerTarget> {
  const upstream = tryParseUpstreamAddress(text);
  if (!upstream.ok) return upstream;
  const { transport, endpoint, authName: name, pins } = upstream.value;
  const { address, port } = endpoint;
  const isEverything = !text.includes("://") && !text.includes("@");
  const common = { text, address, name, pins };
  if (isEverything) return parsed({ ...common, transports: ["udp", "tcp", "tls"] });
  return transport === "tls"
    ? parsed({ ...common, tlsPort: port, transports: ["tls"] })
    : parsed({ ...common, port, transports: ["udp", "tcp"] });
}

/** The port of a transport. */
export function portOf(target: ServerTarget, transport: ProbeTransport): number {
  return transport === "tls" ? (target.tlsPort ?? TLS_PORT) : (target.port ?? CLEAR_PORT);
}
