/** Our `lookup` beside the C library's getaddrinfo behind Node's, on the same zone, hosts file and search list. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { peerTest, runCommand, temporaryFolder } from "./peers.ts";

const SCENARIO = join(import.meta.dirname, "node-dns-lookup-scenario.ts");

const HOSTS = `127.0.0.1 localhost
::1 localhost ip6-localhost
192.0.2.55 own-name.example own-name
192.0.2.100 in-file.example
2001:db8::100 onlysix
`;

const RESOLV_CONF = "nameserver 127.0.0.1\nsearch sub.example example\noptions timeout:1 attempts:1\n";

for (const [machine, addresses] of Object.entries({
  "with both families": ["192.0.2.250/24", "2001:db8:ffff::1/64"],
  "with IPv4 only": ["192.0.2.250/24"],
  "with loopback only": [],
})) {
  peerTest(
    `lookup on a machine ${machine} gives what getaddrinfo gives`,
    ["unshare", "ip"],
    async (context) => {
      const folder = temporaryFolder(context);
      writeFileSync(join(folder, "hosts"), HOSTS);
      writeFileSync(join(folder, "resolv.conf"), RESOLV_CONF);
      const command = [
        "ip link set lo up",
        "ip link add d0 type veth peer name d1",
        "ip link set d0 up",
        "ip link set d1 up",
        ...addresses.map(
          (address) => `ip addr add ${address} dev d0 ${address.includes(":") ? "nodad" : ""}`,
        ),
        ...addresses.map((address) => `ip ${address.includes(":") ? "-6" : "-4"} route add default dev d0`),
        'mount --bind "$2/hosts" /etc/hosts',
        'mount --bind "$2/resolv.conf" /etc/resolv.conf',
        'exec "$0" --conditions=source --disable-warning=ExperimentalWarning "$1"',
      ].join(" && ");
      const args = ["-n", "-m", "sh", "-c", command, process.execPath, SCENARIO, folder];
      const run = await runCommand("unshare", args, { timeoutMs: 120_000 });
      assert.equal(run.code, 0, run.stderr);
      // Printed so by the scenario.
      const { calls, differences } = JSON.parse(run.stdout) as { calls: number; differences: string[] };
      context.diagnostic(`${calls} calls`);
      assert.deepEqual(differences, []);
    },
  );
}
