/**
 * The front ends that are compared: Debian's NGINX, HAProxy, stunnel and dnsdist, and ours, each with the configuration that an
 * operator would write for DNS over TLS before one service. Every one gets all that it can do of what is asked.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { sottoCommand, sottoFrontConfig } from "./sotto-front-config.ts";

/** Where a backend takes queries. */
export interface BackendAddress {
  readonly transport: "udp" | "tcp";
  readonly address: string;
  readonly port: number;
  /** Answers several queries of one connection, in any order. */
  readonly isPipelined: boolean;
}

/** What a front end is asked to be. */
export interface FrontPlan {
  /** For this program alone. */
  readonly folder: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  /** The file with both, which HAProxy wants. */
  readonly bothFile: string;
  readonly address: string;
  readonly tlsPort: number;
  /** For programs that cannot be without a listener in clear. */
  readonly clearPort: number;
  readonly backends: readonly BackendAddress[];
  /** A name that the backends answer, for health checks; ends in a dot. */
  readonly checkName: string;
  /** When idle client connections are closed, milliseconds. */
  readonly idleMs: number;
  readonly connectionsMax: number;
  /** Backends are told who the client is: a PROXY header, the newest version that the program has. */
  readonly tellsClient?: boolean;
  readonly fastOpen?: boolean;
  /** Of ours. Default: node. */
  readonly engine?: "node" | "native";
  /** A packet cache, where the program has one. */
  readonly hasCache?: boolean;
  /** What is not answered: a name, with all below it, and a client address. */
  readonly refused?: { readonly name: string; readonly client: string };
  /** A file of names, one a line, that are refused with all below them. */
  readonly blockListFile?: string;
}

/** A program that stands before resolvers. */
export interface FrontProgram {
  readonly name: string;
  /** Debian's package; undefined for ours. */
  readonly packageName: string | undefined;
  readonly program: string;
  /** It has a packet cache. */
  readonly hasCache: boolean;
  /** Asks it to end as gently as it can. */
  readonly stopSignal: NodeJS.Signals;
  /** Asks it to take a new configuration; undefined: it has no such thing. */
  readonly reloadSignal: NodeJS.Signals | undefined;
  /** Writes what it needs and gives its command, to run in the foreground. */
  command(plan: FrontPlan): readonly string[];
}

function configured(plan: FrontPlan, name: string, text: string): string {
  const file = join(plan.folder, name);
  writeFileSync(file, text);
  return file;
}

const nginx: FrontProgram = {
  name: "nginx",
  packageName: "nginx",
  program: "/usr/sbin/nginx",
  hasCache: false,
  stopSignal: "SIGQUIT",
  reloadSignal: "SIGHUP",
  command: (plan) => [nginx.program, "-c", configured(plan, "nginx.conf", nginxConfig(plan))],
};

function nginxConfig(plan: FrontPlan): string {
  const { folder, refused } = plan;
  return `load_module modules/ngx_stream_module.so;
daemon off;
user root;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.log warn;
worker_rlimit_nofile ${2 * plan.connectionsMax + 1000};
events { worker_connections ${2 * plan.connectionsMax + 500}; }
stream {
  access_log off;
  ssl_certificate ${plan.certificateFile};
  ssl_certificate_key ${plan.keyFile};
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_alpn dot;
  ssl_session_cache shared:dot:20m;
  ssl_session_tickets on;
  proxy_timeout ${plan.idleMs}ms;
  upstream backends { ${plan.backends.map(({ address, port }) => `server ${address}:${port};`).join(" ")} }
  server {
    listen ${plan.address}:${plan.tlsPort} ssl backlog=4096${plan.fastOpen === true ? " fastopen=64" : ""};
${refused === undefined ? "" : `    deny ${refused.client};\n    allow all;\n`}${plan.tellsClient === true ? "    proxy_protocol on;\n" : ""}    proxy_pass backends;
  }
}
`;
}

const haproxy: FrontProgram = {
  name: "haproxy",
  packageName: "haproxy",
  program: "/usr/sbin/haproxy",
  hasCache: false,
  stopSignal: "SIGUSR1",
  reloadSignal: "SIGUSR2",
  // -W: with a master, without which there is no reload.
  command: (plan) => [haproxy.program, "-W", "-f", configured(plan, "haproxy.conf", haproxyConfig(plan))],
};

function haproxyConfig(plan: FrontPlan): string {
  const { refused } = plan;
  const header = plan.tellsClient === true ? " send-proxy-v2" : "";
  const servers = plan.backends.map(
    ({ address, port }, i) => `  server b${i} ${address}:${port} maxconn ${plan.connectionsMax}${header}`,
  );
  return `global
  nbthread 1
  maxconn ${plan.connectionsMax}
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode tcp
  timeout connect 5s
  timeout client ${plan.idleMs}ms
  timeout server ${plan.idleMs}ms
  backlog 4096
frontend dot
  bind ${plan.address}:${plan.tlsPort} ssl crt ${plan.bothFile} alpn dot${plan.fastOpen === true ? " tfo" : ""}
${refused === undefined ? "" : `  tcp-request connection reject if { src ${refused.client} }\n`}  default_backend backends
backend backends
${servers.join("\n")}
`;
}

