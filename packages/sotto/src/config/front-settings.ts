/** The settings of `sotto front`: the listeners of `sotto serve`, and behind them pools of backends, rules and sets. */
import { tryParseUpstreamAddress } from "@sotto/dns/transport";
import { rcodeFromText, rrTypeFromText, tryParseAddress, tryParseName } from "@sotto/dns/wire";
import { z } from "zod";
import { frontRuleSections, option } from "./front-rules.ts";
import { duration, prefix, size, text } from "./setting-types.ts";
import { settings, WORKERS_AUTO_MAX } from "./settings.ts";

const backend = z.strictObject({
  address: text(tryParseUpstreamAddress, "tcp://192.0.2.1").meta({
    description:
      "udp://ADDRESS:PORT, tcp://ADDRESS:PORT, tls://NAME:PORT?ip=ADDRESS&pin=sha256:…, or ADDRESS@PORT#NAME. A tls backend with a name or a pin is authenticated unless `profile` says otherwise, and never asked in clear.",
  }),
  name: z.string().min(1).max(63).optional().meta({
    description: "What it is called in status, log and commands. Default: its address.",
  }),
  profile: z.enum(["strict", "opportunistic"]).optional().meta({
    description:
      "Usage profile (RFC 8310 §5), for tls. strict: no query leaves before it has proved by name or pin who it is. opportunistic: authenticated where it can be, else encrypted, whoever it is, and never in clear; others over TLS in its pool then come first, and status and log say which. Absent: strict with a name or a pin, and encrypted only without.",
  }),
  authorities: z.string().optional().meta({
    description:
      "PEM file with the authorities that its certificate must lead to, for tls with a name or a pin. Absent: the system's (on Linux those of /etc/ssl), or Node's own where the system has none.",
  }),
  weight: z.number().int().min(1).max(1000).default(1).meta({
    description: "Its share of the queries, for the choices weighted and hash.",
  }),
  connections: z.number().int().min(1).max(10_000).optional().meta({
    description:
      "Connections to it at once (tcp, tls), or sockets (udp). All clients share them: each carries many queries, answered in any order. Default 4; with `proxy: v2`, where each is of one client, 256.",
  }),
  "in-flight": z.number().int().min(1).max(60_000).default(2000).meta({
    description: "Unanswered queries at this backend; more wait in its queue.",
  }),
  queue: z.number().int().min(0).max(100_000).default(2000).meta({
    description: "Queries that wait for a place at this backend; more go to another one, or fail.",
  }),
  proxy: z.enum(["off", "v2"]).default("off").meta({
    description:
      "Tells the client's address by PROXY protocol version 2, inside TLS where there is TLS. Connections are then of one client each. Answers in the packet cache are for all clients: `cache: 0B` where the backend answers by client.",
  }),
  source: text(tryParseAddress, "192.0.2.1").optional().meta({
    description: "Address of this machine from which it is asked. Default: the system chooses.",
  }),
  "tcp-port": z.number().int().min(1).max(65_535).optional().meta({
    description:
      "Where a udp backend is asked over TCP when its answer was truncated. Default: the same port.",
  }),
});

const health = z.strictObject({
  name: text(tryParseName, "health.example.").default(".").meta({ description: "Name to ask for." }),
  type: text((value) => {
    const type = rrTypeFromText(value);
    return type === undefined
      ? { ok: false, problem: `${JSON.stringify(value)} is not a record type` }
      : { ok: true, value: type };
  }, "NS")
    .default("NS")
    .meta({ description: "Type to ask for." }),
  rcodes: z
    .array(
      text((value) => {
        const rcode = rcodeFromText(value);
        return rcode === undefined
          ? { ok: false, problem: `${JSON.stringify(value)} is not a response code` }
          : { ok: true, value: rcode };
      }, "NOERROR"),
    )
    .min(1)
    .default(["NOERROR", "NXDOMAIN", "REFUSED"])
    .meta({
      description:
        "Response codes of a backend that is well. Authoritative servers refuse what is not theirs, such as the root; leave out REFUSED where a resolver could refuse you.",
    }),
  interval: duration()
    .default("5s")
    .meta({ description: "Between two checks; 0s: none, queries alone decide." }),
  timeout: duration().default("2s").meta({ description: "For one check." }),
  rise: z.number().int().min(1).max(100).default(2).meta({
    description: "Good checks in a row that bring a backend up.",
  }),
  fall: z.number().int().min(1).max(100).default(3).meta({
    description: "Bad checks in a row, or queries without an answer, that take it down.",
  }),
});

