/** The part of `load` about listeners, limits and TLS: from checked settings to values, reporting what does not fit together. */
import { resolve } from "node:path";
import { type AdmissionLimits, SESSION_LIMITS_DEFAULT, type SessionLimits } from "@sotto/dns/transport";
import { addressToText, type Parsed, tryParseAddress, tryParsePrefix } from "@sotto/dns/wire";
import type { Config, ListenerConfig } from "./config.ts";
import { tryParsePin } from "./setting-types.ts";
import type { Settings } from "./settings.ts";
import { tryParseDuration, tryParseSize } from "./units.ts";

type ListenerSettings = Settings["listen"][number];
/** Reports a problem of one setting. */
type Report = (key: string, message: string) => void;
/** The same for one that may be within another one. */
type ReportAt = (path: readonly PropertyKey[], message: string) => void;

/** A value whose text passed the check of the schema, which used the same parser. */
export function known<T>(value: Parsed<T>): T {
  if (!value.ok) throw new RangeError(value.problem);
  return value.value;
}

/** A duration between two bounds, milliseconds. */
export function bounded(
  text: string,
  leastMs: number,
  mostMs: number,
  report: (message: string) => void,
): number {
  const ms = known(tryParseDuration(text));
  if (ms < leastMs || ms > mostMs) report(`is outside ${leastMs}ms to ${mostMs}ms: ${text}`);
  return ms;
}

/** One listener; `common` are the limits that hold unless it has its own. */
export function toListener(
  listener: ListenerSettings,
  common: Settings["limits"],
  folder: string,
  report: (message: string) => void,
): ListenerConfig {
  const { transport } = listener;
  const usesTls = transport === "tls" || (transport === "https" && listener.tls !== "off");
  const port = listener.port ?? defaultPort(transport, usesTls);
  if (transport === "tls" && port === 53) report("DNS over TLS never uses port 53 (RFC 7858 §3.1)");
  if (transport === "udp" && listener["fast-open"] === "auto") report("fast-open is of no use for udp");
  reportMisplacedHttp(listener, report);
  if (!usesTls && listener.proxy?.place === "inside-tls")
    report("a PROXY header can be inside TLS only where there is TLS");
  const address = addressToText(known(tryParseAddress(listener.address)));
  return {
    name: listener.name ?? `${transport} ${address} ${port}`,
    transport,
    local: { address, port },
    usesTls,
    path: transport === "https" ? toPath(listener.path ?? DOH_PATH_DEFAULT, report) : undefined,
    certificates: toCertificates(listener, usesTls, folder, report),
    clientCertificates: toClientCertificates(listener, usesTls, folder, report),
    proxy: listener.proxy && { from: listener.proxy.from, place: PROXY_PLACES[listener.proxy.place] },
    fastOpen: listener["fast-open"] === "auto",
    limits: toSessionLimits(common, listener.limits ?? {}, (key, message) =>
      report(`limits.${key} ${message}`),
    ),
  };
}

function defaultPort(transport: ListenerConfig["transport"], usesTls: boolean): number {
  if (transport === "https") return usesTls ? 443 : 80;
  return transport === "tls" ? 853 : 53;
}

/** Settings of https on other listeners, and HTTP in clear where anybody could listen. */
function reportMisplacedHttp(listener: ListenerSettings, report: (message: string) => void): void {
  if (listener.transport !== "https") {
    for (const key of ["path", "tls"] as const)
      if (listener[key] !== undefined) report(`${key} is of use only for transport https`);
    if (listener.proxy?.place === "http-header")
      report(
        "only https has HTTP headers: take before-tls, where the PROXY protocol tells whom a proxy speaks for",
      );
  } else if (listener.tls === "off" && listener.proxy === undefined && !isLoopback(listener.address))
    report(
      "tls: off is for a proxy that ends TLS: listen on a loopback address, or name the proxies with proxy.from",
    );
}

