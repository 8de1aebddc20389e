/** What the front ends stand before: Debian's unbound, and our poor servers. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { canConnect } from "../../bench/peers/can-connect.ts";
import { PinnedProcess } from "../../bench/peers/processes.ts";
import type { BackendAddress } from "./front-programs.ts";
import { PoorBackend, type Poverty, type SeenQuery } from "./poor-backend.ts";

export type BackendKind = "unbound" | Poverty;

export const BACKENDS: Readonly<Record<BackendKind, string>> = {
  unbound: "Debian's unbound: pipelining, answers out of order, keepalive, padding of its own TLS, PROXY v2",
  serial: "poor, serial: TCP in order only, no keepalive, no padding",
  single: "poor, single: one query by TCP connection, no keepalive, no padding",
  udp: "poor, udp: no TCP at all, no keepalive, no padding",
};

/** A name that all answer at once, and the zone of delayed ones. */
export const FAST_NAME = "www.corp.example.";
export const SLOW_ZONE = "slow.example.";

/** A running backend. */
export interface GapBackend {
  readonly kind: BackendKind;
  readonly address: BackendAddress;
  /** Where it believes PROXY headers. */
  readonly proxyAddress: BackendAddress;
  /** What it says of the client that asked for a name, a sentence; undefined: it saw no such query. */
  clientOf(name: string): string | undefined;
  close(): Promise<void>;
}

const ADDRESS = "127.0.0.1";
const PORT = 15_400;
const PROXY_PORT = 15_401;
const SLOW_PORT = 15_402;

export async function openBackend(kind: BackendKind, folder: string, idleMs: number): Promise<GapBackend> {
  return kind === "unbound" ? openUnbound(folder, idleMs) : openPoor(kind, idleMs);
}

async function openPoor(poverty: Poverty, idleMs: number): Promise<GapBackend> {
  const backend = await PoorBackend.open({ poverty, address: ADDRESS, port: PORT, idleMs });
  const transport = poverty === "udp" ? "udp" : "tcp";
  const address = { transport, address: ADDRESS, port: PORT, isPipelined: false } as const;
  return {
    kind: poverty,
    address,
    // It strips such headers, whatever port.
    proxyAddress: address,
    clientOf: (name) => {
      const query = backend.seen.find((one) => one.name === name);
      return query === undefined ? undefined : clientText(query);
    },
    close: () => backend.close(),
  };
}

function clientText({ proxy, clientSubnet }: SeenQuery): string {
  if (proxy !== undefined) return `PROXY v${proxy.version} header names ${proxy.client}`;
  return clientSubnet === undefined ? "nothing but the front end" : `client subnet option ${clientSubnet}`;
}

async function openUnbound(folder: string, idleMs: number): Promise<GapBackend> {
  const slow = await PoorBackend.open({ poverty: "udp", address: ADDRESS, port: SLOW_PORT, idleMs });
  const own = join(folder, "unbound");
  mkdirSync(own, { recursive: true });
  const log = join(own, "unbound.log");
  writeFileSync(join(own, "unbound.conf"), unboundConfig(own, log, idleMs));
  const command = ["/usr/sbin/unbound", "-d", "-p", "-c", join(own, "unbound.conf")];
  const running = PinnedProcess.start({ name: "unbound", command, cores: "0,1", folder: own });
  await running.becomeReady(() => canConnect({ address: ADDRESS, port: PORT }));
  const address = { transport: "tcp", address: ADDRESS, port: PORT, isPipelined: true } as const;
  return {
    kind: "unbound",
    address,
    proxyAddress: { ...address, port: PROXY_PORT },
    clientOf: (name) => {
      const line = readFileSync(log, "utf8")
        .split("\n")
        .find((one) => one.includes(` ${name} `));
      const client = /info: (\S+) /.exec(line ?? "")?.[1];
      return client === undefined ? undefined : `its log of queries names ${client}`;
    },
    close: async () => {
      await running.stop();
      await slow.close();
    },
  };
}

function unboundConfig(folder: string, log: string, idleMs: number): string {
  return `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  logfile: "${log}"
  log-queries: yes
  num-threads: 1
  interface: ${ADDRESS}@${PORT}
  interface: ${ADDRESS}@${PROXY_PORT}
  proxy-protocol-port: ${PROXY_PORT}
  incoming-num-tcp: 400
  tcp-idle-timeout: ${idleMs}
  edns-tcp-keepalive: yes
  edns-tcp-keepalive-timeout: ${idleMs}
  module-config: "iterator"
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-ip6: no
  qname-minimisation: no
  local-zone: "corp.example." transparent
  local-data: "${FAST_NAME} 300 IN A 192.0.2.80"
  local-data: "a-much-longer-name-than-the-others.corp.example. 300 IN A 192.0.2.80"
  local-data: "other.corp.example. 300 IN A 192.0.2.80"
  local-data: "blocked.corp.example. 300 IN A 192.0.2.80"
remote-control:
  control-enable: no
stub-zone:
  name: "${SLOW_ZONE}"
  stub-addr: ${ADDRESS}@${SLOW_PORT}
`;
}
