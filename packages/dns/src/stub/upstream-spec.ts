/** How users name an upstream: as text or as an object, and what it comes to. */
import { DnsError, type Endpoint } from "@sotto/dns/runtime";
import { tryParseUpstreamAddress } from "@sotto/dns/transport";
import { addressToText, tryParseAddress, tryParseName } from "@sotto/dns/wire";
import { checkUpstream } from "./check-options.ts";
import type { DaneMode } from "./dane-upstream.ts";

/** An upstream as an object. */
export interface UpstreamSpec {
  /** IP address. */
  readonly address: string;
  /** Default 853 for TLS, 53 in clear. */
  readonly port?: number | undefined;
  /** Port in clear, when `port` is that of TLS. Default 53. */
  readonly clearPort?: number | undefined;
  /** `auto`: TLS where the profile allows finding out, else clear. Default: `tls` with a name or pins, else `auto`. */
  readonly transport?: "auto" | "tls" | "tcp" | "udp" | undefined;
  /** Authentication domain name, or an address that the certificate must have (RFC 8310 §7.1). */
  readonly name?: string | undefined;
  /** SHA-256 SPKI pins, base64 (RFC 7858 §4.2). */
  readonly pins?: readonly string[] | undefined;
  /** PEM trust anchors instead of the system's. */
  readonly trustAnchorsPem?: readonly string[] | undefined;
  /**
   * Authentication by TLSA records (RFC 8310 §8.2), validated locally. `prefer`: where the name has some. `only`: nobody is
   * authenticated without (RFC 8310 §11). Default `off`.
   */
  readonly dane?: "off" | DaneMode | undefined;
}

/** One upstream with everything filled in. */
export interface UpstreamPlan {
  /** As users know it, for messages. */
  readonly label: string;
  readonly address: string;
  /** Undefined: clear DNS only. */
  readonly tlsPort: number | undefined;
  readonly name: string | undefined;
  readonly pins: readonly string[];
  readonly trustAnchorsPem: readonly string[] | undefined;
  /** Undefined: TLSA records are not looked for. With a name only. */
  readonly dane: DaneMode | undefined;
  /** The way in clear, when the profile allows one. */
  readonly clear: { readonly transport: "udp" | "tcp"; readonly endpoint: Endpoint };
}

const PIN = /^[A-Za-z0-9+/]{43}=$/;

/**
 * Reads `tls://dns.example?ip=192.0.2.1&pin=sha256:…&dane=only`, `192.0.2.1@853#dns.example`, `udp://192.0.2.1`, `tcp://…`, a bare
 * address, or an object. Throws ERR_CONFIG that says what is wrong.
 */
export function readUpstream(given: string | UpstreamSpec): UpstreamPlan {
  if (typeof given !== "string") return fromObject(given);
  if (tryParseAddress(given).ok) return fromObject({ address: given });
  const parsed = tryParseUpstreamAddress(given);
  if (!parsed.ok) throw new DnsError("ERR_CONFIG", `upstream ${parsed.problem}`);
  const { transport, endpoint, authName, pins, dane } = parsed.value;
  return { ...fromObject({ ...endpoint, transport, name: authName, pins, dane }), label: given };
}

function fromObject(spec: UpstreamSpec): UpstreamPlan {
  checkUpstream(spec);
  const literal = tryParseAddress(spec.address);
  if (!literal.ok) throw new DnsError("ERR_CONFIG", `upstream address ${literal.problem}`);
  const address = addressToText(literal.value);
  const { pins = [], trustAnchorsPem } = spec;
  const name = spec.name?.replace(/\.$/, "");
  if (name !== undefined && !isServerName(name))
    throw new DnsError(
      "ERR_CONFIG",
      `upstream ${address}: ${JSON.stringify(spec.name)} is no name that a certificate can have; other letters are written as xn--`,
    );
  for (const pin of pins)
    if (!PIN.test(pin))
      throw new DnsError(
        "ERR_CONFIG",
        `upstream ${address}: pin ${JSON.stringify(pin)} is not base64 of 32 octets`,
      );
  const hasCredentials = name !== undefined || pins.length > 0;
  const transport = spec.transport ?? (hasCredentials ? "tls" : "auto");
  const isTls = transport === "tls" || transport === "auto";
  if (!isTls && hasCredentials)
    throw new DnsError("ERR_CONFIG", `upstream ${address}: a name or a pin needs TLS, not ${transport}`);
  const dane = spec.dane === "off" ? undefined : spec.dane;
  if (dane !== undefined && (name === undefined || !canHaveTlsa(name)))
    throw new DnsError("ERR_CONFIG", `upstream ${address}: DANE needs the upstream's name`);
  const { port, clearPort = CLEAR_PORT } = spec;
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65536))
    throw new DnsError("ERR_CONFIG", `upstream ${address}: port ${port} is not between 1 and 65535`);
  // RFC 7858 §3.1: never TLS on the port of clear DNS.
  if (transport === "tls" && port === CLEAR_PORT)
    throw new DnsError(
      "ERR_CONFIG",
      `upstream ${address}: port 53 is for clear DNS, TLS has 853 (RFC 7858 §3.1)`,
    );
  return {
    label: name === undefined ? address : `${name} (${address})`,
    address,
    tlsPort: isTls ? (transport === "tls" ? (port ?? TLS_PORT) : TLS_PORT) : undefined,
    name,
    pins,
    trustAnchorsPem,
    dane,
    clear: {
      transport: transport === "tcp" ? "tcp" : "udp",
      endpoint: { address, port: transport === "tls" ? clearPort : (port ?? clearPort) },
    },
  };
}

/** An address has none, and its owner name is longer (RFC 6698 §3). */
function canHaveTlsa(name: string): boolean {
  return !tryParseAddress(name).ok && tryParseName(`_65535._tcp.${name}`).ok;
}

/** An address or a name of letters, digits and hyphens (RFC 9525 §2); underscores are seen, too. */
function isServerName(name: string): boolean {
  return tryParseAddress(name).ok || (/^[A-Za-z0-9._-]+$/.test(name) && tryParseName(name).ok);
}

const TLS_PORT = 853;
const CLEAR_PORT = 53;