const pool = z.strictObject({
  name: z.string().min(1).max(63).meta({ description: "What rules call it." }),
  // BACKENDS_MAX of the front, which this folder may not import.
  backends: z.array(backend).min(1).max(64).meta({ description: "Who answers." }),
  choice: z
    .enum(["ordered", "round-robin", "weighted", "least-outstanding", "fastest", "hash"])
    .default("least-outstanding")
    .meta({
      description:
        "Which backend that is up is asked. ordered: the first; hash: by the question, so that each backend's cache has its own names; fastest: by latency.",
    }),
  retries: z.number().int().min(0).max(5).default(2).meta({
    description:
      "Further backends that are asked when one is silent for longer than the pool's latency suggests, fails or is gone.",
  }),
  "retry-servfail": z.boolean().default(true).meta({
    description: "A SERVFAIL is tried at another backend before the client gets it.",
  }),
  health: health.prefault({}).meta({ description: "How backends are checked, over their own transport." }),
  "slow-start": duration().default("10s").meta({
    description: "A backend that comes up gets its whole share only after this time.",
  }),
  cache: size().default("64MiB").meta({ description: "Memory for its answers; 0B: none." }),
  "max-ttl": duration().default("1d").meta({ description: "Longest time an answer is kept." }),
  "serve-stale": duration().default("1h").meta({
    description:
      "While all its backends are down, answers are given for so long after their end (RFC 8767); 0s: never.",
  }),
  "pass-options": z.array(option).max(16).default([]).meta({
    description:
      "EDNS options that clients' queries and the answers carry through as they are, such as zone-version or report-channel before authoritative servers; answers with one are not kept. Others end here on both sides (RFC 6891 §6.2.6), but for extended errors and client subnets.",
  }),
  "pass-ad": z.boolean().default(true).meta({
    description:
      "Passes on the AD flag of its backends. false where somebody could change what they say on the way (RFC 4035 §4.9.3).",
  }),
});

const common = settings.pick({
  workers: true,
  engine: true,
  listen: true,
  cookies: true,
  limits: true,
  tls: true,
  control: true,
  log: true,
});

/** The whole file. */
export const frontSettings = common.extend({
  workers: settings.shape.workers
    .unwrap()
    .default(1)
    .meta({
      description: `Threads that serve, each on all listeners (SO_REUSEPORT). auto: one per core, ${WORKERS_AUTO_MAX} at most; one where the system cannot share ports. Packet caches, limits of clients, rates and bans are of all together. Limits of the whole front end, and connections, queries in flight and queues of backends, are shared out: each worker has at least one. Takes effect at restart.`,
    }),
  access: settings.shape.access
    .unwrap()
    .pick({ allow: true, deny: true, action: true })
    .extend({
      transfers: z.array(prefix()).default([]).meta({
        description:
          "Who may also have zone transfers (AXFR, IXFR) of the backends, over TCP and TLS, each on a connection of its own.",
      }),
    })
    .prefault({})
    .meta({ description: "Who may ask at all, before all rules." }),
  pools: z.array(pool).min(1).max(100).meta({
    description: "Backends by name; the first pool is for everything that no rule routes.",
  }),
  ...frontRuleSections,
  "watch-sets": duration().default("5s").meta({
    description: "How often files of sets are looked at for changes; 0s: never, only at SIGHUP.",
  }),
  deadline: duration().default("4s").meta({
    description:
      "Longest time for one query with all its tries, after which it is answered SERVFAIL. Stubs wait five seconds.",
  }),
});

export type FrontSettings = z.infer<typeof frontSettings>;
