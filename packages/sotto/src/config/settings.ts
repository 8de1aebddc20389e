/**
 * The one table of settings: types, defaults, bounds and help. From it come the checks of `load`, the JSON schema for
 * editors, the reference page and `sotto show --effective`. Units are part of the values (`10s`, `64MiB`).
 */

import { tryParseUpstreamAddress } from "@sotto/dns/transport";
import { type Parsed, tryParseAddress, tryParseName, tryParsePrefix, tryParseRecord } from "@sotto/dns/wire";
import { z } from "zod";
import { tryParseDuration, tryParseSize } from "./units.ts";

/** A text that `parse` accepts; its problem becomes the message. */
function text<T>(parse: (text: string) => Parsed<T>, sample: string): z.ZodString {
  return z
    .string()
    .superRefine((value, context) => {
      const result = parse(value);
      if (!result.ok) context.addIssue({ code: "custom", message: result.problem });
    })
    .meta({ examples: [sample] });
}

/** The same at the type level: a Zod string whose value is known to parse. */
const duration = (): z.ZodString => text(tryParseDuration, "10s");
const size = (): z.ZodString => text(tryParseSize, "64MiB");
const address = (): z.ZodString => text(tryParseAddress, "192.0.2.1");
const prefix = (): z.ZodString => text(tryParsePrefix, "192.0.2.0/24");
const zoneName = (): z.ZodString => text((value) => tryParseName(value), "example.");
const port = (): z.ZodNumber => z.number().int().min(0).max(65535);

const listener = z.strictObject({
  transport: z
    .enum(["udp", "tcp", "tls"])
    .meta({ description: "udp and tcp are plain DNS, tls is DNS over TLS (RFC 7858)." }),
  address: address().meta({
    description: "IP address to listen on. 0.0.0.0 and :: mean all, which the access list should know about.",
  }),
  port: port().optional().meta({
    description: "Port; 53 for udp and tcp, 853 for tls (RFC 7858 §3.1). 0 lets the system choose.",
  }),
  certificate: z.string().optional().meta({
    description:
      "PEM file with the certificate chain, leaf first (tls only). Absent: a certificate is made at start and its SPKI pin is printed.",
  }),
  key: z.string().optional().meta({ description: "PEM file with the private key (tls only)." }),
});

const access = z.strictObject({
  allow: z
    .array(prefix())
    .default(["127.0.0.0/8", "::1/128"])
    .meta({ description: "Who may ask. The most specific prefix of `allow` and `deny` decides." }),
  deny: z.array(prefix()).default([]).meta({ description: "Exceptions from `allow`." }),
  action: z.enum(["refuse", "drop"]).default("refuse").meta({
    description:
      "refuse answers REFUSED with extended error 18 (RFC 8914 §4.19); drop does not answer at all.",
  }),
});

const rootHint = z.strictObject({
  name: zoneName().meta({ description: "Name of a root server." }),
  address: address().meta({ description: "One of its addresses." }),
});

const resolver = z.strictObject({
  "root-hints": z
    .union([z.string(), z.array(rootHint).min(1)])
    .optional()
    .meta({
      description:
        "Root servers: a hints file in zone format, or a list. Absent: the servers of the public root, built in.",
    }),
  port: port()
    .min(1)
    .default(53)
    .meta({ description: "Port of authoritative servers; another one is for test networks." }),
  families: z
    .array(z.enum(["ipv4", "ipv6"]))
    .min(1)
    .default(["ipv4", "ipv6"])
    .meta({ description: "Address families for queries to authoritative servers." }),
  "outgoing-addresses": z
    .array(address())
    .default([])
    .meta({ description: "Source addresses of outgoing queries. Empty: the system chooses." }),
  deadline: duration()
    .default("8s")
    .meta({ description: "Longest time for one client query, after which it is answered SERVFAIL." }),
});

const forwardZone = z.strictObject({
  name: zoneName().meta({
    description: "Everything at and below this name goes to the upstreams; `.` means everything.",
  }),
  upstreams: z.array(text(tryParseUpstreamAddress, "tls://dns.example?ip=192.0.2.1")).min(1).meta({
    description:
      "Servers in order of preference: tls://NAME?ip=ADDRESS&pin=sha256:…, udp://ADDRESS, tcp://ADDRESS:PORT, or ADDRESS@PORT#NAME. A tls upstream with a name or a pin is always authenticated and never asked in clear.",
  }),
});

const localZones = z.strictObject({
  builtin: z
    .boolean()
    .default(true)
    .meta({ description: "Answer the special names of RFC 6303, 6761, 7686, 8375 and 9462 locally." }),
  except: z
    .array(zoneName())
    .default([])
    .meta({ description: "Built-in zones to leave to ordinary resolution." }),
  data: z
    .array(text((value) => tryParseRecord(value), "router.home.arpa. 300 IN A 192.0.2.1"))
    .default([])
    .meta({ description: "Records answered locally, in zone file form." }),
});

const cache = z.strictObject({
  size: size()
    .default("64MiB")
    .meta({ description: "Memory for cached replies; a quarter more goes to cached record sets." }),
  "max-ttl": duration()
    .default("1d")
    .meta({ description: "Longest time an answer is kept (RFC 8767 §4 allows a cap)." }),
  "min-ttl": duration().default("0s").meta({
    description: "Shortest time an answer is kept; above zero answers may be older than their owner wants.",
  }),
  "max-negative-ttl": duration().default("1h").meta({
    description: "Longest time a negative answer is kept (RFC 2308 §5 suggests one to three hours).",
  }),
});

const limits = z.strictObject({
  connections: z.number().int().min(1).max(1_000_000).default(5000).meta({
    description: "TCP and TLS connections per listener; the oldest idle one makes room (RFC 9210 §4.2).",
  }),
  "connections-per-address": z
    .number()
    .int()
    .min(1)
    .default(100)
    .meta({ description: "TCP and TLS connections per client address and listener." }),
  "queries-in-flight": z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .meta({ description: "Unanswered queries per connection before reading pauses." }),
  "idle-timeout": duration().default("10s").meta({
    description:
      "How long an idle connection stays open, and what edns-tcp-keepalive promises (RFC 7828, RFC 9210 §4.2).",
  }),
});

const log = z.strictObject({
  level: z
    .enum(["error", "warn", "info", "debug"])
    .default("info")
    .meta({ description: "What is written to standard error." }),
  format: z
    .enum(["auto", "text", "json"])
    .default("auto")
    .meta({ description: "auto writes text on a terminal and JSON lines elsewhere." }),
});

/** The whole configuration file. */
export const settings = z.strictObject({
  listen: z
    .array(listener)
    .min(1)
    .default([
      { transport: "udp", address: "127.0.0.1" },
      { transport: "tcp", address: "127.0.0.1" },
      { transport: "tls", address: "127.0.0.1" },
    ])
    .meta({ description: "Where to listen. Default: loopback only." }),
  access: access.prefault({}).meta({ description: "Who may ask." }),
  resolver: resolver.prefault({}).meta({ description: "Iterative resolution from the root." }),
  "forward-zones": z
    .array(forwardZone)
    .default([])
    .meta({ description: "Names that other servers resolve." }),
  "local-zones": localZones.prefault({}).meta({ description: "Names answered from here." }),
  cache: cache.prefault({}).meta({ description: "What is remembered." }),
  limits: limits.prefault({}).meta({ description: "Connection management." }),
  log: log.prefault({}).meta({ description: "What is told." }),
});

/** The checked file with all defaults, still in the words of the file. */
export type Settings = z.infer<typeof settings>;
