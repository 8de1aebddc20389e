/**
 * The servers of the table: Debian's, and ours. Each gets all that its release can do of the rows of 2016, as its manual says how to
 * switch it on. NSD has the zone that the others resolve; NGINX, HAProxy, stunnel and dnsdist stand before unbound. Where there is an
 * internet they resolve all else from its root, and validate.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ExposedFacts } from "../../packages/sotto/src/playground/index.ts";
import type { ProbeTransport } from "../../packages/sotto/src/tools/probe/server/index.ts";
import { FRONTS } from "../front/front-programs.ts";
import { PROBE_NAME } from "../front/probe-client.ts";

/** Where all of it is, and the files that it needs. */
export interface Site {
  readonly folder: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly bothFile: string;
  /** Root hints and trust anchor; undefined: there are the zones of {@link upstreams} only, and nothing is validated. */
  readonly internet: Pick<ExposedFacts, "rootHintsFile" | "trustAnchorFile"> | undefined;
}

/** A server of the table. */
export interface TableServer {
  readonly name: string;
  /** Debian's package; undefined: ours. */
  readonly packageName: string | undefined;
  readonly program: string;
  readonly address: string;
  readonly transports: readonly ProbeTransport[];
  /** Names of servers that it asks. */
  readonly needs: readonly string[];
  /** Writes what it needs and gives its command, to run in the foreground. */
  command(site: Site): readonly string[];
}

/** Below lab., which the internet has unsigned: who validates finds that nothing there has to be. */
export const ZONE = "tables.lab";
export const FAST_NAME = `www.${ZONE}`;
/** A server of ours answers these after so many milliseconds. */
const DELAY_ZONE = "late.lab";
export const DELAY_NAME = `d300-{}.${DELAY_ZONE}`;
export const SLOW_ADDRESS = "127.0.53.2";
/** Everywhere the same; unprivileged, for users without a namespace. */
export const PORT = 15_653;
export const TLS_PORT = 15_853;
/** Shorter than what the prober waits, so that it sees whether keepalive is true. */
const IDLE_MS = 10_000;

const ALL: readonly ProbeTransport[] = ["udp", "tcp", "tls"];
const NSD_ADDRESS = "127.0.53.1";
const UNBOUND_ADDRESS = "127.0.53.11";

function ownFolder({ folder }: Site, name: string): string {
  const own = join(folder, name);
  mkdirSync(own, { recursive: true });
  return own;
}

