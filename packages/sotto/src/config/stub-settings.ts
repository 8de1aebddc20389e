/** The section of settings that makes a stub: which resolvers are asked, by which profile, and how patiently. */

import { DnsError } from "@sotto/dns/runtime";
import { readUpstream } from "@sotto/dns/stub";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";
import { z } from "zod";
import { address, duration, port, text, tryParsePin } from "./setting-types.ts";

const upstream = z.union([
  text(tryReadUpstream, "tls://dns.example?ip=192.0.2.1"),
  z.strictObject({
    address: address()
      .optional()
      .meta({ description: "IP address of the resolver. Absent: the addresses of `name` are looked up." }),
    transport: z.enum(["auto", "tls", "tcp", "udp"]).optional().meta({
      description:
        "auto: TLS on 853 where it answers, else clear (opportunistic only). Default: tls with a name or pins, else auto.",
    }),
    port: port().optional().meta({ description: "Default: 853 for TLS, 53 in clear." }),
    "clear-port": port()
      .optional()
      .meta({ description: "Port in clear when `port` is that of TLS. Default: 53." }),
    name: z.string().optional().meta({
      description: "Authentication domain name that the certificate must have (RFC 8310 §7.1).",
    }),
    pins: z.array(text(tryParsePin, "sha256:…")).default([]).meta({
      description:
        "SPKI pins, one of which a key of the certificate chain must have (RFC 7858 §4.2). Have a backup pin.",
    }),
    dane: z.enum(["off", "prefer", "only"]).optional().meta({
      description:
        "Authentication by the TLSA records of _853._tcp.NAME, validated here (RFC 8310 §8.2). prefer: where the name has some, else by name and pins. only: nobody is authenticated without. Default: off.",
    }),
    authorities: z.string().optional().meta({
      description:
        "PEM file with the authorities that the certificate must lead to. Absent: the system's (on Linux those of /etc/ssl), or Node's own where the system has none.",
    }),
  }),
]);

function tryReadUpstream(value: string): Parsed<string> {
  try {
    readUpstream(value);
    return parsed(value);
  } catch (error) {
    if (!DnsError.is(error)) throw error;
    return problem(error.message);
  }
}

const portal = z.strictObject({
  allowed: z.boolean().default(true).meta({
    description:
      "Whether `sotto stub portal open` may do anything. Whoever may connect with the control socket may ask for it.",
  }),
  "for-max": duration()
    .default("15m")
    .meta({ description: "Longest opening, 15m at most; it closes by itself." }),
});

export const stub = z.strictObject({
  upstreams: z.array(upstream).default([]).meta({
    description:
      "Resolvers in order of preference: tls://NAME:PORT?ip=ADDRESS&pin=sha256:…&dane=only, tls://NAME, ADDRESS@PORT#NAME, ADDRESS, udp://ADDRESS, tcp://ADDRESS, or objects.",
  }),
  profile: z.enum(["strict", "opportunistic"]).optional().meta({
    description:
      "Usage profile (RFC 8310 §5). strict: no query leaves but to an authenticated server. opportunistic: authenticated where it can be, else encrypted, else in clear. Absent: strict, and then every upstream needs a name or a pin.",
  }),
  bootstrap: z
    .union([z.literal("system"), z.array(text(tryReadUpstream, "192.0.2.1")).min(1)])
    .optional()
    .meta({
      description:
        "Who is asked for the addresses of upstreams that are known by name only, and for nothing else (RFC 8310 §7.2), when no other upstream tells them: upstreams with addresses, asked as they are written (with a name or a pin: authenticated; tls://ADDRESS: encrypted; ADDRESS: encrypted where it can be, else in clear), or `system`: the servers of resolv.conf. What they say proves nothing; the certificate does. Absent: system with the opportunistic profile when no upstream has an address; nobody with the strict one, because the name could leave in clear.",
    }),
  "state-file": z.string().optional().meta({
    description:
      "File in which are kept the addresses at which upstreams without configured ones last proved who they are: used at once after a start, and when nobody tells others. Absent: they are looked up again after a start.",
  }),
  discovery: z.enum(["off", "verified"]).optional().meta({
    description:
      "verified: an upstream of which only the address is given is asked for its designated resolvers that speak TLS (RFC 9462); they are used before itself when their certificate is for that address, and one on another port of a private address for encryption alone. Absent: verified with the opportunistic profile. The strict profile cannot rest on it, because the upstream would be asked in clear, and could tell anything (RFC 8310 §7.3).",
  }),
  "never-clear": z.boolean().default(false).meta({
    description:
      "The opportunistic profile without its last step: encrypted at least, whoever the server is.",
  }),
  choice: z.enum(["ordered", "round-robin", "fastest"]).default("ordered").meta({
    description: "Which of the upstreams that work is asked first.",
  }),
  "try-timeout": duration().default("2s").meta({
    description: "For one try with one upstream, connecting included; then the next is asked.",
  }),
  "outage-patience": duration().default("4500ms").meta({
    description:
      "How long a query waits while no upstream can be reached; they are tried at least every two seconds. Programs wait for five seconds. 0s: it fails at once.",
  }),
  "connect-timeout": duration().default("1500ms").meta({ description: "For the TCP handshake." }),
  "handshake-timeout": duration().default("1500ms").meta({ description: "For the TLS handshake." }),
  "idle-timeout": duration().default("10s").meta({
    description:
      "How long a connection without queries stays open when the server says nothing of it (edns-tcp-keepalive, RFC 7828).",
  }),
  padding: z.number().int().min(0).max(4096).default(128).meta({
    description: "Block size that queries over TLS are padded to, octets; 0: none (RFC 8467 §4.1).",
  }),
  "hide-client-subnet": z.boolean().default(true).meta({
    description: "Asks upstreams not to pass on anybody's address (RFC 8310 §11.1).",
  }),
  portal: portal.prefault({}).meta({
    description:
      "Captive portals: by command, for some names and some minutes, questions go in clear (RFC 8310 §6.6).",
  }),
});
