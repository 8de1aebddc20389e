/** Debian's servers, each serving the same small zone over UDP, TCP and TLS on loopback, for our client to ask. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeAuthority, spkiPin } from "../../packages/sotto/src/operations/index.ts";
import { freePort, type RunningPeer, runSotto, startPeer } from "./peers.ts";

/** A foreign server that answers for {@link ZONE}. */
export interface ForeignServer {
  readonly port: number;
  readonly tlsPort: number;
  readonly caFile: string;
  readonly authName: string;
  readonly pin: string;
  readonly peer: RunningPeer;
}

const AUTH_NAME = "server.example";

/** The zone all of them serve; `www` has two addresses, `big` does not fit a datagram. */
export const ZONE = `$ORIGIN interop.example.
$TTL 300
@ IN SOA ns hostmaster 1 3600 600 86400 300
@ IN NS ns
ns IN A 192.0.2.53
www IN A 192.0.2.1
www IN A 192.0.2.2
alias IN CNAME www
mail IN MX 10 www
big IN TXT ${Array.from({ length: 20 }, (_, i) => `"${String(i).padStart(200, "x")}"`).join(" ")}
`;

interface Files {
  readonly folder: string;
  readonly zone: string;
  readonly certificate: string;
  readonly key: string;
}

/** Writes configuration for ports and files and gives the command that runs in the foreground. */
type Setup = (
  files: Files,
  port: number,
  tlsPort: number,
  backend: number,
) => readonly [program: string, ...args: string[]];

/** Names that a server of tests answers, as slowly as they say. */
const FORWARD_TEST = `server:
  do-not-query-localhost: no
  local-zone: "test." nodefault
forward-zone:
  name: "test."
  forward-addr: 127.0.0.1@PORT
`;

const unbound: Setup = ({ folder, zone, certificate, key }, port, tlsPort, backend) => {
  const file = join(folder, "unbound.conf");
  writeFileSync(
    file,
    `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  interface: 127.0.0.1@${port}
  interface: 127.0.0.1@${tlsPort}
  tls-port: ${tlsPort}
  tls-service-key: "${key}"
  tls-service-pem: "${certificate}"
  edns-tcp-keepalive: yes
  edns-tcp-keepalive-timeout: 30000
  module-config: "iterator"
remote-control:
  control-enable: no
auth-zone:
  name: "interop.example."
  zonefile: "${zone}"
  for-downstream: yes
  for-upstream: no
${backend === 0 ? "" : FORWARD_TEST.replace("PORT", String(backend))}`,
  );
  return ["/usr/sbin/unbound", "-d", "-p", "-c", file];
};

const named: Setup = ({ folder, zone, certificate, key }, port, tlsPort) => {
  const file = join(folder, "named.conf");
  writeFileSync(
    file,
    `options { directory "${folder}"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory "${folder}";
  listen-on port ${port} { 127.0.0.1; }; listen-on port ${tlsPort} tls local { 127.0.0.1; }; listen-on-v6 { none; };
  recursion no; dnssec-validation no; tcp-keepalive-timeout 300; tcp-advertised-timeout 300; };
tls local { cert-file "${certificate}"; key-file "${key}"; };
controls { };
zone "interop.example" { type primary; file "${zone}"; };
`,
  );
  return ["/usr/sbin/named", "-g", "-4", "-n", "1", "-c", file];
};

const nsd: Setup = ({ folder, zone, certificate, key }, port, tlsPort) => {
  const file = join(folder, "nsd.conf");
  writeFileSync(
    file,
    `server:
  server-count: 1
  ip-address: 127.0.0.1@${port}
  ip-address: 127.0.0.1@${tlsPort}
  tls-service-key: "${key}"
  tls-service-pem: "${certificate}"
  tls-port: ${tlsPort}
  username: ""
  chroot: ""
  zonesdir: "${folder}"
  database: ""
  pidfile: "${folder}/nsd.pid"
  xfrdfile: "${folder}/xfrd.state"
  zonelistfile: "${folder}/zone.list"
  xfrdir: "${folder}"
remote-control:
  control-enable: no
zone:
  name: interop.example
  zonefile: "${zone}"
`,
  );
  return ["/usr/sbin/nsd", "-d", "-c", file];
};

const kresd: Setup = ({ folder, certificate, key }, port, tlsPort, backend) => {
  const file = join(folder, "kresd.conf");
  mkdirSync(join(folder, "kresd"));
  writeFileSync(
    file,
    `net.listen('127.0.0.1', ${port}, { kind = 'dns' })
net.listen('127.0.0.1', ${tlsPort}, { kind = 'tls' })
net.tls('${certificate}', '${key}')
net.ipv6 = false
trust_anchors.remove('.')
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('priming')
modules.unload('detect_time_skew')
modules.unload('detect_time_jump')
cache.size = 10 * MB
policy.add(policy.suffix(policy.STUB({ '127.0.0.1@${backend}' }), policy.todnames({ 'interop.example.' })))
`,
  );
  return ["/usr/sbin/kresd", "-n", "-c", file, join(folder, "kresd")];
};

const dnsdist: Setup = ({ folder, certificate, key }, port, tlsPort, backend) => {
  const file = join(folder, "dnsdist.conf");
  writeFileSync(
    file,
    `setLocal('127.0.0.1:${port}', { maxInFlight = 100 })
addTLSLocal('127.0.0.1:${tlsPort}', '${certificate}', '${key}', { provider = 'openssl', maxInFlight = 100 })
setACL({ '127.0.0.0/8' })
setSecurityPollSuffix('')
newServer({ address = '127.0.0.1:${backend}', checkName = 'interop.example.', checkType = 'SOA', maxInFlight = 100 })
`,
  );
  return ["/usr/bin/dnsdist", "--supervised", "--disable-syslog", "-C", file];
};

/** Programs by name; kresd and dnsdist ask the server given to {@link startForeignServer}, unbound for names below test. */
export const FOREIGN_SERVERS = { unbound, named, nsd, kresd, dnsdist } as const;

/** Starts one, and waits until it answers over UDP. */
export async function startForeignServer(
  name: keyof typeof FOREIGN_SERVERS,
  folder: string,
  backendPort = 0,
): Promise<ForeignServer> {
  const wallMs = Date.now();
  const authority = await makeAuthority("interop authority", wallMs);
  const pair = await authority.issue([AUTH_NAME, "127.0.0.1"], wallMs);
  const own = join(folder, name);
  mkdirSync(own);
  const files: Files = {
    folder: own,
    zone: join(own, "interop.zone"),
    certificate: join(own, "cert.pem"),
    key: join(own, "key.pem"),
  };
  const caFile = join(own, "ca.pem");
  writeFileSync(files.zone, ZONE);
  writeFileSync(files.certificate, pair.certificatePem);
  writeFileSync(files.key, pair.keyPem);
  writeFileSync(caFile, authority.certificatePem);
  const port = await freePort();
  const tlsPort = await freePort();
  const [program, ...args] = FOREIGN_SERVERS[name](files, port, tlsPort, backendPort);
  const peer = await startPeer(program, args, async () => {
    const result = await runSotto(
      ["@127.0.0.1", "-p", String(port), "+short", "+time=1", "+tries=1", "www.interop.example"].toSpliced(
        0,
        0,
        "query",
      ),
    );
    return result.stdout.includes("192.0.2.1");
  });
  return { port, tlsPort, caFile, authName: AUTH_NAME, pin: spkiPin(pair.certificatePem), peer };
}