function configured(folder: string, name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const nsd: TableServer = {
  name: "nsd",
  packageName: "nsd",
  program: "/usr/sbin/nsd",
  address: NSD_ADDRESS,
  transports: ALL,
  needs: [],
  command: (site) => {
    const own = ownFolder(site, "nsd");
    const zone = configured(
      own,
      "zone",
      `$ORIGIN ${ZONE}.
$TTL 300
@ IN SOA ns hostmaster 1 3600 600 86400 300
@ IN NS ns
ns IN A ${NSD_ADDRESS}
www IN A 192.0.2.1
`,
    );
    return [
      nsd.program,
      "-d",
      "-c",
      configured(
        own,
        "nsd.conf",
        `server:
  server-count: 1
  ip-address: ${NSD_ADDRESS}@${PORT}
  ip-address: ${NSD_ADDRESS}@${TLS_PORT}
  tls-service-key: "${site.keyFile}"
  tls-service-pem: "${site.certificateFile}"
  tls-port: ${TLS_PORT}
  tcp-timeout: ${IDLE_MS / 1000}
  rrl-ratelimit: 0
  username: ""
  chroot: ""
  zonesdir: "${own}"
  database: ""
  pidfile: "${own}/nsd.pid"
  xfrdfile: "${own}/xfrd.state"
  zonelistfile: "${own}/zone.list"
  xfrdir: "${own}"
remote-control:
  control-enable: no
zone:
  name: ${ZONE}
  zonefile: "${zone}"
`,
      ),
    ];
  },
};

const unbound: TableServer = {
  name: "unbound",
  packageName: "unbound",
  program: "/usr/sbin/unbound",
  address: UNBOUND_ADDRESS,
  transports: ALL,
  needs: ["nsd"],
  command: (site) => {
    const own = ownFolder(site, "unbound");
    const text = `server:
  directory: "${own}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  num-threads: 1
  interface: ${UNBOUND_ADDRESS}@${PORT}
  interface: ${UNBOUND_ADDRESS}@${TLS_PORT}
  tls-port: ${TLS_PORT}
  tls-service-key: "${site.keyFile}"
  tls-service-pem: "${site.certificateFile}"
  incoming-num-tcp: 200
  tcp-idle-timeout: ${IDLE_MS}
  edns-tcp-keepalive: yes
  edns-tcp-keepalive-timeout: ${IDLE_MS}
  module-config: "${site.internet === undefined ? "" : "validator "}iterator"
  ede: yes
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-ip6: no
${
  site.internet === undefined
    ? ""
    : `  root-hints: "${site.internet.rootHintsFile}"
  trust-anchor-file: "${site.internet.trustAnchorFile}"
`
}remote-control:
  control-enable: no
${upstreams((zone, address) => `stub-zone:\n  name: "${zone}"\n  stub-addr: ${address}@${PORT}\n`)}`;
    return [unbound.program, "-d", "-p", "-c", configured(own, "unbound.conf", text)];
  },
};

const named: TableServer = {
  name: "named",
  packageName: "bind9",
  program: "/usr/sbin/named",
  // It listens on addresses of interfaces only.
  address: "127.0.0.1",
  transports: ALL,
  needs: ["nsd"],
  command: (site) => {
    const own = ownFolder(site, "named");
    // Its timers are in tenths of a second.
    const idle = IDLE_MS / 100;
    const text = `options {
  directory "${own}"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory "${own}";
  listen-on port ${PORT} { 127.0.0.1; };
  listen-on port ${TLS_PORT} tls local { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion yes; allow-query { any; }; allow-recursion { any; }; allow-query-cache { any; };
  dnssec-validation ${site.internet === undefined ? "no" : "yes"}; empty-zones-enable no; minimal-responses yes;
  tcp-idle-timeout ${idle}; tcp-keepalive-timeout ${idle}; tcp-advertised-timeout ${idle};
  response-padding { any; } block-size 468;
};
tls local { cert-file "${site.certificateFile}"; key-file "${site.keyFile}"; };
controls { };
${site.internet === undefined ? "" : namedInternet(site.internet)}${upstreams((zone, address) => `zone "${zone}" { type forward; forward only; forwarders { ${address} port ${PORT}; }; };\n`)}`;
    return [named.program, "-g", "-4", "-n", "1", "-c", configured(own, "named.conf", text)];
  },
};

function namedInternet({ rootHintsFile, trustAnchorFile }: NonNullable<Site["internet"]>): string {
  const [, tag, algorithm, kind, digest] =
    /DS (\d+) (\d+) (\d+) (\S+)/.exec(readFileSync(trustAnchorFile, "utf8").replaceAll(/\s+/g, " ")) ?? [];
  return `zone "." { type hint; file "${rootHintsFile}"; };
trust-anchors { "." static-ds ${tag} ${algorithm} ${kind} "${digest}"; };
`;
}

const kresd: TableServer = {
  name: "kresd",
  packageName: "knot-resolver",
  program: "/usr/sbin/kresd",
  address: "127.0.53.13",
  transports: ALL,
  needs: ["nsd"],
  command: (site) => {
    const own = ownFolder(site, "kresd");
    const unloaded = [
      "ta_update",
      "ta_signal_query",
      "priming",
      "detect_time_skew",
      "detect_time_jump",
    ] as const;
    const text = `net.listen('${kresd.address}', ${PORT}, { kind = 'dns' })
net.listen('${kresd.address}', ${TLS_PORT}, { kind = 'tls' })
net.tls('${site.certificateFile}', '${site.keyFile}')
net.ipv6 = false
trust_anchors.remove('.')
${unloaded.map((module) => `modules.unload('${module}')`).join("\n")}
cache.size = 10 * MB
${
  site.internet === undefined
    ? ""
    : `option('ALLOW_LOCAL', true)
modules.load('hints')
hints.root_file('${site.internet.rootHintsFile}')
trust_anchors.add_file('${site.internet.trustAnchorFile}', true)
`
}${upstreams((zone, address) => `policy.add(policy.suffix(policy.STUB({ '${address}@${PORT}' }), policy.todnames({ '${zone}.' })))\n`)}`;
    return [kresd.program, "-n", "-c", configured(own, "kresd.conf", text), own];
  },
};

/** The programs before unbound, as the table of gaps runs them. */
function front(name: string, address: string): TableServer {
  const program = FRONTS.find((one) => one.name === name);
  if (program === undefined) throw new Error(`there is no front end ${name}`);
  const isResolver = name === "dnsdist";
  return {
    name,
    packageName: program.packageName,
    program: program.program,
    address,
    transports: isResolver ? ALL : ["tls"],
    needs: ["unbound"],
    command: (site) =>
      program.command({
        ...site,
        folder: ownFolder(site, name),
        address,
        tlsPort: TLS_PORT,
        clearPort: PORT,
        backends: [
          // What dnsdist does when nothing else is said; queries that came over TCP or TLS go over TCP.
          {
            transport: isResolver ? "udp" : "tcp",
            address: UNBOUND_ADDRESS,
            port: PORT,
            isPipelined: true,
          },
        ],
        checkName: `${FAST_NAME}.`,
        // Longer than unbound's, which then decides.
        idleMs: isResolver ? IDLE_MS : IDLE_MS + 2000,
        connectionsMax: 400,
        fastOpen: true,
      }),
  };
}

const SOTTO = join(import.meta.dirname, "../../packages/sotto/src/bin/sotto.ts");
/** How our program is started. */
export const SOTTO_COMMAND: readonly string[] = [
  process.execPath,
  "--conditions=source",
  "--disable-warning=ExperimentalWarning",
  SOTTO,
];

const sotto: TableServer = {
  name: "sotto",
  packageName: undefined,
  program: process.execPath,
  address: "127.0.53.30",
  transports: ALL,
  needs: ["nsd"],
  command: (site) => {
    const own = ownFolder(site, "sotto");
    const at = `address: ${sotto.address}`;
    const text = `listen:
  - { transport: udp, ${at}, port: ${PORT} }
  - { transport: tcp, ${at}, port: ${PORT}, fast-open: auto }
  - { transport: tls, ${at}, port: ${TLS_PORT}, certificate: ${site.certificateFile}, key: ${site.keyFile}, fast-open: auto }
workers: 1
ddr: { name: ${PROBE_NAME} }
${
  site.internet === undefined
    ? "dnssec: { validation: false }"
    : `dnssec: { trust-anchor-files: ["${site.internet.trustAnchorFile}"] }
resolver: { root-hints: "${site.internet.rootHintsFile}", families: [ipv4] }`
}
limits: { idle-timeout: ${IDLE_MS}ms }
forward-zones:
${upstreams((zone, address) => `  - { name: ${zone}, upstreams: ["udp://${address}:${PORT}"] }\n`)}`;
    return [...SOTTO_COMMAND, "serve", "--config", configured(own, "sotto.yaml", text)];
  },
};

/** The two zones and who has them, as a configuration says it. */
function upstreams(line: (zone: string, address: string) => string): string {
  return line(ZONE, NSD_ADDRESS) + line(DELAY_ZONE, SLOW_ADDRESS);
}

/** In the order of the table; who is asked by others comes before them when they are started. */
export const TABLE_SERVERS: readonly TableServer[] = [
  sotto,
  unbound,
  named,
  kresd,
  front("dnsdist", "127.0.53.15"),
  nsd,
  front("nginx", "127.0.53.21"),
  front("haproxy", "127.0.53.22"),
  front("stunnel", "127.0.53.23"),
];
