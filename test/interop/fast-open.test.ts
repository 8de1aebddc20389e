/** TCP Fast Open on both sides, proved by the kernel's counters and TCP_INFO in a network namespace (RFC 7413). */
import assert from "node:assert/strict";
import { join } from "node:path";
import { peerTest, runCommand } from "./peers.ts";

const SCENARIO = join(import.meta.dirname, "fast-open-scenario.ts");

interface Measured {
  readonly used: readonly string[];
  readonly active: number;
  readonly passive: number;
}

peerTest(
  "data travels in the SYN to and from us on TCP and TLS, and only where both sides want it [7413-6-a 7413-4.1.3-a 7766-9-a 9210-4.1-tfo]",
  ["unshare", "ip", "kdig"],
  async () => {
    const command =
      'ip link set lo up && echo 3 > /proc/sys/net/ipv4/tcp_fastopen && exec "$0" --conditions=source --disable-warning=ExperimentalWarning "$1"';
    const run = await runCommand("unshare", ["-n", "sh", "-c", command, process.execPath, SCENARIO]);
    assert.equal(run.code, 0, run.stderr);
    // The scenario prints one JSON object; the assertions below look at each part.
    const results: Record<string, unknown> = JSON.parse(run.stdout);
    const of = (name: string): Measured => results[name] as Measured; // Printed so by the scenario.
    assert.deepEqual(results["status"], ["on", "on", "on", "off"]);
    for (const name of ["tcp", "tls", "tcp over IPv6"]) {
      const { used, active, passive } = of(name);
      // The first connection fetches the cookie, which is per address and not per port.
      assert.deepEqual(used.slice(1), ["used", "used", "used"], `${name}: ${used.join()}`);
      assert.ok(active >= 3 && passive >= 3, `${name}: ${active} active, ${passive} passive`);
    }
    const { used, passive } = of("a server without");
    assert.deepEqual(used, ["not used", "not used", "not used", "not used"], "and no error");
    assert.equal(passive, 0);
    assert.equal(of("a client without").active, 0);
    const kdig = results["kdig"] as { answers: string[]; passive: number }; // Printed so by the scenario.
    assert.deepEqual(kdig.answers, ["192.0.2.80", "192.0.2.80", "192.0.2.80"]);
    assert.ok(kdig.passive >= 2, `kdig: ${kdig.passive} passive`);
  },
);
