/**
 * Debian's stub clients ask our server over TLS: one connection for all, queries not waiting for each other, padding and
 * keepalive both ways, nothing asked when authentication fails. A tap between them shows the messages.
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { AUTH_NAME, NAMES, type OurServer, startOurServer, usageOf } from "./our-server.ts";
import { type CommandResult, freePort, peerTest, type RunningPeer, runCommand, startPeer } from "./peers.ts";
import { keepaliveOf, paddingOptions, startTlsTap, type TappedConnection, type TlsTap } from "./tls-tap.ts";

/** RFC 8467 §4.1: what queries and replies are padded to. */
const QUERY_BLOCK_OCTETS = 128;
const REPLY_BLOCK_OCTETS = 468;
const SIX = NAMES.slice(0, 6);
const WRONG_PIN = `${"A".repeat(43)}=`;

const toServer = (port: number): string[] => ["@127.0.0.1", "-p", String(port)];

async function startTapped(context: TestContext, settings = ""): Promise<{ ours: OurServer; tap: TlsTap }> {
  const ours = await startOurServer(context, { settings });
  return { ours, tap: await startTlsTap(context, ours) };
}

/** All in one connection, each question answered once on it, with the id it was asked with. */
function onlyConnection(tap: TlsTap, queries: number): TappedConnection {
  const [connection] = tap.connections;
  assert.equal(tap.connections.length, 1, "one connection for all queries");
  assert.ok(connection !== undefined);
  const keys = (isResponse: boolean): string[] =>
    connection.messages
      .filter((one) => one.isResponse === isResponse)
      .map(({ message }) => `${message.id} ${message.questions[0]?.name} ${message.questions[0]?.type}`)
      .sort();
  assert.equal(keys(false).length, queries);
  assert.deepEqual(keys(true), keys(false));
  return connection;
}

/** Every message carries one padding option and ends at its block. */
function assertPadded({ messages }: TappedConnection): void {
  for (const one of messages) {
    const block = one.isResponse ? REPLY_BLOCK_OCTETS : QUERY_BLOCK_OCTETS;
    const what = `${one.isResponse ? "reply" : "query"} of ${one.octets} octets`;
    assert.equal(paddingOptions(one), 1, what);
    assert.equal(one.octets % block, 0, what);
  }
}

peerTest(
  "kdig asks six names on one connection and every reply is padded to 468 [8467-4.1-b 7830-4-b 7766-5-d]",
  ["kdig"],
  async (context) => {
    const { tap, ours } = await startTapped(context);
    const tls = ["+tls", `+tls-ca=${ours.caFile}`, `+tls-hostname=${AUTH_NAME}`, `+tls-pin=${ours.pin}`];
    const { stdout, code } = await runCommand("kdig", [
      ...toServer(tap.port),
      ...tls,
      "+keepopen",
      `+alignment=${QUERY_BLOCK_OCTETS}`,
      "+short",
      ...SIX,
    ]);
    assert.equal(code, 0);
    assert.deepEqual(
      stdout.trim().split("\n"),
      SIX.map((_, i) => `192.0.2.${i + 1}`),
    );
    assertPadded(onlyConnection(tap, SIX.length));
  },
);

peerTest(
  "kdig: a query without EDNS is answered without it, so without keepalive and padding [7828-3.4-b 7830-4-d]",
  ["kdig"],
  async (context) => {
    const { tap } = await startTapped(context);
    await runCommand("kdig", [...toServer(tap.port), "+tls", "+noedns", "+nopadding", NAMES[0] ?? ""]);
    const [query, reply] = onlyConnection(tap, 1).messages;
    assert.equal(query?.message.edns, undefined);
    assert.equal(reply?.message.edns, undefined);
  },
);

