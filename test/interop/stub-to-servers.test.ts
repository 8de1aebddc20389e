/** `sotto stub` between dig or kdig and Debian's servers: by name and by pin, from our file and from stubby.yml. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, peerTest, runCommand, runSotto, SOTTO, startPeer, temporaryFolder } from "./peers.ts";
import { startForeignServer } from "./servers.ts";

/** These forward; NSD answers behind them. */
const NEEDS_BACKEND: ReadonlySet<string> = new Set(["kresd", "dnsdist"]);

for (const name of ["unbound", "named", "kresd", "dnsdist"] as const) {
  peerTest(
    `a strict stub asks ${name} by name and by pin, keeps its connection, and says so [8310-4-b] [7766-6.2.1-a]`,
    [name, "dig", "nsd"],
    async (context) => {
      const folder = temporaryFolder(context);
      const backend = NEEDS_BACKEND.has(name) ? await startForeignServer("nsd", folder) : undefined;
      context.after(() => backend?.peer.stop());
      const server = await startForeignServer(name, folder, backend?.port);
      context.after(() => server.peer.stop());
      const port = await freePort();
      const file = join(folder, "stub.yaml");
      const socket = join(folder, "stub.sock");
      writeFileSync(
        file,
        `listen:
  - { transport: udp, address: 127.0.0.1, port: ${port} }
  - { transport: tcp, address: 127.0.0.1, port: ${port} }
stub:
  choice: round-robin
  upstreams:
    - { address: 127.0.0.1, port: ${server.tlsPort}, name: ${server.authName}, authorities: ${server.caFile} }
    - { address: 127.0.0.1, port: ${server.tlsPort}, pins: ["sha256:${server.pin}"] }
dnssec: { validation: false }
`,
      );
      const args = [...SOTTO, "stub", "--config", file, "--socket", socket];
      const stub = await startPeer(process.execPath, args, (output) => output.includes("ready"));
      context.after(() => stub.stop());
      const ask = async (...words: string[]): Promise<string> =>
        (await runCommand("dig", ["@127.0.0.1", "-p", String(port), "+time=10", "+tries=1", ...words]))
          .stdout;
      assert.match(await ask("www.interop.example", "A"), /192\.0\.2\.2/);
      assert.match(await ask("+tcp", "mail.interop.example", "MX"), /10 www\.interop\.example\./);
      assert.match(await ask("alias.interop.example", "A"), /CNAME\twww\.interop\.example\./);
      assert.match(await ask("+tcp", "big.interop.example", "TXT"), /ANSWER: 1,/);
      assert.match(await ask("nothing.interop.example", "A"), /status: NXDOMAIN/);
      const told = await runSotto(["stub", "status", "--socket", socket, "--json"]);
      const { zones } = JSON.parse(told.stdout) as {
        zones: {
          profile: string;
          upstreams: { state: string; authenticatedBy: string; reuseRatio: number }[];
        }[];
      }; // As `sotto stub status` prints it.
      const [zone] = zones;
      assert.equal(zone?.profile, "strict");
      for (const [i, means] of [`name ${server.authName}`, `pin sha256:${server.pin}`].entries()) {
        assert.equal(zone.upstreams[i]?.state, "authenticated");
        assert.equal(zone.upstreams[i]?.authenticatedBy, means);
        assert.ok((zone.upstreams[i]?.reuseRatio ?? 0) > 0, "the connection is kept");
      }
      const table = await runSotto(["stub", "status", "--socket", socket]);
      assert.match(table.stdout, /profile strict, round-robin/);
    },
  );
}

peerTest("stubby.yml unchanged makes a stub that works [8310-6.6-b]", ["unbound", "dig"], async (context) => {
  const folder = temporaryFolder(context);
  const server = await startForeignServer("unbound", folder);
  context.after(() => server.peer.stop());
  const port = await freePort();
  const file = join(folder, "stubby.yml");
  const yml = (pin: string): string => `resolution_type: GETDNS_RESOLUTION_STUB
dns_transport_list:
  - GETDNS_TRANSPORT_TLS
tls_authentication: GETDNS_AUTHENTICATION_REQUIRED
tls_query_padding_blocksize: 128
edns_client_subnet_private : 1
round_robin_upstreams: 1
idle_timeout: 10000
listen_addresses:
  - 127.0.0.1@${port}
upstream_recursive_servers:
  - address_data: 127.0.0.1
    tls_port: ${server.tlsPort}
    tls_pubkey_pinset:
      - digest: "sha256"
        value: ${pin}
`;
  const ask = async (): Promise<string> =>
    (
      await runCommand("dig", [
        "@127.0.0.1",
        "-p",
        String(port),
        "+time=10",
        "+tries=1",
        "www.interop.example",
      ])
    ).stdout;
  for (const [pin, status] of [
    [server.pin, /status: NOERROR[\s\S]*192\.0\.2\.1/],
    [`${"A".repeat(43)}=`, /status: SERVFAIL/],
  ] as const) {
    writeFileSync(file, yml(pin));
    const args = [...SOTTO, "stub", "--config", file];
    const stub = await startPeer(process.execPath, args, (output) => output.includes("ready"));
    try {
      assert.match(await ask(), status, stub.output());
    } finally {
      await stub.stop();
    }
  }
});

peerTest(
  "stubby.yml as Debian installs it is shown as our own file, and its single pins are told",
  ["stubby"],
  async () => {
    const shown = await runSotto(["show", "--effective", "--config", "/etc/stubby/stubby.yml"]);
    assert.equal(shown.code, 0, shown.stderr);
    assert.match(shown.stdout, /^ {2}profile: strict$/m);
    assert.match(shown.stdout, /^ {2}choice: round-robin$/m);
    assert.match(shown.stdout, /^ {2}idle-timeout: 10000ms$/m);
    assert.match(
      shown.stdout,
      /- address: 145\.100\.185\.15\n +transport: tls\n +name: dnsovertls\.sinodun\.com\n/,
    );
    assert.doesNotMatch(shown.stderr, /is no key of Stubby/);
    assert.match(shown.stderr, /stubby\.yml:\d+: upstream_recursive_servers\[0\]: has one pin/);
  },
);