function isLoopback(text: string): boolean {
  const address = addressToText(known(tryParseAddress(text)));
  return address.startsWith("127.") || address === "::1";
}

/** The path of a URI (RFC 3986 §3.3), as clients send it. */
function toPath(path: string, report: (message: string) => void): string {
  if (path.includes("{") || path.includes("?"))
    report(`path ${path} is more than a path: clients add ?dns= themselves, write it without`);
  else if (!/^\/[\w\-.~!$&'()*+,;=:@%/]*$/.test(path))
    report(`path ${path} must begin with / and have only characters that a URI allows`);
  return path;
}

/** The path of the examples in RFC 8484, which clients take when they are told none. */
const DOH_PATH_DEFAULT = "/dns-query";
const PROXY_PLACES = {
  "before-tls": "before tls",
  "inside-tls": "inside tls",
  "http-header": "http header",
} as const;

function toCertificates(
  listener: ListenerSettings,
  usesTls: boolean,
  folder: string,
  report: (message: string) => void,
): ListenerConfig["certificates"] {
  const { certificate, key } = listener;
  const more = listener["more-certificates"];
  if ((certificate === undefined) !== (key === undefined))
    report("certificate and key belong together: give both or neither");
  if ((certificate !== undefined || more.length > 0) && !usesTls)
    report("a certificate is of use only with TLS: for transport tls, and https without tls: off");
  if (certificate === undefined && more.length > 0)
    report("more-certificates need a certificate for all others");
  if (certificate === undefined || key === undefined) return [];
  return [{ certificate, key }, ...more].map((pair) => ({
    certificateFile: resolve(folder, pair.certificate),
    keyFile: resolve(folder, pair.key),
  }));
}

function toClientCertificates(
  listener: ListenerSettings,
  usesTls: boolean,
  folder: string,
  report: (message: string) => void,
): ListenerConfig["clientCertificates"] {
  const clients = listener["client-certificates"];
  if (clients === undefined) return undefined;
  if (!usesTls)
    report("client-certificates are of use only with TLS: for transport tls, and https without tls: off");
  if (clients.authorities === undefined && clients.pins.length === 0)
    report("client-certificates need authorities or pins");
  if (clients.authorities === undefined && clients.names.length > 0)
    report("names in client certificates prove nothing without authorities");
  return {
    authoritiesFile: clients.authorities === undefined ? undefined : resolve(folder, clients.authorities),
    names: clients.names,
    pins: clients.pins.map((pin) => known(tryParsePin(pin))),
    effect: clients.effect,
  };
}

/** Timers and limits of connections: those of the listener before the common ones. */
export function toSessionLimits(
  common: Settings["limits"],
  own: NonNullable<ListenerSettings["limits"]>,
  report: Report,
): SessionLimits {
  const idleText = own["idle-timeout"] ?? common["idle-timeout"];
  // A listener with an idle timeout of its own has it from the start too, unless it says otherwise.
  const firstQueryText =
    own["first-query-timeout"] ?? own["idle-timeout"] ?? common["first-query-timeout"] ?? idleText;
  const timer = (
    key: "handshake-timeout" | "first-query-timeout" | "message-timeout" | "write-stall-timeout",
    text: string,
  ): number => bounded(text, TIMER_MS_MIN, TIMER_MS_MAX, (message) => report(key, message));
  const durationMs = known(tryParseDuration(own["connection-duration"] ?? common["connection-duration"]));
  if (durationMs > 0 && durationMs < 1000) report("connection-duration", "is below 1s");
  return {
    inFlightMax: own["queries-in-flight"] ?? common["queries-in-flight"],
    unsentOctetsMax: SESSION_LIMITS_DEFAULT.unsentOctetsMax,
    queriesMax:
      (own["queries-per-connection"] ?? common["queries-per-connection"]) || Number.POSITIVE_INFINITY,
    durationMaxMs: durationMs || Number.POSITIVE_INFINITY,
    handshakeTimeoutMs: timer("handshake-timeout", own["handshake-timeout"] ?? common["handshake-timeout"]),
    firstQueryTimeoutMs: timer("first-query-timeout", firstQueryText),
    messageTimeoutMs: timer("message-timeout", own["message-timeout"] ?? common["message-timeout"]),
    // RFC 7828 §3.1: the promise has 16 bits of 100 ms.
    idleTimeoutMs: bounded(idleText, 100, 6_553_500, (message) => report("idle-timeout", message)),
    writeStallTimeoutMs: timer(
      "write-stall-timeout",
      own["write-stall-timeout"] ?? common["write-stall-timeout"],
    ),
  };
}

/** Reports networks that no client can have, and those that are there twice. */
export function checkExceptions(exceptions: Settings["limits"]["exceptions"], report: ReportAt): void {
  const seen = new Set<string>();
  for (const [i, { prefix: text, bits }] of exceptions.entries()) {
    const { octets, bits: length } = known(tryParsePrefix(text));
    if (bits !== undefined && bits > octets.length * 8)
      report([i, "bits"], `is more than an address such as ${text} has: at most ${octets.length * 8}`);
    const key = `${addressToText(octets)}/${length}`;
    if (seen.has(key)) report([i, "prefix"], `${key} is there twice: put bits and factor into one`);
    seen.add(key);
  }
}

/** What all listeners share. */
export function toAdmissionLimits({ limits }: Pick<Settings, "limits">, report: ReportAt): Config["limits"] {
  const bufferedOctetsMax = known(tryParseSize(limits.buffered));
  if (bufferedOctetsMax < BUFFERED_OCTETS_MIN) report(["buffered"], "is less than 1MiB");
  checkExceptions(limits.exceptions, (path, message) => report(["exceptions", ...path], message));
  const shared: AdmissionLimits = {
    connectionsMax: limits.connections,
    connectionsPerAddressMax: limits["connections-per-address"],
    connectionsPerSubnetMax: limits["connections-per-subnet"],
    subnetBitsIpv4: limits["subnet-ipv4"],
    subnetBitsIpv6: limits["subnet-ipv6"],
    clientBitsIpv4: limits["client-ipv4"],
    clientBitsIpv6: limits["client-ipv6"],
    clientExceptions: limits.exceptions,
    handshakesMax: limits.handshakes,
    connectionRateMax: limits["connection-rate"] || Number.POSITIVE_INFINITY,
    handshakeRateMax: limits["handshake-rate"] || Number.POSITIVE_INFINITY,
    inFlightTotalMax: limits["queries-in-flight-total"],
    bufferedOctetsMax,
  };
  const drainTimeoutMs = bounded(limits["drain-timeout"], 0, 600_000, (message) =>
    report(["drain-timeout"], message),
  );
  return { ...shared, drainTimeoutMs };
}

/** What all TLS listeners have in common. */
export function toTls({ tls }: Pick<Settings, "tls">, folder: string, report: Report): Config["tls"] {
  const secret = tls["ticket-secret"];
  const watchMs = known(tryParseDuration(tls["watch-certificates"]));
  if (watchMs > 0 && watchMs < 100) report("watch-certificates", "is below 100ms");
  return {
    groups: tls.groups,
    ticketSecretFile: secret === undefined ? undefined : resolve(folder, secret),
    // RFC 8446 §4.6.1: tickets last a week at most.
    ticketRotationMs: bounded(tls["ticket-rotation"], 1000, 604_800_000, (message) =>
      report("ticket-rotation", message),
    ),
    watchCertificatesMs: watchMs || undefined,
  };
}

const TIMER_MS_MIN = 100;
/** A day: longer ones are as good as none. */
const TIMER_MS_MAX = 86_400_000;
/** Room for a few of the largest messages. */
const BUFFERED_OCTETS_MIN = 1024 * 1024;