peerTest("kdig asks nothing when name, authority or pin are not ours", ["kdig"], async (context) => {
  const ours = await startOurServer(context);
  const other = await startOurServer(context);
  for (const claim of [
    [`+tls-ca=${ours.caFile}`, "+tls-hostname=other.example"],
    [`+tls-ca=${other.caFile}`, `+tls-hostname=${AUTH_NAME}`],
    [`+tls-pin=${WRONG_PIN}`],
  ]) {
    const how = ["-d", "+tls", "+retry=0", "+time=2", ...claim];
    const { stdout } = await runCommand("kdig", [...how, ...toServer(ours.port("tls")), NAMES[0] ?? ""]);
    assert.ok(stdout.includes(`SHA-256 PIN: ${ours.pin}`), "it was our certificate that was rejected");
    assert.doesNotMatch(stdout, /192\.0\.2\./, claim.join(" "));
  }
  assert.equal(usageOf(ours).tlsQueries, 0);
  // kdig ends without an alert: the handshake is over at once, not when its timeout has passed.
  const startMs = performance.now();
  while (usageOf(ours).tlsHandshakesTried < 3 && performance.now() - startMs < 2000) await setImmediate();
  assert.equal(usageOf(ours).tlsHandshakesTried, 3);
});

peerTest(
  "dig asks over TLS with +keepopen, +keepalive and +padding: one connection, the real timer, padded replies [7828-3.3.2-b 8467-4.1-b]",
  ["dig"],
  async (context) => {
    const { tap, ours } = await startTapped(context, "limits: { idle-timeout: 6s }");
    const tls = ["+tls", `+tls-ca=${ours.caFile}`, `+tls-hostname=${AUTH_NAME}`];
    const { stdout } = await runCommand("dig", [
      ...toServer(tap.port),
      ...tls,
      "+keepopen",
      "+keepalive",
      `+padding=${QUERY_BLOCK_OCTETS}`,
      ...SIX,
    ]);
    assert.equal(stdout.match(/status: NOERROR/g)?.length, SIX.length, stdout);
    const connection = onlyConnection(tap, SIX.length);
    assertPadded(connection);
    for (const one of connection.messages) assert.equal(keepaliveOf(one), one.isResponse ? 6000 : "empty");
  },
);

/** Asks for the names in turn, or all at once with `-a -B`; strictly, over TLS only. */
function getdnsQuery(
  ours: OurServer,
  port: number,
  pin: string,
  how: readonly string[] = [],
): Promise<CommandResult> {
  const file = join(ours.folder, "names");
  writeFileSync(file, NAMES.map((name) => `${name} A\n`).join(""));
  const mode = ["-s", "-L", "-m", "-e", "1000", "-t", "8000", "-P", String(QUERY_BLOCK_OCTETS)];
  const server = [`@127.0.0.1#${port}~${AUTH_NAME}`, "-K", `pin-sha256="${pin}"`];
  return runCommand("getdns_query", [...mode, ...how, "-j", "-F", file, ...server], {
    env: { ...process.env, SSL_CERT_FILE: ours.caFile },
  });
}

