/**
 * `sotto probe client` over other people's clients: what is known of them from their manuals and sources has to come out by
 * itself. Rows that depend on the system (Fast Open), or on who is faster (a broken pipe), are left out.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { probeClient } from "../../packages/sotto/src/tools/probe/client/index.ts";
import type { Verdict } from "../../packages/sotto/src/tools/probe/model.ts";
import { peerTest, runCommand } from "./peers.ts";

type Expected = Readonly<Record<string, Verdict>>;

/** By preset: rows to probe and what must come out. */
const EXPECTED: Readonly<Record<string, Expected>> = {
  kdig: {
    reuse: "off",
    pipelining: "none",
    "out-of-order": "not applicable",
    // +ednsopt=11 by hand only.
    keepalive: "none",
    tls: "released",
    authentication: "released",
    padding: "released",
    // The question that was on its way when the server closed is given up, the next one has a new connection.
    retry: "partial",
    "tcp-after-truncation": "released",
    pins: "released",
    downgrade: "released",
    resumption: "none",
    "server-name": "released",
    alpn: "released",
    cookies: "off",
    "client-subnet": "off",
    segmentation: "released",
  },
  dig: {
    reuse: "off",
    pipelining: "none",
    "out-of-order": "not applicable",
    keepalive: "off",
    "keepalive-obeyed": "none",
    tls: "released",
    authentication: "released",
    padding: "off",
    retry: "released",
    "tcp-after-truncation": "released",
    pins: "none",
    downgrade: "released",
    alpn: "released",
    "tls-versions": "released",
    cookies: "released",
    segmentation: "released",
  },
  drill: {
    reuse: "none",
    pipelining: "none",
    keepalive: "none",
    tls: "none",
    authentication: "none",
    padding: "none",
    "tcp-after-truncation": "off",
    pins: "none",
    segmentation: "released",
    "edns-fallback": "not applicable",
  },
  delv: {
    reuse: "none",
    keepalive: "none",
    tls: "none",
    "tcp-after-truncation": "released",
    cookies: "released",
    "edns-fallback": "released",
  },
  getdns_query: {
    reuse: "released",
    pipelining: "released",
    "out-of-order": "released",
    // It goes with an idle time, and that of the tool is 0 without -e.
    keepalive: "off",
    tls: "released",
    authentication: "released",
    padding: "released",
    pins: "released",
    "server-name": "released",
    alpn: "none",
    "tls-versions": "released",
    "client-subnet": "off",
  },
  stubby: {
    reuse: "released",
    pipelining: "released",
    "out-of-order": "released",
    keepalive: "released",
    "keepalive-obeyed": "released",
    tls: "released",
    authentication: "released",
    padding: "released",
    // Questions that are on their way when the server closes are answered SERVFAIL.
    retry: "none",
    "tcp-after-truncation": "released",
    pins: "released",
    downgrade: "released",
    resumption: "none",
    alpn: "none",
    "client-subnet": "released",
    segmentation: "released",
  },
};

for (const [preset, expected] of Object.entries(EXPECTED))
  peerTest(`what is known of ${preset} comes out by itself`, [preset], async () => {
    const rows = Object.keys(expected);
    const { cells } = await probeClient(undefined, { preset, rows }, nodeRuntime(), () => undefined);
    assert.equal(cells.length, rows.length);
    const found = cells.map(({ row, verdict, observed }) => `${row}: ${verdict} (${observed})`);
    for (const { row, verdict } of cells) assert.equal(verdict, expected[row], found.join("\n"));
  });

const SCENARIO = join(import.meta.dirname, "probe-fast-open-scenario.ts");

peerTest(
  "whose data travels in the SYN comes out by itself",
  ["unshare", "ip", "kdig", "dig", "stubby"],
  async () => {
    const command =
      'ip link set lo up && echo 3 > /proc/sys/net/ipv4/tcp_fastopen && exec "$0" --conditions=source --disable-warning=ExperimentalWarning "$@"';
    const asked = [
      "-n",
      "sh",
      "-c",
      command,
      process.execPath,
      SCENARIO,
      "kdig",
      "dig",
      "stubby",
      "sotto-stub",
    ];
    const run = await runCommand("unshare", asked, { timeoutMs: 60_000 });
    assert.equal(run.code, 0, run.stderr);
    // Debian's kdig still has +fastopen, and our stub a setting.
    const expected = { kdig: "off", dig: "none", stubby: "released", "sotto-stub": "off" };
    assert.deepEqual(JSON.parse(run.stdout), expected);
  },
);
