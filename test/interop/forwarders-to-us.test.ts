/**
 * Debian's forwarders and stub daemons ask our server: over TLS with authentication where they can, with connections kept.
 * BIND 9.18 has no TLS for forwarders (9.20 has): it asks over TCP.
 */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import {
  AUTH_NAME,
  DOMAIN,
  LOCAL_DATA,
  NAMES,
  type OurServer,
  startOurServer,
  usageOf,
  writeIdentity,
} from "./our-server.ts";
import { freePort, peerTest, runCommand, SOTTO, startPeer, temporaryFolder } from "./peers.ts";

/** Asks the foreign program for all names in turn; all must be right. */
async function askAll(port: number): Promise<void> {
  for (const [i, name] of NAMES.entries()) {
    const result = await runCommand("dig", [
      "@127.0.0.1",
      "-p",
      String(port),
      "+short",
      "+time=5",
      "+tries=1",
      name,
    ]);
    assert.equal(result.stdout.trim(), `192.0.2.${i + 1}`, `${name}: ${result.stdout}${result.stderr}`);
  }
}

async function answers(port: number): Promise<boolean> {
  const result = await runCommand("dig", [
    "@127.0.0.1",
    "-p",
    String(port),
    "+short",
    "+time=1",
    "+tries=1",
    NAMES[0] ?? "",
  ]);
  return result.stdout.trim() === "192.0.2.1";
}

/** Writes a configuration, runs the program, asks through it, and gives what our server saw. */
async function forwardThrough(
  context: TestContext,
  program: string,
  setup: (ours: OurServer, port: number, folder: string) => readonly string[],
): Promise<ReturnType<typeof usageOf>> {
  const ours = await startOurServer(context);
  const port = await freePort();
  const folder = join(ours.folder, "peer");
  mkdirSync(folder);
  const args = setup(ours, port, folder);
  const peer = await startPeer(program, args, () => answers(port), { cwd: folder });
  try {
    await askAll(port);
  } finally {
    await peer.stop();
  }
  return usageOf(ours);
}

function assertTlsOnly(usage: ReturnType<typeof usageOf>, connectionsMax: number): void {
  assert.equal(usage.udpQueries + usage.tcpQueries, 0, JSON.stringify(usage));
  assert.ok(usage.tlsQueries >= NAMES.length, JSON.stringify(usage));
  assert.ok(usage.tlsConnections <= connectionsMax, JSON.stringify(usage));
}

peerTest(
  "unbound forwards to us over authenticated TLS and keeps its connection [7858-3.4-a 8310-4-a]",
  ["unbound", "dig"],
  async (context) => {
    const usage = await forwardThrough(context, "/usr/sbin/unbound", (ours, port, folder) => {
      const file = join(folder, "unbound.conf");
      writeFileSync(
        file,
        `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  interface: 127.0.0.1@${port}
  do-not-query-localhost: no
  module-config: "iterator"
  tls-cert-bundle: "${ours.caFile}"
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-tls-upstream: yes
  forward-addr: 127.0.0.1@${ours.port("tls")}#${AUTH_NAME}
`,
      );
      return ["-d", "-p", "-c", file];
    });
    // Its first queries go out at once, each over a connection of its own.
    assertTlsOnly(usage, 5);
  },
);

peerTest("named forwards to us over TCP", ["named", "dig"], async (context) => {
  const usage = await forwardThrough(context, "/usr/sbin/named", (ours, port, folder) => {
    const file = join(folder, "named.conf");
    writeFileSync(
      file,
      `options { directory "${folder}"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory "${folder}";
  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; dnssec-validation no; empty-zones-enable no;
  forward only; forwarders port ${ours.port("tcp")} { 127.0.0.1; }; };
server 127.0.0.1 { tcp-only yes; tcp-keepalive yes; };
controls { };
`,
    );
    return ["-g", "-4", "-n", "1", "-c", file];
  });
  assert.equal(usage.udpQueries + usage.tlsQueries, 0, JSON.stringify(usage));
  assert.ok(usage.tcpQueries >= NAMES.length, JSON.stringify(usage));
});

for (const proof of ["name", "pin"] as const) {
  peerTest(
    `kresd forwards to us over TLS authenticated by ${proof} [8310-4-b]`,
    ["kresd", "dig"],
    async (context) => {
      const usage = await forwardThrough(context, "/usr/sbin/kresd", (ours, port, folder) => {
        const file = join(folder, "kresd.conf");
        const claim =
          proof === "name"
            ? `hostname = '${AUTH_NAME}', ca_file = '${ours.caFile}'`
            : `pin_sha256 = '${ours.pin}'`;
        writeFileSync(
          file,
          `net.listen('127.0.0.1', ${port}, { kind = 'dns' })
net.ipv6 = false
trust_anchors.remove('.')
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('priming')
modules.unload('detect_time_skew')
modules.unload('detect_time_jump')
cache.size = 10 * MB
policy.add(policy.all(policy.TLS_FORWARD({ { '127.0.0.1@${ours.port("tls")}', ${claim} } })))
`,
        );
        return ["-n", "-c", file, folder];
      });
      assertTlsOnly(usage, 3);
    },
  );
}