peerTest(
  "getdns_query, strict with name and pin, gets all its answers on one connection, padded and with keepalive [7766-5-d 7828-3.3.2-b 8467-4.1-b]",
  ["getdns_query"],
  async (context) => {
    const { tap, ours } = await startTapped(context, "limits: { idle-timeout: 7s }");
    const { stdout } = await getdnsQuery(ours, tap.port, ours.pin);
    const addresses = stdout.match(/(?<="just_address_answers":\[\{"address_data":")[\d.]+/g);
    assert.deepEqual(
      addresses,
      NAMES.map((_, i) => `192.0.2.${i + 1}`),
    );
    const connection = onlyConnection(tap, NAMES.length);
    assertPadded(connection);
    const [query, reply] = connection.messages;
    assert.equal(query === undefined ? "none" : keepaliveOf(query), "empty");
    assert.equal(reply === undefined ? "none" : keepaliveOf(reply), 7000);
  },
);

/** What getdns_query -j printed as addresses, in the order of names. */
function getdnsAddresses({ stdout }: CommandResult): string[] {
  return [...(stdout.match(/(?<="just_address_answers":\[\{"address_data":")[\d.]+/g) ?? [])].sort();
}

peerTest(
  "getdns_query, which takes one reply per TLS record, gets all it asks without waiting [7766-6.2.1.1-e 7858-3.3-b]",
  ["getdns_query"],
  async (context) => {
    const { tap, ours } = await startTapped(context);
    // Without the tap, which has writes of its own; then with it, to see that the queries were under way together.
    const batch = await getdnsQuery(ours, ours.port("tls"), ours.pin, ["-a", "-B"]);
    assert.deepEqual(getdnsAddresses(batch), NAMES.map((_, i) => `192.0.2.${i + 1}`).sort());
    assert.equal(usageOf(ours).tlsConnections, 1);
    await getdnsQuery(ours, tap.port, ours.pin, ["-a", "-B", "-t", "1000"]);
    let waiting = 0;
    const mostWaiting = (tap.connections[0]?.messages ?? []).reduce((most, { isResponse }) => {
      waiting += isResponse ? -1 : 1;
      return Math.max(most, waiting);
    }, 0);
    assert.ok(mostWaiting > 1, `${mostWaiting} queries were under way at once`);
  },
);

peerTest(
  "getdns_query, strict, asks nothing of a server with another pin",
  ["getdns_query"],
  async (context) => {
    const ours = await startOurServer(context);
    await getdnsQuery(ours, ours.port("tls"), WRONG_PIN);
    const usage = usageOf(ours);
    assert.equal(usage.tlsQueries + usage.tcpQueries + usage.udpQueries, 0);
    assert.ok(usage.tlsHandshakesTried >= 1);
  },
);

/** A strict stubby whose own idle timeout is 9 s. */
async function startStubby(ours: OurServer, upstreamPort: number, port: number): Promise<RunningPeer> {
  const folder = join(ours.folder, "stubby");
  mkdirSync(folder);
  const file = join(folder, "stubby.yml");
  writeFileSync(
    file,
    `resolution_type: GETDNS_RESOLUTION_STUB
dns_transport_list: [ GETDNS_TRANSPORT_TLS ]
tls_authentication: GETDNS_AUTHENTICATION_REQUIRED
tls_query_padding_blocksize: ${QUERY_BLOCK_OCTETS}
idle_timeout: 9000
appdata_dir: "${folder}"
listen_addresses: [ 127.0.0.1@${port} ]
upstream_recursive_servers:
  - address_data: 127.0.0.1
    tls_port: ${upstreamPort}
    tls_pubkey_pinset:
      - digest: "sha256"
        value: ${ours.pin}
`,
  );
  return startPeer("/usr/bin/stubby", ["-C", file], (output) => output.includes("DAEMON"));
}

peerTest(
  "stubby keeps one connection, closes it when the keepalive that we told has passed, not its own 9 s, and pads [7828-3.3.2-b 8467-4.1-b]",
  ["stubby", "dig"],
  async (context) => {
    const ours = await startOurServer(context, { settings: "limits: { idle-timeout: 2s }" });
    const tap = await startTlsTap(context, ours, { hidesServerEnd: true });
    const port = await freePort();
    const stubby = await startStubby(ours, tap.port, port);
    try {
      for (const [i, name] of SIX.entries()) {
        const { stdout } = await runCommand("dig", [...toServer(port), "+short", "+tries=1", name]);
        assert.equal(stdout.trim(), `192.0.2.${i + 1}`);
      }
      const connection = onlyConnection(tap, SIX.length);
      assertPadded(connection);
      for (const one of connection.messages.filter(({ isResponse }) => isResponse))
        assert.equal(keepaliveOf(one), 2000);
      const lastMs = connection.messages.at(-1)?.atMs ?? 0;
      // Both by their own timers: ours is the one that we promised.
      assertNear((await connection.serverEndedMs) - lastMs, 2000, "our end");
      assertNear((await connection.clientEndedMs) - lastMs, 2000, "its end");
    } finally {
      await stubby.stop();
    }
  },
);

/** Within half a second, for a machine that is busy with other things. */
function assertNear(ms: number, wantedMs: number, what: string): void {
  assert.ok(Math.abs(ms - wantedMs) <= 500, `${what} came after ${ms} ms, not ${wantedMs}`);
}
