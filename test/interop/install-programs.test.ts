/**
 * After one `install()` line everything in a process finds names over TLS, and after a failure nothing finds them otherwise: what
 * tshark captures in a namespace, and what unbound was asked, are the assertions.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { peerTest, runCommand, temporaryFolder } from "./peers.ts";

const SCENARIO = join(import.meta.dirname, "install-programs-scenario.ts");
const PEERS = ["unshare", "ip", "tshark", "unbound", "redis-server", "curl"];

interface Cause {
  readonly code?: string;
  readonly stage?: string;
  readonly message: string;
}

type Outcomes = Readonly<Record<string, { readonly text?: string; readonly problem?: readonly Cause[] }>>;

interface Curl {
  readonly clear: string;
  readonly tunnel: string;
  readonly refused: string;
}

interface Result {
  /** With the server's name, and with one that is not in its certificate. */
  readonly right: { readonly programs: Outcomes; readonly curl: Curl };
  readonly wrong: { readonly programs: Outcomes; readonly curl: Curl };
  /** A program without the line. */
  readonly without: Outcomes;
  /** Questions that the system's resolver got from programs with the line. */
  readonly asked: number;
  /** What unbound was asked, over TLS. */
  readonly names: readonly string[];
  readonly packets: number;
  /** Packets to or with DNS in clear. */
  readonly inClear: readonly string[];
}

peerTest(
  "one install() line takes fetch, undici, http, http2, net, tls, dgram, redis and curl through a proxy to TLS [8310-6.6-c]",
  PEERS,
  async (context) => {
    const folder = temporaryFolder(context);
    writeFileSync(join(folder, "hosts"), "127.0.0.1 localhost\n");
    writeFileSync(join(folder, "resolv.conf"), "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n");
    const command = [
      "ip link set lo up",
      'mount --bind "$2/hosts" /etc/hosts',
      'mount --bind "$2/resolv.conf" /etc/resolv.conf',
      'exec "$0" --conditions=source --disable-warning=ExperimentalWarning "$1" "$2"',
    ].join(" && ");
    const args = ["-n", "-m", "sh", "-c", command, process.execPath, SCENARIO, folder];
    const run = await runCommand("unshare", args, { timeoutMs: 110_000 });
    assert.equal(run.code, 0, run.stderr);
    // Printed so by the scenario.
    const { right, wrong, without, asked, names, packets, inClear } = JSON.parse(run.stdout) as Result;
    const programs = Object.keys(right.programs);
    context.diagnostic(`${programs.length} programs, ${packets} packets`);
    assert.ok(programs.length >= 19, programs.join());

    for (const program of programs) {
      assert.deepEqual(right.programs[program], { text: "here" }, program);
      const { problem = [] } = wrong.programs[program] ?? {};
      const cause = problem.at(-1);
      assert.deepEqual(
        [cause?.code, cause?.stage],
        ["ERR_TLS_NOT_AUTHENTICATED", "authenticate"],
        `${program}: ${JSON.stringify(problem)}`,
      );
      assert.match(
        cause?.message ?? "",
        /^127\.0\.0\.2 port 853 .* not for other\.example but for DNS:dns\.example/,
      );
    }
    assert.deepEqual(right.curl, {
      clear: "here 200 000",
      tunnel: "here 200 200",
      refused: "ECONNREFUSED 502 000",
    });
    assert.match(wrong.curl.clear, /127\.0\.0\.2 port 853 is not authenticated: .* 502 000$/);
    assert.equal(wrong.curl.tunnel, " 000 502");

    assert.deepEqual(names, [...programs, "curl-http", "curl-https"].sort());
    assert.equal(without["dns-lookup"]?.problem?.[0]?.code, "ENOTFOUND");
    assert.equal(asked, 0);
    // The capture sees clear DNS, and there is only that of the program without the line.
    assert.deepEqual(
      inClear.filter((octets) => !octets.includes("dns-lookup\x06inside\x07example")),
      [],
    );
  },
);