peerTest("dnsdist forwards to us over verified TLS", ["dnsdist", "dig"], async (context) => {
  const usage = await forwardThrough(context, "/usr/bin/dnsdist", (ours, port, folder) => {
    const file = join(folder, "dnsdist.conf");
    writeFileSync(
      file,
      `setLocal('127.0.0.1:${port}', { maxInFlight = 100 })
setACL({ '127.0.0.0/8' })
setSecurityPollSuffix('')
setMaxTCPClientThreads(1)
newServer({ address = '127.0.0.1:${ours.port("tls")}', tls = 'openssl', subjectName = '${AUTH_NAME}', validateCertificates = true, caStore = '${ours.caFile}', checkName = '${DOMAIN}.', checkType = 'SOA', maxInFlight = 100, sockets = 1 })
`,
    );
    return ["--supervised", "--disable-syslog", "-C", file];
  });
  // Health checks come over connections of their own.
  assertTlsOnly(usage, 4);
});

peerTest(
  "stubby, strict with a pin, asks us over TLS alone and keeps its connection [8310-6.6-b]",
  ["stubby", "dig"],
  async (context) => {
    const usage = await forwardThrough(context, "/usr/bin/stubby", (ours, port, folder) => {
      const file = join(folder, "stubby.yml");
      writeFileSync(
        file,
        `resolution_type: GETDNS_RESOLUTION_STUB
dns_transport_list: [ GETDNS_TRANSPORT_TLS ]
tls_authentication: GETDNS_AUTHENTICATION_REQUIRED
tls_query_padding_blocksize: 128
edns_client_subnet_private: 1
idle_timeout: 9000
appdata_dir: "${folder}"
listen_addresses: [ 127.0.0.1@${port} ]
upstream_recursive_servers:
  - address_data: 127.0.0.1
    tls_port: ${ours.port("tls")}
    tls_pubkey_pinset:
      - digest: "sha256"
        value: ${ours.pin}
`,
      );
      return ["-C", file];
    });
    assertTlsOnly(usage, 3);
  },
);

/** Where scripts/install-peers.sh unpacks it: installing the package would take over resolv.conf. */
const RESOLVED = "/var/lib/sotto-peers/systemd-resolved/lib/systemd/systemd-resolved";

peerTest("systemd-resolved, strict, asks us over TLS alone", ["unshare", "ip", "dig"], async (context) => {
  if (!existsSync(RESOLVED)) {
    assert.notEqual(process.env["CI"], "true", "scripts/install-peers.sh unpacks systemd-resolved");
    context.skip("no systemd-resolved: scripts/install-peers.sh unpacks it");
    return;
  }
  const folder = temporaryFolder(context);
  await writeIdentity(folder);
  // The daemon gives up root.
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, "systemd"));
  writeFileSync(
    join(folder, "systemd/resolved.conf"),
    `[Resolve]\nDNS=127.0.0.1:8853#${AUTH_NAME}\nDNSOverTLS=yes\nDNSSEC=no\nCache=no\nDomains=~.\n`,
  );
  writeFileSync(
    join(folder, "sotto.yaml"),
    `listen:\n  - { transport: tls, address: 127.0.0.1, port: 8853, certificate: server.pem, key: server.key }\n${LOCAL_DATA}\nlog: { format: json }\n`,
  );
  // A namespace of its own: a link that is up, an account for the daemon, our authority as the only trusted one.
  writeFileSync(
    join(folder, "run.sh"),
    `set -e
ip link set lo up
ip link add v0 type veth peer name v1; ip addr add 10.99.0.1/24 dev v0; ip link set v0 up; ip link set v1 up
ip route add default via 10.99.0.2
mount -t tmpfs none /run; mkdir -p /run/systemd/resolve; chown 990:990 /run/systemd/resolve
(cat /etc/passwd; echo 'systemd-resolve:x:990:990::/:/usr/sbin/nologin') > ${folder}/passwd
(cat /etc/group; echo 'systemd-resolve:x:990:') > ${folder}/group
mkdir -p /etc/systemd
mount --bind ${folder}/systemd /etc/systemd
mount --bind ${folder}/passwd /etc/passwd
mount --bind ${folder}/group /etc/group
export SSL_CERT_FILE=${folder}/ca.pem
"$@" serve --config ${folder}/sotto.yaml 2> ${folder}/sotto.log &
sotto=$!
${RESOLVED} > ${folder}/resolved.log 2>&1 &
resolved=$!
for i in $(seq 50); do
  dig +short +time=1 +tries=1 @127.0.0.53 ${NAMES[0]} | grep -q 192.0.2.1 && break
  sleep 0.1
done
for name in ${NAMES.join(" ")}; do dig +short +time=5 +tries=1 @127.0.0.53 $name; done
kill -USR2 $sotto; sleep 0.3
kill -9 $resolved; kill $sotto
wait || true
grep '"status"' ${folder}/sotto.log
`,
  );
  const command = [
    "-nm",
    "--fork",
    "--pid",
    "--kill-child",
    "--mount-proc",
    "sh",
    join(folder, "run.sh"),
    process.execPath,
    ...SOTTO,
  ];
  const run = await runCommand("unshare", command, { timeoutMs: 60_000 });
  const lines = run.stdout.trim().split("\n");
  assert.deepEqual(
    lines.slice(0, NAMES.length),
    NAMES.map((_, i) => `192.0.2.${i + 1}`),
    run.stdout + run.stderr,
  );
  const status: { queries: { tls: { answered: number } }; listeners: { counters: { accepted: number } }[] } =
    JSON.parse(lines.at(-1) ?? "");
  assert.ok(status.queries.tls.answered >= NAMES.length);
  assert.ok((status.listeners[0]?.counters.accepted ?? 99) <= 5, lines.at(-1) ?? "");
});
