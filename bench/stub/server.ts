/** The server of all clients: Debian's unbound with local data, over UDP, DoT and DoH. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";
import { freePort, type RunningPeer, runCommand, startPeer } from "../../test/interop/peers.ts";

/** What clients need to know. */
export interface ServerFacts {
  readonly port: number;
  readonly tlsPort: number;
  readonly httpsPort: number;
  readonly authorityPem: string;
  /** The same in a file, for `NODE_EXTRA_CA_CERTS`. */
  readonly authorityFile: string;
}

/** The address of every name below {@link ZONE}; clients that are given names connect to it. */
export const ADDRESS = "127.0.0.1";
export const ZONE = "bench.example";
export const SERVER_NAME = "dns.example";

/** Runs until it is stopped. */
export async function startServer(folder: string): Promise<{ facts: ServerFacts; peer: RunningPeer }> {
  const authority = await makeAuthority("CN=bench", Date.now());
  // Clients that know addresses only ask for a certificate of that address.
  const { certificatePem, keyPem } = await authority.issue(
    [SERVER_NAME, "localhost", "127.0.0.1"],
    Date.now(),
  );
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const [port, tlsPort, httpsPort] = [await freePort(), await freePort(), await freePort()];
  const { certificatePem: authorityPem } = authority;
  const facts = { port, tlsPort, httpsPort, authorityPem, authorityFile: file("ca.pem", authorityPem) };
  const pem = file("server.pem", certificatePem);
  const config = configOf(facts, folder, pem, file("server.key", keyPem));
  const args = ["-d", "-p", "-c", file("unbound.conf", config)];
  const peer = await startPeer("/usr/sbin/unbound", args, async () => {
    const { stdout } = await runCommand("kdig", [
      "@127.0.0.1",
      "-p",
      String(port),
      "+time=1",
      "+retry=0",
      `ready.${ZONE}`,
    ]);
    return stdout.includes(ADDRESS);
  });
  return { facts, peer };
}

function configOf(
  { port, tlsPort, httpsPort }: ServerFacts,
  folder: string,
  pem: string,
  key: string,
): string {
  return `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  interface: 127.0.0.1@${port}
  interface: 127.0.0.1@${tlsPort}
  interface: 127.0.0.1@${httpsPort}
  tls-port: ${tlsPort}
  https-port: ${httpsPort}
  tls-service-pem: "${pem}"
  tls-service-key: "${key}"
  incoming-num-tcp: 1000
  edns-tcp-keepalive: yes
  # Clients that do not connect again wait for their turn.
  tcp-idle-timeout: 600000
  so-rcvbuf: 0
  module-config: "iterator"
  local-zone: "${ZONE}." redirect
  local-data: "${ZONE}. 3600 IN A ${ADDRESS}"
remote-control:
  control-enable: no
`;
}
