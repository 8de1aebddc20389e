/**
 * The one table of settings: types, defaults, bounds and help. From it come the checks of `load`, the JSON schema for
 * editors, the reference page and `sotto show --effective`. Units are part of the values (`10s`, `64MiB`).
 */

import { tryParseAnchor } from "@sotto/dns/dnssec";
import { tryParseUpstreamAddress } from "@sotto/dns/transport";
import { tryParseRecord } from "@sotto/dns/wire";
import { z } from "zod";
import { ddr, limits, listener } from "./listener-settings.ts";
import {
  address,
  duration,
  port,
  prefix,
  size,
  text,
  tryParseStubServer,
  zoneName,
} from "./setting-types.ts";
import { stub } from "./stub-settings.ts";
import { tryParseMoment } from "./units.ts";

/** What one machine is good for; each takes some 50 MB besides its caches. */
const WORKERS_MAX = 64;
/** Nobody who has not said so wants a gigabyte of threads. */
export const WORKERS_AUTO_MAX = 16;

const identity = z.strictObject({
  id: z.string().max(255).optional().meta({
    description: "Answer to id.server and hostname.bind TXT, class CH (RFC 4892). Absent: refused.",
  }),
  version: z.string().max(255).optional().meta({
    description: "Answer to version.server and version.bind TXT, class CH. Absent: refused.",
  }),
  "trust-anchors": z.boolean().default(true).meta({
    description: "Tells zones and key tags of the trust anchors to trustanchor.unbound TXT, class CH.",
  }),
});

const access = z.strictObject({
  allow: z
    .array(prefix())
    .default(["127.0.0.0/8", "::1/128"])
    .meta({ description: "Who may ask. The most specific prefix of `allow` and `deny` decides." }),
  deny: z.array(prefix()).default([]).meta({ description: "Exceptions from `allow`." }),
  "cache-snooping": z.array(prefix()).default([]).meta({
    description:
      "Who may also ask without RD, which tells what others asked. Nobody else gets answers from the cache that way.",
  }),
  any: z.enum(["full", "minimal-over-udp", "minimal", "refuse"]).default("full").meta({
    description:
      "Queries of type ANY: full gives whatever is found; minimal one HINFO record that says why, or one signed set of a signed zone (RFC 8482 §4), always or over UDP only; refuse REFUSED, after which clients may ask elsewhere.",
  }),
  action: z.enum(["refuse", "drop"]).default("refuse").meta({
    description:
      "refuse answers REFUSED with extended error 18 (RFC 8914 §4.19); drop does not answer at all.",
  }),
});