const stunnel: FrontProgram = {
  name: "stunnel",
  packageName: "stunnel4",
  program: "/usr/bin/stunnel4",
  hasCache: false,
  stopSignal: "SIGTERM",
  reloadSignal: "SIGHUP",
  command: (plan) => [stunnel.program, configured(plan, "stunnel.conf", stunnelConfig(plan))],
};

function stunnelConfig(plan: FrontPlan): string {
  return `foreground = yes
pid =
syslog = no
output = ${plan.folder}/stunnel.log
debug = 3
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[dot]
accept = ${plan.address}:${plan.tlsPort}
${plan.backends.map(({ address, port }) => `connect = ${address}:${port}`).join("\n")}
cert = ${plan.certificateFile}
key = ${plan.keyFile}
TIMEOUTidle = ${Math.round(plan.idleMs / 1000)}
${plan.tellsClient === true ? "protocol = proxy\n" : ""}`;
}

const dnsdist: FrontProgram = {
  name: "dnsdist",
  packageName: "dnsdist",
  program: "/usr/bin/dnsdist",
  hasCache: true,
  stopSignal: "SIGTERM",
  reloadSignal: undefined,
  command: (plan) => [
    dnsdist.program,
    "--supervised",
    "--disable-syslog",
    "-C",
    configured(plan, "dnsdist.conf", dnsdistConfig(plan)),
  ],
};

function dnsdistConfig(plan: FrontPlan): string {
  const { refused } = plan;
  const fastOpen = plan.fastOpen === true ? ", tcpFastOpenQueueSize = 64" : "";
  const listener = `tcpListenQueueSize = 4096, maxInFlight = 1000${fastOpen}`;
  const servers = plan.backends.map(({ transport, address, port, isPipelined }, i) => {
    const settings = [
      `address = '${address}:${port}'`,
      `name = 'b${i}'`,
      `checkName = '${plan.checkName}'`,
      "checkType = 'A'",
      // Its health checks, too.
      ...(transport === "tcp" ? ["tcpOnly = true"] : []),
      ...(isPipelined ? ["maxInFlight = 1000"] : []),
      ...(plan.tellsClient === true ? ["useProxyProtocol = true"] : []),
    ];
    return `newServer({ ${settings.join(", ")} })`;
  });
  const refusal = "RCodeAction(DNSRCode.REFUSED)";
  const rules = [
    ...(refused === undefined
      ? []
      : [
          `addAction(makeRule({ '${refused.name}' }), ${refusal})`,
          `addAction(makeRule('${refused.client}/32'), ${refusal})`,
        ]),
    ...(plan.blockListFile === undefined
      ? []
      : [
          "local blocked = newSuffixMatchNode()",
          `for line in io.lines('${plan.blockListFile}') do blocked:add(newDNSName(line)) end`,
          `addAction(SuffixMatchNodeRule(blocked), ${refusal})`,
        ]),
    ...(plan.hasCache === true
      ? ["getPool(''):setCache(newPacketCache(1000000, { maxTTL = 86400, numberOfShards = 1 }))"]
      : []),
  ];
  return `setLocal('${plan.address}:${plan.clearPort}', { ${listener} })
addTLSLocal('${plan.address}:${plan.tlsPort}', '${plan.certificateFile}', '${plan.keyFile}', { provider = 'openssl', ${listener} })
setACL({ '127.0.0.0/8' })
setSecurityPollSuffix('')
setMaxTCPClientThreads(1)
setMaxTCPQueriesPerConnection(0)
setMaxTCPConnectionDuration(0)
setMaxTCPConnectionsPerClient(0)
setMaxTCPQueuedConnections(20000)
setTCPRecvTimeout(${Math.round(plan.idleMs / 1000)})
setTCPSendTimeout(10)
setVerboseHealthChecks(false)
${servers.join("\n")}
${rules.join("\n")}
`;
}

const sotto: FrontProgram = {
  name: "sotto",
  packageName: undefined,
  program: process.execPath,
  hasCache: true,
  stopSignal: "SIGTERM",
  reloadSignal: "SIGHUP",
  command: (plan) => [...sottoCommand(), configured(plan, "sotto.yaml", sottoFrontConfig(plan))],
};

/** In the order of tables. */
export const FRONTS: readonly FrontProgram[] = [nginx, haproxy, stunnel, dnsdist, sotto];
