/** How users name an upstream: as text or as an object, and what it comes to. */
import { DnsError } from "@sotto/dns/runtime";
import { tryParseWrittenUpstream } from "@sotto/dns/transport";
import { tryParseAddress, tryParseName, tryParseScopedAddress } from "@sotto/dns/wire";
import { checkUpstream } from "./check-options.ts";
import type { DaneMode } from "./dane-upstream.ts";

/** An upstream as an object. */
export interface UpstreamSpec {
  /** IP address. Absent: those of `name` are looked up (RFC 8310 §7.2). */
  readonly address?: string | undefined;
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
  /** Undefined: those of `name`, which is a domain name then. */
  readonly address: string | undefined;
  /** As it was asked for: `auto` leaves it to the profile whether TLS is a must. */
  readonly transport: "auto" | "tls" | "tcp" | "udp";
  /** Undefined: clear DNS only. */
  readonly tlsPort: number | undefined;
  readonly name: string | undefined;
  readonly pins: readonly string[];
  readonly trustAnchorsPem: readonly string[] | undefined;
  /** Undefined: TLSA records are not looked for. With a name only. */
  readonly dane: DaneMode | undefined;
  /** The way in clear, when the profile allows one. */
  readonly clear: { readonly transport: "udp" | "tcp"; readonly port: number };
}

/** A plan whose address is known. */
export type PlacedPlan = UpstreamPlan & { readonly address: string };

const PIN = /^[A-Za-z0-9+/]{43}=$/;

/**
 * Reads `tls://dns.example?ip=192.0.2.1&pin=sha256:…&dane=only`, `tls://dns.example`, `192.0.2.1@853#dns.example`,
 * `udp://192.0.2.1`, `tcp://…`, a bare address, or an object. Throws ERR_CONFIG that says what is wrong.
 */
export function readUpstream(given: string | UpstreamSpec): UpstreamPlan {
  if (typeof given !== "string") return fromObject(given);
  if (tryParseScopedAddress(given).ok) return fromObject({ address: given });
  const parsed = tryParseWrittenUpstream(given);
  if (!parsed.ok) throw new DnsError("ERR_CONFIG", `upstream ${parsed.problem}`);
  const { authName, ...rest } = parsed.value;
  return { ...fromObject({ ...rest, name: authName }), label: given };
}

function fromObject(spec: UpstreamSpec): UpstreamPlan {
  checkUpstream(spec);
  const address = spec.address === undefined ? undefined : literalOf(spec.address);
  const name = spec.name?.replace(/\.$/, "");
  const who = address ?? name ?? "";
  if (address === undefined && (name === undefined || !isDomainName(name)))
    throw new DnsError(
      "ERR_CONFIG",
      `upstream ${JSON.stringify(who)}: an address or a domain name is needed`,
    );
  if (name !== undefined && !isServerName(name))
    throw new DnsError(
      "ERR_CONFIG",
      `upstream ${who}: ${JSON.stringify(spec.name)} is no name that a certificate can have; other letters are written as xn--`,
    );
  const { pins = [], trustAnchorsPem } = spec;
  for (const pin of pins)
    if (!PIN.test(pin))
      throw new DnsError(
        "ERR_CONFIG",
        `upstream ${who}: pin ${JSON.stringify(pin)} is not base64 of 32 octets`,
      );
  const hasCredentials = name !== undefined || pins.length > 0;
  const transport = spec.transport ?? (hasCredentials ? "tls" : "auto");
  const isTls = transport === "tls" || transport === "auto";
  if (!isTls && hasCredentials)
    throw new DnsError("ERR_CONFIG", `upstream ${who}: a name or a pin needs TLS, not ${transport}`);
  const dane = spec.dane === "off" ? undefined : spec.dane;
  if (dane !== undefined && (name === undefined || !canHaveTlsa(name)))
    throw new DnsError("ERR_CONFIG", `upstream ${who}: DANE needs the upstream's name`);
  const { port, clearPort = CLEAR_PORT } = spec;
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65536))
    throw new DnsError("ERR_CONFIG", `upstream ${who}: port ${port} is not between 1 and 65535`);
  // RFC 7858 §3.1: never TLS on the port of clear DNS.
  if (transport === "tls" && port === CLEAR_PORT)
    throw new DnsError(
      "ERR_CONFIG",
      `upstream ${who}: port 53 is for clear DNS, TLS has 853 (RFC 7858 §3.1)`,
    );
  return {
    label: name === undefined || address === undefined ? who : `${name} (${address})`,
    address,
    transport,
    tlsPort: isTls ? (transport === "tls" ? (port ?? TLS_PORT) : TLS_PORT) : undefined,
    name,
    pins,
    trustAnchorsPem,
    dane,
    clear: {
      transport: transport === "tcp" ? "tcp" : "udp",
      port: transport === "tls" ? clearPort : (port ?? clearPort),
    },
  };
}

/**
 * Throws ERR_CONFIG for an upstream whose address nobody can be asked for, and for a bootstrap server without one. All upstreams
 * that have addresses can be asked: with the strict profile they prove who they are.
 */
export function requireFindable(plans: readonly UpstreamPlan[], bootstrap: readonly UpstreamPlan[]): void {
  for (const { label, address, dane } of bootstrap) {
    if (address === undefined)
      throw new DnsError(
        "ERR_CONFIG",
        `bootstrap server ${label} has no address, by which alone it can be found`,
      );
    if (dane !== undefined)
      throw new DnsError(
        "ERR_CONFIG",
        `bootstrap server ${label} cannot be known by DANE, whose records would have to be looked up first; give a name or a pin`,
      );
  }
  const named = plans.find(({ address }) => address === undefined);
  if (named === undefined || bootstrap.length > 0 || plans.some(({ address }) => address !== undefined))
    return;
  throw new DnsError(
    "ERR_CONFIG",
    `upstream ${named.label} has no address, and nobody can be asked for it: add one (tls://${named.name}?ip=ADDRESS), another upstream that has one, or a bootstrap server (RFC 8310 §7.2)`,
  );
}

function literalOf(text: string): string {
  const literal = tryParseScopedAddress(text);
  if (!literal.ok) throw new DnsError("ERR_CONFIG", `upstream address ${literal.problem}`);
  return literal.value;
}

function isDomainName(name: string): boolean {
  return name !== "" && !tryParseAddress(name).ok && tryParseName(name).ok;
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
