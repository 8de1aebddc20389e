/** Our server within a test, with what it has counted: what foreign programs are given to talk to. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Events } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { type RunningServer, startRecursor } from "../../packages/sotto/src/compose/index.ts";
import { loadConfig } from "../../packages/sotto/src/config/index.ts";
import { makeAuthority, spkiPin } from "../../packages/sotto/src/operations/index.ts";
import { freePort, temporaryFolder } from "./peers.ts";

export const AUTH_NAME = "dns.example";
/** Names that the server answers, `n1` to `n20` below it with 192.0.2.1 to 192.0.2.20. */
export const DOMAIN = "corp.example";
export const NAMES = Array.from({ length: 20 }, (_, i) => `n${i + 1}.${DOMAIN}`);

/** A server and the files that clients need to trust it. */
export interface OurServer {
  readonly server: RunningServer;
  readonly folder: string;
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly pin: string;
  port(transport: "udp" | "tcp" | "tls"): number;
}

/** The records as a configuration has them. */
export const LOCAL_DATA = `local-zones: { data: [${NAMES.map((name, i) => `"${name}. 300 IN A 192.0.2.${i + 1}"`).join(", ")}, "${DOMAIN}. 300 IN SOA ns.${DOMAIN}. hostmaster.${DOMAIN}. 1 3600 600 86400 300"] }`;

/** Writes a certificate for {@link AUTH_NAME} as server.pem and server.key, and its authority as ca.pem. */
export async function writeIdentity(folder: string): Promise<string> {
  const authority = await makeAuthority("interop authority", Date.now());
  const pair = await authority.issue([AUTH_NAME, "127.0.0.1"], Date.now());
  writeFileSync(join(folder, "ca.pem"), authority.certificatePem);
  writeFileSync(join(folder, "server.pem"), pair.certificatePem);
  writeFileSync(join(folder, "server.key"), pair.keyPem);
  return spkiPin(pair.certificatePem);
}

/** Starts with a configuration whose files are in `folder`, for as long as the test runs. */
export async function startServerFrom(
  context: TestContext,
  folder: string,
  text: string,
  events?: Events,
): Promise<RunningServer> {
  const loaded = loadConfig(text, join(folder, "sotto.yaml"));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const server = await startRecursor(loaded.config, nodeRuntime(events));
  context.after(() => server.close());
  return server;
}

/** Starts with all three transports on loopback; `more` is added to each listener, `settings` to the file. */
export async function startOurServer(
  context: TestContext,
  { more = "", settings = "" }: { more?: string; settings?: string } = {},
): Promise<OurServer> {
  const folder = temporaryFolder(context);
  const pin = await writeIdentity(folder);
  // UDP and TCP on one port, as forwarders expect.
  const port = await freePort();
  const server = await startServerFrom(
    context,
    folder,
    `listen:
  - { transport: udp, address: 127.0.0.1, port: ${port}${more} }
  - { transport: tcp, address: 127.0.0.1, port: ${port}${more} }
  - { transport: tls, address: 127.0.0.1, port: 0, certificate: server.pem, key: server.key${more} }
${LOCAL_DATA}
${settings}
`,
  );
  return {
    server,
    folder,
    pin,
    caFile: join(folder, "ca.pem"),
    certificateFile: join(folder, "server.pem"),
    keyFile: join(folder, "server.key"),
    port: (transport) => server.listeners.find((one) => one.transport === transport)?.local.port ?? 0,
  };
}

/** Queries and connections by transport. */
export interface Usage {
  readonly udpQueries: number;
  readonly tcpQueries: number;
  readonly tlsQueries: number;
  readonly tcpConnections: number;
  readonly tlsConnections: number;
  /** TLS connections, and attempts of them that failed. */
  readonly tlsHandshakesTried: number;
}

export function usageOf({ server }: OurServer): Usage {
  const { queries } = server.status;
  const total = (counts: Readonly<Record<string, number>>): number =>
    Object.values(counts).reduce((sum, count) => sum + count, 0);
  const counted = (transport: string, what: "accepted" | "handshakeFailures"): number => {
    const counters = server.listeners.find((one) => one.transport === transport)?.counters;
    return counters !== undefined && what in counters ? Number(Reflect.get(counters, what)) : 0;
  };
  return {
    udpQueries: total(queries.udp),
    tcpQueries: total(queries.tcp),
    tlsQueries: total(queries.tls),
    tcpConnections: counted("tcp", "accepted"),
    tlsConnections: counted("tls", "accepted"),
    tlsHandshakesTried: counted("tls", "accepted") + counted("tls", "handshakeFailures"),
  };
}
