/** Settings of listeners: where, over what, with which certificates, for whom proxies may speak, and the limits of connections. */
import { z } from "zod";
import { clientExceptions } from "./client-exceptions.ts";
import { address, duration, port, prefix, size, text, tryParsePin, zoneName } from "./setting-types.ts";

const certificateFile = z.string().meta({
  description: "PEM file with the certificate chain, leaf first.",
});
const keyFile = z.string().meta({ description: "PEM file with the private key." });

const clientCertificates = z.strictObject({
  authorities: z.string().optional().meta({
    description:
      "PEM file with the authorities that client certificates must lead to. Absent: only `pins` count.",
  }),
  names: z
    .array(z.string())
    .default([])
    .meta({ description: "DNS names or addresses, one of which the certificate must have. Empty: any." }),
  pins: z
    .array(text(tryParsePin, "sha256:…"))
    .default([])
    .meta({ description: "SPKI pins (RFC 7858 §4.2), one of which the client's key must have. Empty: any." }),
  effect: z.enum(["required", "sufficient"]).default("required").meta({
    description:
      "required: without a good certificate nobody may ask, and with one the address list decides. sufficient: a good certificate lets in whatever the address; others are judged by their address.",
  }),
});

const proxy = z.strictObject({
  from: z.array(prefix()).min(1).meta({
    description:
      "Proxies that tell whom they speak for, by a PROXY header (version 1 or 2) that they must send or by HTTP, and are believed; others are direct clients.",
  }),
  place: z.enum(["before-tls", "inside-tls", "http-header"]).default("before-tls").meta({
    description:
      "Where they tell it: in a PROXY header before the handshake, in one that is the first octets inside TLS, or (https only) in the field forwarded (RFC 7239) or x-forwarded-for of each request, of which the last address that is no proxy's counts. A request with both fields that name different clients is refused: let the proxy remove the one that it does not write.",
  }),
});

/** Timers and limits of a connection; a listener may have its own. */
const sessionLimits = {
  "queries-in-flight": z.number().int().min(1).max(10_000).meta({
    description: "Unanswered queries per connection before reading pauses.",
  }),
  "queries-per-connection": z.number().int().min(0).meta({
    description:
      "Queries per connection; the last one is answered with keepalive 0, then the connection ends. 0: no limit.",
  }),
  "connection-duration": duration().meta({
    description:
      "Age at which a connection is told to go and ends as soon as nothing is in flight. 0s: no limit.",
  }),
  "handshake-timeout": duration().meta({ description: "For the TLS handshake, and for a PROXY header." }),
  "first-query-timeout": duration().meta({
    description: "From the start of a connection to its first whole query. Default: the idle timeout.",
  }),
  "message-timeout": duration().meta({
    description: "From the first octet of a query to its last (RFC 7766 §8).",
  }),
  "idle-timeout": duration().meta({
    description:
      "How long an idle connection stays open, and what edns-tcp-keepalive promises (RFC 7828, RFC 9210 §4.2). It shrinks, and the promise with it, when more than half of the connections, queries in flight or buffers are in use.",
  }),
  "write-stall-timeout": duration().meta({
    description: "How long a client may leave its answers unread before it is reset.",
  }),
};

/** One address to listen on. */
export const listener = z.strictObject({
  name: z.string().min(1).max(63).optional().meta({
    description: "What rules of `sotto front` call it. Default: transport, address and port.",
  }),
  transport: z.enum(["udp", "tcp", "tls", "https"]).meta({
    description:
      "udp and tcp are plain DNS, tls is DNS over TLS (RFC 7858), https is DNS over HTTPS (RFC 8484) by HTTP/2 and HTTP/1.1.",
  }),
  address: address().meta({
    description:
      "IP address to listen on. 0.0.0.0 and :: mean all of IPv4 and all of IPv6, which the access list should know about.",
  }),
  port: port().optional().meta({
    description:
      "Port; 53 for udp and tcp, 853 for tls (RFC 7858 §3.1), 443 for https, 80 without TLS. 0 lets the system choose.",
  }),
  path: z.string().optional().meta({
    description: "Path of the URI that queries are sent to (https only). Default: /dns-query.",
  }),
  tls: z.enum(["on", "off"]).optional().meta({
    description:
      "off: HTTP in clear, for a proxy that ends TLS (https only; on loopback addresses, or with `proxy.from`). HTTP/2 is then taken with prior knowledge. Default: on.",
  }),
  certificate: z.string().optional().meta({
    description:
      "PEM file with the certificate chain, leaf first (tls and https). Absent: a certificate is made at start and its SPKI pin is printed.",
  }),
  key: z.string().optional().meta({ description: "PEM file with the private key (tls and https)." }),
  "more-certificates": z
    .array(z.strictObject({ certificate: certificateFile, key: keyFile }))
    .default([])
    .meta({
      description:
        "Further certificates (tls and https): the name that a client asks for chooses among their subjectAltNames; `certificate` is for all others.",
    }),
  "client-certificates": clientCertificates.optional().meta({
    description: "Access control by client certificate (tls and https).",
  }),
  proxy: proxy.optional().meta({ description: "Proxies: who may tell whom it speaks for." }),
  "fast-open": z.enum(["off", "auto"]).default("off").meta({
    description:
      "TCP Fast Open (RFC 7413, Linux; not udp): auto asks for it and says at start whether the system has it on.",
  }),
  limits: z.strictObject(sessionLimits).partial().optional().meta({
    description: "Timers and limits of this listener's connections, instead of the common ones.",
  }),
});

