/** What our listeners can do, seen by Debian's clients: client certificates, cookies, resumption, honest keepalive. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeAuthority } from "../../packages/sotto/src/operations/index.ts";
import { AUTH_NAME, LOCAL_DATA, startOurServer, startServerFrom, writeIdentity } from "./our-server.ts";
import { peerTest, runCommand, temporaryFolder } from "./peers.ts";

const NAME = "n1.corp.example";

peerTest(
  "kdig with a client certificate is let in, without one it is refused [9210-4.1-c]",
  ["kdig"],
  async (context) => {
    const folder = temporaryFolder(context);
    await writeIdentity(folder);
    const authority = await makeAuthority("clients", Date.now());
    const client = await authority.issue(["client.example"], Date.now(), "client");
    writeFileSync(join(folder, "clients.pem"), authority.certificatePem);
    writeFileSync(join(folder, "client.pem"), client.certificatePem);
    writeFileSync(join(folder, "client.key"), client.keyPem);
    const server = await startServerFrom(
      context,
      folder,
      `listen:
  - transport: tls
    address: 127.0.0.1
    port: 0
    certificate: server.pem
    key: server.key
    client-certificates: { authorities: clients.pem, names: [client.example] }
${LOCAL_DATA}
`,
    );
    const port = String(server.listeners[0]?.local.port);
    const kdig = async (...args: readonly string[]): Promise<string> =>
      (await runCommand("kdig", ["@127.0.0.1", "-p", port, "+tls", "+retry=0", ...args, NAME])).stdout;
    const pair = [
      `+tls-certfile=${join(folder, "client.pem")}`,
      `+tls-keyfile=${join(folder, "client.key")}`,
    ];
    assert.match(await kdig(...pair), /status: NOERROR[\s\S]*192\.0\.2\.1\b/);
    assert.match(await kdig(), /status: REFUSED/);
  },
);

peerTest(
  "dig gets a server cookie and, where one is required over UDP, comes back with it [7873-5.2.3-a 9018-4-a]",
  ["dig"],
  async (context) => {
    const offering = await startOurServer(context);
    const requiring = await startOurServer(context, { settings: "cookies: { policy: require-over-udp }" });
    for (const [ours, retries] of [
      [offering, 0],
      [requiring, 1],
    ] as const) {
      const { stdout } = await runCommand("dig", [
        "@127.0.0.1",
        "-p",
        String(ours.port("udp")),
        "+cookie",
        NAME,
      ]);
      assert.match(stdout, /COOKIE: [0-9a-f]{48} \(good\)/);
      assert.match(stdout, /status: NOERROR/);
      assert.equal(stdout.match(/BADCOOKIE, retrying/g)?.length ?? 0, retries);
    }
  },
);

peerTest("openssl resumes its session [7858-3.4-f]", ["openssl"], async (context) => {
  const ours = await startOurServer(context);
  const session = join(ours.folder, "session.pem");
  const connect = async (...args: readonly string[]): Promise<string> => {
    const common = [
      "s_client",
      "-connect",
      `127.0.0.1:${ours.port("tls")}`,
      "-alpn",
      "dot",
      "-CAfile",
      ours.caFile,
    ];
    // Tickets come after the handshake: the connection stays open for a moment.
    const input = [
      "-c",
      `(sleep 0.3) | exec "$0" "$@"`,
      "openssl",
      ...common,
      "-verify_hostname",
      AUTH_NAME,
      ...args,
    ];
    return (await runCommand("sh", input)).stdout;
  };
  assert.match(await connect("-sess_out", session), /Verification: OK[\s\S]*ALPN protocol: dot/);
  assert.match(await connect("-sess_in", session), /^Reused, TLSv1\.3/m);
});

peerTest(
  "a handshake that openssl refuses is told with its alert, its address and the stage",
  ["openssl"],
  async (context) => {
    const folder = temporaryFolder(context);
    await writeIdentity(folder);
    const told: Readonly<Record<string, unknown>>[] = [];
    const server = await startServerFrom(
      context,
      folder,
      "listen: [{ transport: tls, address: 127.0.0.1, port: 0, certificate: server.pem, key: server.key }]",
      {
        wants: () => true,
        publish: (name, details) => void (name === "stream.handshake-failed" && told.push(details)),
      },
    );
    const target = `127.0.0.1:${server.listeners[0]?.local.port}`;
    for (const [version, alert] of [
      ["-tls1_2", /alert "?.*unknown ca/],
      ["-tls1_3", /alert "?.*unknown ca/],
    ] as const) {
      await runCommand("openssl", ["s_client", "-connect", target, version, "-verify_return_error"]);
      const last = told.at(-1);
      assert.match(String(last?.["problem"]), alert, version);
      assert.equal(last?.["remote"], "127.0.0.1");
      assert.equal(last?.["stage"], "handshake");
    }
    assert.equal(told.length, 2);
  },
);

peerTest("openssl cannot renegotiate [7858-3.2-a]", ["openssl"], async (context) => {
  const ours = await startOurServer(context);
  const script = '(sleep 0.5; echo R; sleep 0.7) | "$0" "$@" 2>&1';
  const target = ["s_client", "-connect", `127.0.0.1:${ours.port("tls")}`, "-CAfile", ours.caFile, "-tls1_2"];
  const { stdout, stderr } = await runCommand("sh", ["-c", script, "openssl", ...target]);
  assert.match(stdout, /RENEGOTIATING/);
  assert.match(stdout + stderr, /no renegotiation/i);
});

peerTest(
  "dig +keepalive is told the idle timeout that is configured [7828-3.3.2-b]",
  ["dig"],
  async (context) => {
    const ours = await startOurServer(context, { settings: "limits: { idle-timeout: 4200ms }" });
    for (const [transport, args] of [
      ["tcp", ["+tcp"]],
      ["tls", ["+tls"]],
    ] as const) {
      const port = String(ours.port(transport));
      const { stdout } = await runCommand("dig", ["@127.0.0.1", "-p", port, ...args, "+keepalive", NAME]);
      assert.match(stdout, /TCP.KEEPALIVE: 4\.2 secs/, transport);
    }
    const { stdout } = await runCommand("dig", [
      "@127.0.0.1",
      "-p",
      String(ours.port("udp")),
      "+keepalive",
      NAME,
    ]);
    assert.doesNotMatch(stdout, /KEEPALIVE: \d/, "never over UDP");
  },
);
