/** Debian's clients get right answers from the playground's resolver, over UDP, TCP and TLS. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import {
  type PlaygroundFacts,
  peerTest,
  type RunningPeer,
  runCommand,
  startPlayground,
  temporaryFolder,
} from "./peers.ts";
import { ADDRESS, BIG_NAME, NAME, SLOW_NAME } from "./playground-names.ts";

async function withPlayground(
  context: TestContext,
  run: (facts: PlaygroundFacts, folder: string, peer: RunningPeer) => Promise<void>,
): Promise<void> {
  const folder = temporaryFolder(context);
  const { facts, peer } = await startPlayground(folder);
  try {
    await run(facts, folder, peer);
  } finally {
    await peer.stop();
  }
}

peerTest(
  "kdig: TLS with certificate, name, padding and one connection for several queries [7858-3.1-a 7858-3.3-a]",
  ["kdig"],
  (context) =>
    withPlayground(context, async (facts) => {
      const tls = ["+tls", `+tls-ca=${facts.caFile}`, `+tls-hostname=${facts.authName}`];
      const result = await runCommand("kdig", [
        "@127.0.0.1",
        "-p",
        String(facts.tlsPort),
        ...tls,
        "+padding",
        "+keepopen",
        NAME,
        "A",
        NAME,
        "AAAA",
        BIG_NAME,
        "TXT",
      ]);
      assert.equal(result.code, 0, result.stderr);
      assert.match(result.stdout, new RegExp(ADDRESS.replaceAll(".", "\\.")));
      assert.match(result.stdout, /PADDING/i);
      assert.match(result.stdout, /TLS session \(TLS1\.3\)/);
      assert.equal(result.stdout.match(/status: NOERROR/g)?.length, 3);
      const short = await runCommand("kdig", [
        "@127.0.0.1",
        "-p",
        String(facts.tlsPort),
        "+tls",
        `+tls-pin=${facts.pin}`,
        "+short",
        NAME,
        "A",
      ]);
      assert.equal(short.stdout.trim(), ADDRESS);
    }),
);

peerTest("kdig: UDP and TCP, and truncation leads to TCP", ["kdig"], (context) =>
  withPlayground(context, async (facts) => {
    const udp = await runCommand("kdig", ["@127.0.0.1", "-p", String(facts.port), "+short", NAME]);
    assert.equal(udp.stdout.trim(), ADDRESS);
    const big = await runCommand("kdig", ["@127.0.0.1", "-p", String(facts.port), BIG_NAME, "TXT"]);
    assert.match(big.stdout + big.stderr, /truncated/i);
    assert.match(big.stdout, /\(TCP\)/);
  }),
);

peerTest("dig: UDP, TCP with keepalive, TLS with name [7828-3.3.2-a]", ["dig"], (context) =>
  withPlayground(context, async (facts) => {
    const udp = await runCommand("dig", ["@127.0.0.1", "-p", String(facts.port), "+short", NAME]);
    assert.equal(udp.stdout.trim(), ADDRESS);
    const tcp = await runCommand("dig", [
      "@127.0.0.1",
      "-p",
      String(facts.port),
      "+tcp",
      "+keepalive",
      "+keepopen",
      NAME,
      BIG_NAME,
      "TXT",
    ]);
    assert.match(tcp.stdout, /TCP.KEEPALIVE: \d+\.\d secs/);
    assert.equal(tcp.stdout.match(/status: NOERROR/g)?.length, 2);
    const tls = await runCommand("dig", [
      "@127.0.0.1",
      "-p",
      String(facts.tlsPort),
      "+tls",
      `+tls-ca=${facts.caFile}`,
      `+tls-hostname=${facts.authName}`,
      NAME,
    ]);
    assert.match(tls.stdout, /status: NOERROR/, tls.stdout + tls.stderr);
    assert.match(tls.stdout, /\(TLS\)/);
  }),
);

peerTest("drill: UDP and TCP", ["drill"], (context) =>
  withPlayground(context, async (facts) => {
    for (const flags of [[], ["-t"]]) {
      const result = await runCommand("drill", [...flags, "-p", String(facts.port), NAME, "@127.0.0.1", "A"]);
      assert.match(result.stdout, /rcode: NOERROR/);
      assert.ok(result.stdout.includes(ADDRESS));
    }
  }),
);

peerTest("getdns_query: UDP, TCP and TLS as a stub", ["getdns_query"], (context) =>
  withPlayground(context, async (facts) => {
    for (const [flag, server] of [
      ["-U", `127.0.0.1@${facts.port}`],
      ["-T", `127.0.0.1@${facts.port}`],
      ["-L", `127.0.0.1#${facts.tlsPort}`],
    ] as const) {
      const result = await runCommand("getdns_query", [
        "-s",
        "-A",
        NAME,
        `@${server.includes("#") ? `127.0.0.1#${facts.tlsPort}~${facts.authName}` : server}`,
        flag,
      ]);
      assert.ok(
        result.stdout.includes(ADDRESS) || result.stdout.includes("GETDNS_RESPSTATUS_GOOD"),
        `${flag}: ${result.stdout.slice(0, 400)} ${result.stderr}`,
      );
    }
  }),
);

peerTest(
  "openssl s_client: TLS 1.2 and 1.3 with ALPN dot, nothing older, nothing compressed [8310-9-a 8310-9-b 7830-6-b dot-alpn-a]",
  ["openssl"],
  (context) =>
    withPlayground(context, async (facts) => {
      const connect = [
        "s_client",
        "-connect",
        `127.0.0.1:${facts.tlsPort}`,
        "-CAfile",
        facts.caFile,
        "-verify_return_error",
        "-verify_hostname",
        facts.authName,
      ];
      for (const version of ["-tls1_2", "-tls1_3"]) {
        const result = await runCommand("openssl", [...connect, version, "-alpn", "dot"]);
        assert.match(result.stdout, /Verification: OK|Verify return code: 0/, version);
        assert.match(result.stdout, /ALPN protocol: dot/, version);
        assert.match(result.stdout, /Compression: NONE/, version);
      }
      const old = await runCommand("openssl", [...connect, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
      assert.match(old.stdout, /no peer certificate available/);
      assert.match(old.stdout + old.stderr, /alert|no protocols available|unsupported protocol/);
      const other = await runCommand("openssl", [...connect, "-alpn", "h2"]);
      assert.match(other.stdout + other.stderr, /no application protocol|alert/);
    }),
);

peerTest("dnsperf: a short load over UDP, TCP and TLS loses no query", ["dnsperf"], (context) =>
  withPlayground(context, async (facts, folder) => {
    const data = join(folder, "queries");
    writeFileSync(data, `${NAME} A\n${NAME} AAAA\n${NAME} MX\n${SLOW_NAME} A\n`);
    for (const [mode, port] of [
      ["udp", facts.port],
      ["tcp", facts.port],
      ["dot", facts.tlsPort],
    ] as const) {
      const result = await runCommand("dnsperf", [
        "-s",
        "127.0.0.1",
        "-p",
        String(port),
        "-m",
        mode,
        "-d",
        data,
        "-c",
        "4",
        "-n",
        "1000",
        "-q",
        "40",
        "-e",
      ]);
      assert.match(result.stdout, /Queries sent: +4000/, mode + result.stdout + result.stderr);
      assert.match(result.stdout, /Queries completed: +4000/, mode + result.stdout);
    }
  }),
);