/** Of all listeners together, and of the connections of each that says nothing else. */
export const limits = z.strictObject({
  connections: z.number().int().min(1).max(1_000_000).default(5000).meta({
    description:
      "TCP and TLS connections of all listeners; at the limit the one that has been idle longest makes room, and without one the newcomer is reset (RFC 9210 §4.2).",
  }),
  "connections-per-address": z.number().int().min(1).default(100).meta({
    description: "TCP and TLS connections per client; more are reset.",
  }),
  "connections-per-subnet": z.number().int().min(1).default(1000).meta({
    description: "TCP and TLS connections per subnet; more are reset.",
  }),
  "subnet-ipv4": z.number().int().min(1).max(32).default(24).meta({
    description: "Prefix length that makes a subnet, IPv4.",
  }),
  "subnet-ipv6": z.number().int().min(1).max(128).default(56).meta({
    description: "Prefix length that makes a subnet, IPv6.",
  }),
  "client-ipv4": z.number().int().min(1).max(32).default(32).meta({
    description: "Bits that make a client, IPv4, for connections per address and for the two rates.",
  }),
  "client-ipv6": z.number().int().min(1).max(128).default(128).meta({
    description:
      "The same for IPv6. 56 or 64 where rates are limited on the open internet: hosts choose addresses at will there (RFC 8981).",
  }),
  exceptions: clientExceptions("connections per address and subnet, and the rates"),
  handshakes: z.number().int().min(1).default(500).meta({
    description: "TLS handshakes and PROXY headers under way; more connections are reset.",
  }),
  "connection-rate": z.number().min(0).default(0).meta({
    description:
      "New connections per second and client, with a burst of as many; more are reset. 0: no limit.",
  }),
  "handshake-rate": z.number().min(0).default(0).meta({
    description:
      "TLS handshakes per second and client, with a burst of as many; more are reset. 0: no limit.",
  }),
  "queries-in-flight-total": z.number().int().min(1).default(5000).meta({
    description: "Unanswered queries of all connections; at the limit connections take turns.",
  }),
  buffered: size().default("64MiB").meta({
    description:
      "Half queries and unsent answers of all connections; above it the connection that holds most is reset.",
  }),
  "drain-timeout": duration().default("10s").meta({
    description:
      "At the end (SIGTERM), and for listeners that a reload removes: how long clients may finish.",
  }),
  "queries-in-flight": sessionLimits["queries-in-flight"].default(100),
  "queries-per-connection": sessionLimits["queries-per-connection"].default(0),
  "connection-duration": sessionLimits["connection-duration"].default("0s"),
  "handshake-timeout": sessionLimits["handshake-timeout"].default("5s"),
  "first-query-timeout": sessionLimits["first-query-timeout"].optional(),
  "message-timeout": sessionLimits["message-timeout"].default("5s"),
  "idle-timeout": sessionLimits["idle-timeout"].default("10s"),
  "write-stall-timeout": sessionLimits["write-stall-timeout"].default("10s"),
});

/** As many as clients take of one (`@sotto/dns/stub` does). */
const DDR_ADDRESSES_MAX = 8;

/** What clients are told of the listeners. */
export const ddr = z.strictObject({
  name: zoneName().optional().meta({
    description:
      "Name on the certificates of the tls and https listeners that clients are told of, such as dns.example; those with a certificate of your own, a fixed port and no required client certificates are. Clients that verify (RFC 9462 §4.2) want the address that they asked in clear on the certificate, too; others use it on the same private address only (§4.3). Absent: nobody is told anything. For ports that others lead here, put SVCB records of _dns.resolver.arpa into local-zones.data instead.",
  }),
  addresses: z.array(address()).min(1).max(DDR_ADDRESSES_MAX).optional().meta({
    description:
      "Addresses that are told with the name. Default: those of its listeners; one on 0.0.0.0 or :: tells none, and clients look up the name.",
  }),
});
