/**
 * How people write an upstream: `tls://dns.example?ip=192.0.2.1&pin=sha256:…`, `udp://192.0.2.1`, `tcp://[2001:db8::1]:53`,
 * or the forms of other resolvers, `192.0.2.1@853#dns.example`. The authentication domain name and the address stay
 * apart (RFC 8310 §2).
 */
import type { Endpoint } from "@sotto/dns/runtime";
import { type Parsed, parsed, problem, tryParseName, tryParseScopedAddress } from "@sotto/dns/wire";

/** Where an upstream is and what must prove that it is the right one. */
export interface UpstreamAddress {
  /** `udp` falls to TCP on truncation. */
  readonly transport: "udp" | "tcp" | "tls";
  readonly endpoint: Endpoint;
  /** Authentication domain name without final dot; undefined when none was given. */
  readonly authName: string | undefined;
  /** SHA-256 SPKI pins, base64 (RFC 7858 §4.2); empty when none were given. */
  readonly pins: readonly string[];
  /** Whether TLSA records are looked for (RFC 8310 §8.2); undefined: no. */
  readonly dane?: "prefer" | "only" | undefined;
}

const PORTS = { udp: 53, tcp: 53, tls: 853 } as const;

/** An upstream as it is written: the address may be missing where there is a name, by which somebody has to look it up. */
export interface WrittenUpstream extends Omit<UpstreamAddress, "endpoint"> {
  readonly address: string | undefined;
  readonly port: number;
}

/** Reads either form. Names need an address beside them: nothing is looked up here. */
export function tryParseUpstreamAddress(text: string): Parsed<UpstreamAddress> {
  const written = tryParseWrittenUpstream(text);
  if (!written.ok) return written;
  const { address, port, ...rest } = written.value;
  if (address === undefined)
    return problem(`${JSON.stringify(text)} has a name but no address, add ?ip=ADDRESS`);
  return parsed({ ...rest, endpoint: { address, port } });
}

/** Reads either form; `tls://dns.example` needs no address. */
export function tryParseWrittenUpstream(text: string): Parsed<WrittenUpstream> {
  const scheme = /^(udp|tcp|tls):\/\/(.*)$/.exec(text);
  return scheme === null ? parseClassic(text) : parseUrl(text, scheme[1] ?? "", scheme[2] ?? "");
}

function isTransport(text: string): text is keyof typeof PORTS {
  return text in PORTS;
}

function parseUrl(text: string, transport: string, rest: string): Parsed<WrittenUpstream> {
  if (!isTransport(transport)) return problem(`${JSON.stringify(text)} has an unknown transport`);
  const [authority = "", search = ""] = rest.split("?", 2);
  const parts = /^(\[[^\]]+\]|[^:]*)(?::([0-9]+))?\/?$/.exec(authority);
  if (parts === null)
    return problem(`${JSON.stringify(text)} is not of the form ${transport}://NAME-OR-ADDRESS:PORT`);
  const host = (parts[1] ?? "").replace(/^\[|\]$/g, "");
  const parameters = new URLSearchParams(search);
  for (const key of parameters.keys()) {
    if (key === "ip" || key === "pin" || key === "dane") continue;
    const hint =
      key === "port"
        ? `the port belongs behind the name: ${transport}://NAME:PORT`
        : "known are ip, pin and dane";
    return problem(`${JSON.stringify(text)} has an unknown parameter ${JSON.stringify(key)}, ${hint}`);
  }
  const literal = tryParseScopedAddress(host);
  const given = parameters.get("ip") ?? (literal.ok ? host : undefined);
  const pins: string[] = [];
  for (const pin of parameters.getAll("pin")) {
    // A + in the query part of a URL reads as a blank.
    const digest = /^sha256:([A-Za-z0-9+/ ]{43}=)$/.exec(pin)?.[1]?.replaceAll(" ", "+");
    if (digest === undefined)
      return problem(`${JSON.stringify(text)} has a pin that is not sha256: and 44 characters of base64`);
    pins.push(digest);
  }
  const dane = parameters.get("dane") ?? "off";
  if (dane !== "off" && dane !== "prefer" && dane !== "only")
    return problem(`${JSON.stringify(text)} has dane=${dane}, known are off, prefer and only`);
  if (dane !== "off" && (literal.ok || transport !== "tls"))
    return problem(`${JSON.stringify(text)} has dane, which needs tls and a name`);
  const address = finish(text, transport, given, parts[2], literal.ok ? undefined : host, pins);
  return address.ok && dane !== "off" ? parsed({ ...address.value, dane }) : address;
}

function parseClassic(text: string): Parsed<WrittenUpstream> {
  const parts = /^([0-9A-Fa-f.:]+(?:%[A-Za-z0-9._-]+)?)(?:@([0-9]+))?(?:#([^#]+))?$/.exec(text);
  if (parts === null)
    return problem(
      `${JSON.stringify(text)} is not an upstream such as tls://dns.example?ip=192.0.2.1 or 192.0.2.1@853#dns.example`,
    );
  // The port of DNS over TLS or a name means TLS, as readers of Unbound's forms expect.
  const isTls = parts[2] === "853" || parts[3] !== undefined;
  return finish(text, isTls ? "tls" : "udp", parts[1] ?? "", parts[2], parts[3], []);
}

function finish(
  text: string,
  transport: keyof typeof PORTS,
  addressText: string | undefined,
  portText: string | undefined,
  name: string | undefined,
  pins: readonly string[],
): Parsed<WrittenUpstream> {
  const address = addressText === undefined ? undefined : tryParseScopedAddress(addressText);
  if (address?.ok === false) return problem(`${JSON.stringify(text)}: ${address.problem}`);
  const port = Number(portText ?? PORTS[transport]);
  if (port < 1 || port > 65535) return problem(`${JSON.stringify(text)} has a port outside 1 to 65535`);
  // RFC 7858 §3.1: port 53 is never used for DNS over TLS.
  if (transport === "tls" && port === 53)
    return problem(`${JSON.stringify(text)} asks for TLS on port 53, which is for clear DNS (RFC 7858 §3.1)`);
  if (transport !== "tls" && pins.length > 0)
    return problem(`${JSON.stringify(text)} has a pin, which only tls can check`);
  if (name !== undefined) {
    if (transport !== "tls") return problem(`${JSON.stringify(text)} has a name, which only tls can check`);
    const parsedName = tryParseName(name);
    if (!parsedName.ok) return problem(`${JSON.stringify(text)}: ${parsedName.problem}`);
  }
  return parsed({
    transport,
    address: address?.value,
    port,
    authName: name?.replace(/\.$/, "").toLowerCase(),
    pins,
  });
}

/** The URL form, which {@link tryParseUpstreamAddress} reads back to the same value. */
export function upstreamAddressToText(upstream: UpstreamAddress): string {
  const { address, port } = upstream.endpoint;
  const literal = address.includes(":") ? `[${address}]` : address;
  const parameters = upstream.pins.map((pin) => `pin=sha256:${pin}`);
  if (upstream.authName !== undefined) parameters.unshift(`ip=${address}`);
  if (upstream.dane !== undefined) parameters.push(`dane=${upstream.dane}`);
  const portText = port === PORTS[upstream.transport] ? "" : `:${port}`;
  const search = parameters.length === 0 ? "" : `?${parameters.join("&")}`;
  return `${upstream.transport}://${upstream.authName ?? literal}${portText}${search}`;
}