const cookies = z.strictObject({
  policy: z.enum(["off", "offer", "require-over-udp"]).default("offer").meta({
    description:
      "DNS cookies for clients (RFC 7873, RFC 9018): offer answers those who send one with a server cookie; require-over-udp answers BADCOOKIE over UDP until they come back with it.",
  }),
  secret: z.string().optional().meta({
    description:
      "File with one or two lines of 32 hexadecimal digits: the secret, and one that is still accepted. Servers behind one address share it. Absent: drawn at start.",
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
  "fast-open": z.enum(["off", "auto"]).default("off").meta({
    description:
      "TCP Fast Open towards servers (RFC 7413, Linux); what fails is remembered and not tried for an hour.",
  }),
  "port-sharing": z.enum(["when-busy", "never"]).default("when-busy").meta({
    description:
      "Source ports of queries over UDP (RFC 5452 §9.2). when-busy: a server that is asked more than 16 times in a second is asked from 16 ports, each of which is given up after a second or 64 queries; all others see a fresh port with each query. never: a fresh port with each query, whatever that costs.",
  }),
  "qname-minimisation": z.enum(["relaxed", "strict", "off"]).default("relaxed").meta({
    description:
      "Tell servers no more of a name than they need (RFC 9156). relaxed asks for the whole name where a server cannot cope; strict gives up there.",
  }),
  "case-randomisation": z.boolean().default(true).meta({
    description:
      "Spell names in queries in random case, which a blind attacker has to guess, too (0x20). Servers that do not keep the case are asked over TCP.",
  }),
  "harden-glue": z.boolean().default(true).meta({
    description: "Take addresses of servers from the zone of the server that gives them only (RFC 5452 §6).",
  }),
  cookies: z.boolean().default(true).meta({
    description: "Send DNS cookies to authoritative servers (RFC 7873).",
  }),
  encryption: z.enum(["off", "opportunistic"]).default("opportunistic").meta({
    description:
      "Ask authoritative servers over TLS where they can do it (RFC 9539): tried beside the clear query, without authentication, remembered for three days; left alone for a day where it fails.",
  }),
  "encryption-port": z
    .number()
    .int()
    .min(1)
    .max(65_535)
    .default(853)
    .meta({ description: "Port for that; another one is for test networks." }),
  "encryption-state": z.string().optional().meta({
    description: "File in which is kept who can do it. Absent: it is learnt again after a start.",
  }),
  "private-addresses": z.array(prefix()).default([]).meta({
    description:
      "Addresses that names from outside must not have, such as 192.168.0.0/16 and fc00::/7: they are removed from answers, and servers are not asked there (rebinding protection).",
  }),
  "private-domains": z.array(zoneName()).default([]).meta({
    description: "Names at and below which such addresses are right.",
  }),
  "error-reporting": z.boolean().default(false).meta({
    description:
      "Tell the agents that authoritative servers name which of their names fail, and why (RFC 9567). They learn what was asked here.",
  }),
  "edns-payload": z.number().int().min(512).max(4096).default(1232).meta({
    description: "Largest UDP reply asked for, octets; more than 1232 may be fragmented (RFC 9715 §3.1).",
  }),
  deadline: duration()
    .default("8s")
    .meta({ description: "Longest time for one client query, after which it is answered SERVFAIL." }),
});

const dnssec = z.strictObject({
  validation: z.boolean().default(true).meta({
    description:
      "Validate answers from the root or forwarders (RFC 4035): bogus ones are SERVFAIL with an extended error, secure ones have AD.",
  }),
  "trust-anchors": z
    .array(
      text(
        tryParseAnchor,
        ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
      ),
    )
    .optional()
    .meta({
      description:
        "DS or DNSKEY records in zone file form. Without this setting and without files: the keys of the public root, built in; an empty list: none.",
    }),
  "trust-anchor-files": z
    .array(z.string())
    .default([])
    .meta({ description: "Files of DS or DNSKEY records, or IANA's root-anchors.xml (RFC 9718)." }),
  "anchor-state": z.string().optional().meta({
    description:
      "File in which the keys of trust anchors are kept up to date (RFC 5011), made at the first start. Absent: anchors stay as configured.",
  }),
  "signal-anchors": z.boolean().default(true).meta({
    description: "Tell the anchors' zones once a day which keys are trusted here (RFC 8145 §5).",
  }),
  "negative-trust-anchors": z
    .array(zoneName())
    .default([])
    .meta({ description: "Names at and below which nothing is validated (RFC 7646)." }),
  now: z
    .union([z.number().int().min(0), text(tryParseMoment, "20261123120000")])
    .optional()
    .meta({
      description:
        "A fixed time for validation, seconds since 1970 or YYYYMMDDHHMMSS (UTC), for replays and tests only.",
    }),
  "clock-skew-min": duration().optional().meta({
    description:
      "Signatures are taken this long before and after their time, or a tenth of their time if that is more. Default 1h; 0s when `now` is set.",
  }),
  "clock-skew-max": duration().optional().meta({
    description: "The most that a tenth may be. Default 1d; 0s when `now` is set.",
  }),
  sha1: z.boolean().default(true).meta({
    description:
      "Validate signatures over SHA-1 (algorithms 5 and 7, RFC 8624 §3.1). false: zones that have no others are insecure.",
  }),
  "harden-algorithm-downgrade": z.boolean().default(false).meta({
    description:
      "Want a right signature of every algorithm in the DS set, where one would do (RFC 6840 §5.11 leaves that to signers).",
  }),
  "harden-stripped": z.boolean().default(true).meta({
    description:
      "Signed zones whose DNSKEY cannot be had are bogus. false: they count as unsigned, and whoever strips signatures wins.",
  }),
  dsa: z.boolean().optional().meta({
    description:
      "Validate DSA (algorithms 3 and 6), which RFC 8624 §3.1 forbids: for replays of old recordings. Default: only when `now` is set.",
  }),
  "nsec3-iterations": z.number().int().min(0).max(2500).default(150).meta({
    description: "NSEC3 with more hash rounds is not computed: such answers are insecure (RFC 9276 §3.2).",
  }),
});

const stubZone = z.strictObject({
  name: zoneName().meta({ description: "The zone whose servers are given here." }),
  servers: z.array(text(tryParseStubServer, "192.0.2.1")).min(1).meta({
    description:
      "Addresses of its authoritative servers, with @PORT where it is not the usual one. They are asked in place of those that the parent zone names.",
  }),
  fallback: z.boolean().default(false).meta({
    description: "When none of them answers, the servers that the parent zone names are asked.",
  }),
});

const forwardZone = z.strictObject({
  name: zoneName().meta({
    description: "Everything at and below this name goes to the upstreams; `.` means everything.",
  }),
  upstreams: z.array(text(tryParseUpstreamAddress, "tls://dns.example?ip=192.0.2.1")).min(1).meta({
    description:
      "Servers in order of preference: tls://NAME:PORT?ip=ADDRESS&pin=sha256:…, udp://ADDRESS, tcp://ADDRESS:PORT, or ADDRESS@PORT#NAME. A tls upstream with a name or a pin is always authenticated and never asked in clear.",
  }),
  fallback: z.boolean().default(false).meta({
    description:
      "When no upstream gives an answer, the zone's authoritative servers are asked, in clear. Never for privacy: an attacker only has to block the upstreams.",
  }),
  profile: z.enum(["strict", "opportunistic"]).optional().meta({
    description:
      "Usage profile (RFC 8310 §5). strict: only upstreams that prove by name or pin who they are are asked, ever. opportunistic: authenticated where it can be, else encrypted, else in clear; a bare ADDRESS is asked over TLS on 853 first. Absent: each upstream as it is written.",
  }),
  choice: z.enum(["ordered", "round-robin", "fastest"]).default("ordered").meta({
    description: "Which of the upstreams that work is asked first.",
  }),
  "hide-client-subnet": z.boolean().default(false).meta({
    description:
      "Sends an EDNS client subnet of no bits, which asks upstreams not to pass on anybody's address (RFC 7871 §7.1.2, RFC 8310 §11.1).",
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
  zones: z
    .array(
      z.strictObject({
        name: zoneName().meta({ description: "The zone." }),
        type: z
          .enum([
            "static",
            "transparent",
            "typetransparent",
            "redirect",
            "refuse",
            "null",
            "nxdomain",
            "nodata",
          ])
          .meta({
            description:
              "What names without records in `data` get: static NODATA or NXDOMAIN; transparent ordinary resolution; typetransparent the same for types that are not there; redirect the records of the zone's own name; refuse REFUSED; null 0.0.0.0 and ::; nxdomain and nodata what they say.",
          }),
      }),
    )
    .default([])
    .meta({ description: "Zones answered locally; the longest counts." }),
});

const control = z.strictObject({
  socket: z.string().optional().meta({
    description: "Unix socket for `sotto control`; only the resolver's user may connect. Absent: none.",
  }),
});

const dns64 = z.strictObject({
  prefix: prefix()
    .optional()
    .meta({ description: "Prefix of the NAT64, such as 64:ff9b::/96 (RFC 6052). Absent: no AAAA is made." }),
  exclude: z.array(prefix()).default(["::ffff:0:0/96"]).meta({
    description: "AAAA records inside these count as if they were not there (RFC 6147 §5.1.4).",
  }),
  "ignore-aaaa": z.array(zoneName()).default([]).meta({
    description: "Names at and below which AAAA is made although there are real ones; `.` means everywhere.",
  }),
  clients: z.array(prefix()).optional().meta({
    description: "Clients that get made AAAA. Absent: everybody.",
  }),
  reverse: z.enum(["alias", "records"]).default("alias").meta({
    description:
      "Reverse names of made addresses: alias of the IPv4 address's name, or its PTR records under the asked name (RFC 6147 §5.3.1).",
  }),
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
  "min-negative-ttl": duration().optional().meta({
    description: "Shortest time a negative answer is kept. Absent: as `min-ttl`.",
  }),
  "nxdomain-cut": z.boolean().default(true).meta({
    description: "A validated NXDOMAIN answers for all names below it, too (RFC 8020).",
  }),
  "aggressive-denial": z.boolean().default(true).meta({
    description: "Validated NSEC and NSEC3 records answer for the names between them (RFC 8198).",
  }),
  prefetch: z.boolean().default(true).meta({
    description: "Answers asked for in the last tenth of their life are renewed at once.",
  }),
  "serve-stale": z.boolean().default(false).meta({
    description: "Give expired answers when nothing better can be had in time (RFC 8767).",
  }),
  "stale-ttl": duration().default("1d").meta({
    description:
      "How long after their end answers may be given stale; 0s: no limit (RFC 8767 §5 suggests one to three days).",
  }),
  "stale-reply-ttl": duration().default("30s").meta({
    description: "TTL of stale answers (RFC 8767 §4).",
  }),
  "stale-client-timeout": duration().default("1800ms").meta({
    description:
      "How long a client waits for a fresh answer before it gets a stale one (RFC 8767 §5); 0s: stale at once, renewed behind it.",
  }),
});

const tls = z.strictObject({
  groups: z
    .array(z.string().regex(/^[A-Za-z0-9_-]+$/))
    .min(1)
    .default(["X25519MLKEM768", "X25519", "P-256", "P-384"])
    .meta({
      description:
        "Key exchange groups that listeners take, in OpenSSL's names. The post-quantum hybrid comes first: recorded traffic could be read later.",
    }),
  "ticket-secret": z.string().optional().meta({
    description:
      "File with at least 32 octets from which ticket keys are derived; servers with the same file take each other's tickets. Absent: drawn at start.",
  }),
  "ticket-rotation": duration().default("12h").meta({
    description:
      "How often ticket keys change, at the same moment on all servers; older tickets mean a full handshake.",
  }),
  "watch-certificates": duration().default("5s").meta({
    description: "How often certificate files are looked at for changes; 0s never, only at SIGHUP.",
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
  workers: z
    .union([z.literal("auto"), z.number().int().min(1).max(WORKERS_MAX)])
    .default("auto")
    .meta({
      description: `Threads that serve, each on all listeners (SO_REUSEPORT). auto: one per core, ${WORKERS_AUTO_MAX} at most; one where the system cannot share ports. \`sotto stub\`: 1. Limits of the whole server are shared out among them; those of clients hold for all together. Takes effect at restart.`,
    }),
  listen: z
    .array(listener)
    .min(1)
    .prefault([
      { transport: "udp", address: "127.0.0.1" },
      { transport: "tcp", address: "127.0.0.1" },
      { transport: "tls", address: "127.0.0.1" },
    ])
    .meta({ description: "Where to listen. Default: loopback only." }),
  engine: z.enum(["node", "native"]).default("node").meta({
    description:
      "What carries the listeners, and queries to servers over UDP. node: Node's own sockets and TLS, everywhere. native: epoll, and the OpenSSL inside Node, called directly: less CPU time over UDP and in handshakes, less memory per connection; Linux with Node 26, elsewhere it is node, which the log says. Read at start.",
  }),
  access: access.prefault({}).meta({ description: "Who may ask." }),
  identity: identity.prefault({}).meta({ description: "What the server tells about itself." }),
  cookies: cookies.prefault({}).meta({ description: "DNS cookies for clients." }),
  resolver: resolver.prefault({}).meta({ description: "Iterative resolution from the root." }),
  dnssec: dnssec.prefault({}).meta({ description: "Validation." }),
  "forward-zones": z
    .array(forwardZone)
    .default([])
    .meta({ description: "Names that other servers resolve." }),
  "stub-zones": z.array(stubZone).default([]).meta({
    description: "Zones whose authoritative servers are given here instead of found from the root.",
  }),
  stub: stub.prefault({}).meta({
    description: "For `sotto stub`: the resolvers that are asked for everything.",
  }),
  "local-zones": localZones.prefault({}).meta({ description: "Names answered from here." }),
  ddr: ddr.prefault({}).meta({
    description:
      "Discovery of designated resolvers (RFC 9462): clients that know only an address learn where it speaks TLS.",
  }),
  dns64: dns64.prefault({}).meta({ description: "AAAA records for clients behind a NAT64 (RFC 6147)." }),
  cache: cache.prefault({}).meta({ description: "What is remembered." }),
  limits: limits.prefault({}).meta({ description: "Connection management." }),
  tls: tls.prefault({}).meta({ description: "What all tls listeners have in common." }),
  control: control.prefault({}).meta({ description: "How operators steer the running resolver." }),
  log: log.prefault({}).meta({ description: "What is told." }),
});

/** The checked file with all defaults, still in the words of the file. */
export type Settings = z.infer<typeof settings>;
