/** Strict means that no query leaves in clear, whatever fails: what tshark captures in a namespace is the assertion (RFC 8310 §5). */
import assert from "node:assert/strict";
import { join } from "node:path";
import { peerTest, runCommand, temporaryFolder } from "./peers.ts";

const SCENARIO = join(import.meta.dirname, "stub-leaks-scenario.ts");

interface Result {
  readonly what: string;
  readonly status?: string;
  /** Of a question for the name that a portal was opened for. */
  readonly portalStatus?: string;
  readonly stage?: string;
  readonly problem?: string;
  /** Packets with the name in clear. */
  readonly leaks: number;
  /** Packets to the port of clear DNS. */
  readonly toClear: number;
}

peerTest(
  "a strict stub puts nothing in clear on the wire, however its server fails, and beside a portal [8310-6.6-c] [8310-6.6-d] [8310-6.6-e]",
  ["unshare", "ip", "dig", "tshark"],
  async (context) => {
    const folder = temporaryFolder(context);
    const command =
      'ip link set lo up && ip link add d0 type veth peer name d1 && ip addr add 198.18.0.1/24 dev d0 && ip link set d0 up && ip link set d1 up && ip neigh add 198.18.0.66 lladdr 02:00:00:00:00:66 dev d0 && exec "$0" --conditions=source --disable-warning=ExperimentalWarning "$1" "$2"';
    const args = ["-n", "sh", "-c", command, process.execPath, SCENARIO, folder];
    const run = await runCommand("unshare", args, { timeoutMs: 90_000 });
    assert.equal(run.code, 0, run.stderr);
    // Printed so by the scenario.
    const { cases, packets } = JSON.parse(run.stdout) as { cases: Result[]; packets: number };
    assert.ok(packets > 100, `${packets} packets`);
    for (const { what, status, portalStatus, stage, problem, leaks, toClear } of cases) {
      context.diagnostic(`${what}: ${status ?? "no answer"}, ${stage ?? "no failure"}: ${problem ?? ""}`);
      if (what.startsWith("opportunistic")) {
        assert.equal(status, "NOERROR", what);
        assert.ok(leaks > 0 && toClear > 0, `${what}: the capture sees what is in clear`);
        continue;
      }
      assert.equal(status, what.startsWith("all is well") ? "NOERROR" : "SERVFAIL", what);
      assert.equal(
        problem === undefined,
        what.startsWith("all is well"),
        `${what}: ${problem ?? "no problem is told"}`,
      );
      assert.equal(portalStatus, what.startsWith("portal") ? "NOERROR" : undefined, what);
      assert.deepEqual([leaks, toClear], [0, 0], `${what}: packets with the name, and to port 53`);
    }
  },
);
